package controller

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// TestReadsOutliveForgottenConnections: a middlebox forgets the leader's connections to all others while new ones work. What
// it writes on them goes into the kernel's buffer, so only missing replies show it. Raft is patient here: no election helps.
func TestReadsOutliveForgottenConnections(t *testing.T) {
	for name, lost := range map[string][]direction{"requests": {forward}, "replies": {back}, "both": {forward, back}} {
		t.Run(name, func(t *testing.T) {
			s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
			s.electFirst(0)
			s.mustPutAt(0, "k", "v")
			s.allReady()
			for _, i := range []int{1, 2} {
				eventually(t, "a control connection", func() bool {
					_, ok := s.nodes[0].controlPeer(s.members[i].ID).call(t.Context(), controlFrame{kind: controlStatus})
					return ok
				})
				s.links[0][i].forget(lost...)
			}
			forgotten := time.Now()
			if _, err := s.get(0, "k", wire.Linearizable); err == nil {
				t.Fatal("the forgotten connections still carry a round")
			}
			eventually(t, "the leader to confirm reads again", func() bool {
				value, err := s.get(0, "k", wire.Linearizable)
				return err == nil && value == "v"
			})
			t.Logf("reads failed for %v; the bound is %v", time.Since(forgotten), controlPatience(fastTuning())+controlDialTimeout)
		})
	}
}

// testSession is a control session to a peer that is the test, in a synctest bubble: its time is exact.
type testSession struct {
	*controlSession
	peer    net.Conn
	queue   chan controlRequest
	ended   chan struct{}
	replies chan bool // whether each request was answered
}

const testPatience = 2 * time.Second

func newTestSession(t *testing.T) *testSession {
	near, far := net.Pipe()
	s := &testSession{newControlSession(near, testPatience), far, make(chan controlRequest), make(chan struct{}), make(chan bool, 10_000)}
	go func() {
		s.run(t.Context(), s.request(), s.queue)
		close(s.ended)
	}()
	t.Cleanup(func() { far.Close() })
	return s
}

func (s *testSession) request() controlRequest {
	return controlRequest{controlFrame{kind: controlConfirm}, func(_ controlFrame, ok bool) { s.replies <- ok }}
}

// read takes one request at the peer.
func (s *testSession) read(t *testing.T) controlFrame {
	t.Helper()
	var buffer [controlFrameBytes]byte
	f, err := readControlFrame(s.peer, &buffer)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (s *testSession) answer(t *testing.T, f controlFrame) {
	t.Helper()
	f.kind |= controlReply
	if _, err := s.peer.Write(f.append(nil)); err != nil {
		t.Fatalf("the session has ended: %v", err)
	}
}

// TestSilentSessionEnds: after patience, though further requests are made all the time.
func TestSilentSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSession(t)
		go io.Copy(io.Discard, s.peer)
		began, requests := time.Now(), 1
		for over := false; !over && time.Since(began) < time.Minute; {
			select {
			case s.queue <- s.request():
				requests++
				<-time.After(10 * time.Millisecond)
			case <-s.ended:
				over = true
			}
		}
		if took := time.Since(began); took < testPatience || took > testPatience+10*time.Millisecond {
			t.Fatalf("given up after %v, want %v", took, testPatience)
		}
		synctest.Wait()
		for range requests {
			if <-s.replies {
				t.Fatal("a request counts as answered")
			}
		}
	})
}

// TestSessionEndsWithAPausedPeer: it answered before, then no more.
func TestSessionEndsWithAPausedPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSession(t)
		s.answer(t, s.read(t))
		<-time.After(time.Hour) // owes nothing
		s.queue <- s.request()
		s.read(t)
		asked := time.Now()
		<-s.ended
		if took := time.Since(asked); took != testPatience {
			t.Fatalf("given up after %v, want %v", took, testPatience)
		}
	})
}

// TestSlowSessionLives: replies prove that the connection lives, whatever else is still to be answered; and so does nothing
// when nothing was asked.
func TestSlowSessionLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSession(t)
		late := s.read(t)
		for range 10 {
			s.queue <- s.request()
			f := s.read(t)
			<-time.After(testPatience - time.Millisecond)
			s.answer(t, f)
		}
		s.answer(t, late)
		<-time.After(time.Hour)
		s.queue <- s.request()
		s.answer(t, s.read(t))
		for range 12 {
			if !<-s.replies {
				t.Fatal("a request counts as unanswered")
			}
		}
		s.peer.Close()
		<-s.ended
	})
}
