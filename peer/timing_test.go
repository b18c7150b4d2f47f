package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The tests of this file run in a bubble: its clock moves only when all its goroutines wait, and a goroutine that outlives
// the test fails it. Sockets do not live in a bubble, so the port is a listener of net.Pipe ends.
type pipePort struct {
	dialed chan net.Conn
	once   sync.Once
	closed chan struct{}
	fail   chan error
}

func newPipePort() *pipePort {
	return &pipePort{dialed: make(chan net.Conn), closed: make(chan struct{}), fail: make(chan error)}
}

func (p *pipePort) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case err := <-p.fail:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipePort) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipePort) Addr() net.Addr { return pipeAddr{} }

// dial gives the other end of a connection that the server has accepted.
func (p *pipePort) dial() net.Conn {
	here, there := net.Pipe()
	p.dialed <- there
	return here
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func servePipes(admit func(Kind, Identity) error) (*Server, *pipePort) {
	port := newPipePort()
	return Serve(port, func() Identity { return alpha }, admit, nil), port
}

// greetAlpha shakes hands over conn as beta.
func greetAlpha(t *testing.T, conn net.Conn) error {
	_, err := greet(t.Context(), conn, beta, Raft, Target{Shard: alpha.Shard, Node: alpha.Node})
	return err
}

func TestSilentDialerCostsFiveSeconds(t *testing.T) {
	for name, hi := range map[string]string{"silent": "", "half a header": "kvr", "header without payload": "kvrm\x01\x01\x00\x20"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, port := servePipes(nil)
				defer s.Close()
				conn := port.dial()
				defer conn.Close()
				start := time.Now()
				if _, err := io.WriteString(conn, hi); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Fatalf("got %v, want the server to hang up", err)
				}
				if took := time.Since(start); took != handshakeTimeout {
					t.Errorf("the server hung up after %v, want %v", took, handshakeTimeout)
				}
			})
		})
	}
}

func TestTricklingDialerGetsNoMoreTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		defer s.Close()
		conn := port.dial()
		defer conn.Close()
		start := time.Now()
		frame := appendFrame(nil, typeHello, hello{kind: Raft, from: beta}.append(nil))
		ticks := time.NewTicker(time.Second)
		defer ticks.Stop()
		for _, b := range frame {
			if _, err := conn.Write([]byte{b}); err != nil {
				break
			}
			<-ticks.C
		}
		if took := time.Since(start); took > handshakeTimeout+time.Second {
			t.Errorf("a byte per second kept the handshake alive for %v", took)
		}
	})
}

func TestHalfOpenServerEndsTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The other end reads the hello and never answers: a machine that lost its power after the kernel's ACK.
		ctx, cancel := context.WithTimeout(t.Context(), handshakeTimeout)
		defer cancel()
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		go func() { _, _ = readFrame(there, typeHello) }()
		start := time.Now()
		_, err := greet(ctx, here, beta, Raft, Target{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != handshakeTimeout {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestCancelEndsTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		time.AfterFunc(time.Second, cancel)
		if _, err := greet(ctx, here, beta, Raft, Target{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

func TestHandshakesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		defer s.Close()
		silent := make([]net.Conn, maxHandshakes)
		for i := range silent {
			silent[i] = port.dial()
			defer silent[i].Close()
		}
		synctest.Wait()
		select { // all slots are taken, so nobody accepts
		case port.dialed <- nil:
			t.Fatalf("connection %d was accepted", maxHandshakes+1)
		default:
		}
		silent[7].Close() // one gives up: one slot is free
		conn := port.dial()
		defer conn.Close()
		if err := greetAlpha(t, conn); err != nil {
			t.Fatal(err)
		}
		for i := range silent { // the others time out, and the port is as before
			_, _ = silent[i].Read(make([]byte, 1))
		}
		synctest.Wait()
		if n := len(s.slots); n != 1 { // the accepting goroutine holds one for the next connection
			t.Errorf("%d handshake slots are taken at rest, want 1", n)
		}
	})
}

func TestFullBacklogRefusesAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		defer s.Close()
		for range backlog {
			conn := port.dial()
			defer conn.Close()
			if err := greetAlpha(t, conn); err != nil {
				t.Fatal(err)
			}
		}
		extra := port.dial()
		var refusal *Refusal
		if err := greetAlpha(t, extra); !errors.As(err, &refusal) || refusal.Reason != Busy {
			t.Fatalf("got %v, want %v", err, Busy)
		}
		in, err := s.Listener(Raft).Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		again := port.dial()
		defer again.Close()
		if err := greetAlpha(t, again); err != nil {
			t.Fatalf("a place is free, got %v", err)
		}
	})
}

