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
			newControlSession(conn).run(ctx, first, p.queue)
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
type controlSession struct {
	conn net.Conn
	mu   struct {
		sync.Mutex
		next    uint64
		pending map[uint64]controlReplyTo
		broken  bool
	}
	ended chan struct{} // closed when the reader has ended
}

func newControlSession(conn net.Conn) *controlSession {
	s := &controlSession{conn: conn, ended: make(chan struct{})}
	s.mu.pending = map[uint64]controlReplyTo{}
	return s
}

// run writes requests until the connection breaks or ctx ends; then all that wait are told.
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
	s.mu.next++
	s.mu.pending[s.mu.next] = reply
	return s.mu.next, true
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
		s.mu.Lock()
		reply := s.mu.pending[f.id]
		delete(s.mu.pending, f.id)
		s.mu.Unlock()
		if reply != nil {
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
