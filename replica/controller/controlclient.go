package controller

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvorum/kvorum/peer"
)

const (
	controlQueue       = 1024
	controlDialTimeout = time.Second
)

// controlReplyTo is where the reply to one control request goes. ok is false when no reply will come.
type controlReplyTo func(reply controlFrame, ok bool)

type controlRequest struct {
	frame controlFrame
	reply controlReplyTo
}

// controlPeer sends control requests to one member over one connection, dialled when there is something to send. Owner:
// Controller; run ends with its context.
type controlPeer struct {
	c     *Controller
	node  string
	queue chan controlRequest
	slow  atomic.Bool // it did not answer the last confirmation in time: others are asked first
}

// send queues a request. reply is called exactly once, from another goroutine or (when the queue is full) from this one; it
// must not block.
func (p *controlPeer) send(f controlFrame, reply controlReplyTo) {
	select {
	case p.queue <- controlRequest{f, reply}:
	default:
		reply(controlFrame{}, false)
	}
}

// call is send for those who can wait.
func (p *controlPeer) call(ctx context.Context, f controlFrame) (controlFrame, bool) {
	answered := make(chan controlFrame, 1)
	p.send(f, func(reply controlFrame, ok bool) {
		if ok {
			answered <- reply
		}
		close(answered)
	})
	select {
	case reply, ok := <-answered:
		return reply, ok
	case <-ctx.Done():
		return controlFrame{}, false
	}
}

func (p *controlPeer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			p.failQueued()
			return
		case first := <-p.queue:
			dialCtx, cancel := context.WithTimeout(ctx, controlDialTimeout)
			conn, err := p.c.dialMember(dialCtx, peer.Control, p.node)
			cancel()
			if err != nil {
				first.reply(controlFrame{}, false)
				p.failQueued() // they would meet the same
				continue
			}
			newControlSession(conn, controlPatience(p.c.cfg.Tuning)).run(ctx, first, p.queue)
		}
	}
}

func (p *controlPeer) failQueued() {
	for {
		select {
		case r := <-p.queue:
			r.reply(controlFrame{}, false)
		default:
			return
		}
	}
}

// controlSession is one connection with the requests that wait for replies on it.
//
// A connection can die and nobody be told: the peer's address has gone, a middlebox has forgotten it. Small frames still fit
// into the kernel's buffer then, so writing shows nothing. Therefore a session that owes replies and brings none for as long
// as patience is given up, and the next request dials anew. A peer that lives answers sooner than that (controlPatience).
type controlSession struct {
	conn     net.Conn
	patience time.Duration
	mu       struct {
		sync.Mutex
		next    uint64
		pending map[uint64]controlReplyTo
		broken  bool
	}
	ended chan struct{} // closed when the reader has ended
}

// controlPatience is twice what a living peer takes for any reply (answerReadIndex). With the dial after it, at most
// controlDialTimeout, it bounds how long reads miss a voter whose connection died but which a new one reaches. A peer that is
// paused costs one dial at a time, each given up after controlDialTimeout, and only while somebody asks it.
func controlPatience(t Tuning) time.Duration { return 2 * t.ConfirmTimeout }

func newControlSession(conn net.Conn, patience time.Duration) *controlSession {
	s := &controlSession{conn: conn, patience: patience, ended: make(chan struct{})}
	s.mu.pending = map[uint64]controlReplyTo{}
	return s
}

// run writes requests until the connection breaks, is silent for too long, or ctx ends; then all that wait are told.
func (s *controlSession) run(ctx context.Context, first controlRequest, queue <-chan controlRequest) {
	go s.read()
	w := bufio.NewWriter(s.conn)
	var buffer [controlFrameBytes]byte
	write := func(r controlRequest) bool {
		id, ok := s.register(r.reply)
		if !ok {
			r.reply(controlFrame{}, false)
			return false
		}
		r.frame.id = id
		_, err := w.Write(r.frame.append(buffer[:0]))
		if err == nil && len(queue) == 0 {
			_ = s.conn.SetWriteDeadline(time.Now().Add(controlDialTimeout)) // fails only on a closed connection
			err = w.Flush()
		}
		return err == nil
	}
	for alive := write(first); alive; {
		select {
		case r := <-queue:
			alive = write(r)
		case <-s.ended:
			alive = false
		case <-ctx.Done():
			alive = false
		}
	}
	s.conn.Close()
	<-s.ended
}

func (s *controlSession) register(reply controlReplyTo) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.broken {
		return 0, false
	}
	if len(s.mu.pending) == 0 {
		s.expect(time.Now().Add(s.patience))
	}
	s.mu.next++
	s.mu.pending[s.mu.next] = reply
	return s.mu.next, true
}

// expect sets when the next reply must be there; the zero time: none is owed. Under mu, so that it fits pending.
func (s *controlSession) expect(by time.Time) {
	_ = s.conn.SetReadDeadline(by) // fails only on a closed connection
}

// answered takes the reply's receiver, nil if it has none.
func (s *controlSession) answered(id uint64) controlReplyTo {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := s.mu.pending[id]
	delete(s.mu.pending, id)
	if len(s.mu.pending) == 0 {
		s.expect(time.Time{})
	} else {
		s.expect(time.Now().Add(s.patience))
	}
	return reply
}

func (s *controlSession) read() {
	defer close(s.ended)
	r := bufio.NewReader(s.conn)
	var buffer [controlFrameBytes]byte
	for {
		f, err := readControlFrame(r, &buffer)
		if err != nil || f.kind&controlReply == 0 {
			break
		}
		if reply := s.answered(f.id); reply != nil {
			reply(f, true)
		}
	}
	s.conn.Close()
	s.mu.Lock()
	pending := s.mu.pending
	s.mu.pending, s.mu.broken = nil, true
	s.mu.Unlock()
	for _, reply := range pending {
		reply(controlFrame{}, false)
	}
}
