package peer

import (
	"net"
	"sync"
)

// backlog is how many connections of one kind may wait for Accept. Whoever serves a kind takes them at once; but after a
// restart every router of the cluster dials at the same moment, many connections each, while the processor is busy.
const backlog = 1024

// Conn is what a Listener's Accept returns.
type Conn struct {
	net.Conn
	Peer Identity // who dialed, as they said and as admit agreed to
}

// listener hands out the connections of one kind. A place in its queue is reserved before the dialer is told yes, so a
// connection that was promised is never dropped for lack of room.
type listener struct {
	address net.Addr
	queue   chan *Conn
	done    chan struct{} // closed with mu held
	mu      struct {
		sync.Mutex
		closed   bool
		reserved int // places taken: queued connections, and those about to be; at most backlog
	}
}

func newListener(address net.Addr) *listener {
	return &listener{address: address, queue: make(chan *Conn, backlog), done: make(chan struct{})}
}

// reserve takes a place in the queue. Who got one calls put or release.
func (l *listener) reserve() *Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return &Refusal{Closing, "the node is shutting down: try another one, or this one later"}
	}
	if l.mu.reserved == backlog {
		return &Refusal{Busy, "the node has not yet taken up earlier connections: try again in a moment"}
	}
	l.mu.reserved++
	return nil
}

func (l *listener) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.reserved--
}

// put queues c in a reserved place, or closes it when nobody will come for it.
func (l *listener) put(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		c.Close()
		return
	}
	l.queue <- c // never blocks: the place is reserved
}

// Accept waits for the next connection of this kind; it is a *Conn. After Close it gives net.ErrClosed.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		l.release()
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: l.address.Network(), Addr: l.address, Err: net.ErrClosed}
	}
}

// Close refuses this kind from now on. Connections that nobody accepted are closed; the port stays open. Idempotent.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil
	}
	l.mu.closed = true
	close(l.done)
	for {
		select {
		case c := <-l.queue:
			c.Close()
		default:
			return nil
		}
	}
}

// Addr is the address of the port, shared by all kinds.
func (l *listener) Addr() net.Addr { return l.address }