func TestCloseJoinsAndClosesWhatNobodyTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		silent, queued := port.dial(), port.dial()
		if err := greetAlpha(t, queued); err != nil {
			t.Fatal(err)
		}
		accepting := make(chan error)
		go func() {
			_, err := s.Listener(API).Accept()
			accepting <- err
		}()
		synctest.Wait()
		start := time.Now()
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		if err := <-accepting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a waiting Accept got %v", err)
		}
		closers.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("Close waited %v for a silent dialer", took)
		}
		for name, conn := range map[string]net.Conn{"in the handshake": silent, "queued": queued} {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("a connection %s was left open: %v", name, err)
			}
		}
		if _, err := s.Listener(Raft).Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close got %v", err)
		}
	}) // the bubble fails here if a goroutine is left
}

func TestCloseWaitsForAHandshakeUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		decide := make(chan struct{})
		s, port := servePipes(func(Kind, Identity) error {
			<-decide
			return nil
		})
		conn := port.dial()
		defer conn.Close()
		greeted, closed := make(chan error, 1), make(chan error, 1)
		go func() { greeted <- greetAlpha(t, conn) }()
		synctest.Wait()
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while a goroutine of the server was at work")
		default:
		}
		close(decide)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := <-greeted; err == nil {
			t.Error("a closed server let a node in")
		}
	})
}

func TestClosingOneKindLeavesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		defer s.Close()
		if err := s.Listener(Raft).Close(); err != nil {
			t.Fatal(err)
		}
		conn := port.dial()
		var refusal *Refusal
		if err := greetAlpha(t, conn); !errors.As(err, &refusal) || refusal.Reason != Closing {
			t.Fatalf("got %v, want %v", err, Closing)
		}
		api := port.dial()
		defer api.Close()
		if _, err := greet(t.Context(), api, beta, API, Target{}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAcceptErrorsAreSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		defer s.Close()
		start := time.Now()
		for range 12 {
			port.fail <- os.NewSyscallError("accept", syscall.EMFILE)
		}
		conn := port.dial()
		defer conn.Close()
		if err := greetAlpha(t, conn); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 2*time.Second || took > 12*time.Second {
			t.Errorf("12 failures in a row took %v: want a growing pause of at most 1 s", took)
		}
	})
}

func TestPortClosedByAnotherHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		port.Close()
		if _, err := s.Listener(Raft).Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept got %v: it would wait for ever", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestManyAtOnceWhileClosing(t *testing.T) {
	admit := func(Kind, Identity) error { return nil }
	s := serve(t, admit)
	to := target(s)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				c, err := s.Listener(Raft).Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		})
	}
	got := make(chan error, 200)
	for range cap(got) {
		all.Go(func() {
			conn, _, err := Dial(t.Context(), beta, Raft, to)
			if err == nil {
				conn.Close()
			}
			got <- err
		})
	}
	for range cap(got) / 2 {
		if err := <-got; err != nil {
			t.Errorf("before Close: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	all.Wait() // every dial ends, with a yes or an error
	if n := len(s.mu.shaking); n != 0 {
		t.Errorf("%d handshakes are left after Close", n)
	}
}
