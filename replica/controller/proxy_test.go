package controller

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kvorum/kvorum/network"
)

// direction of bytes on a link: forward is from the node that dialled.
type direction int

const (
	forward direction = iota
	back
)

// link carries every connection that one node dials to one other. A test can cut it (connections break and new ones get
// nowhere) or hold one direction (bytes wait, nothing breaks) and release it again, or forget the connections there are
// (nothing gets through, nobody is told, new ones work). So partitions, messages that stay on the way and middleboxes need no
// hook in the production code.
type link struct {
	listener net.Listener
	target   string
	moved    [2]atomic.Uint64 // bytes that reached the other side
	waiting  [2]atomic.Uint64 // bytes that were held at least once
	pumps    sync.WaitGroup

	mu struct {
		sync.Mutex
		closed  bool
		cut     bool
		held    [2]bool
		changed chan struct{} // closed and replaced whenever one of the above changes
		conns   map[net.Conn]*flow
	}
}

// flow is the bytes that are read from one connection of a link. Guarded by the link's mu.
type flow struct {
	d         direction
	forgotten bool // they go nowhere
}

func newLink(t testing.TB, target string) *link {
	listener, err := network.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: target}
	l.mu.changed, l.mu.conns = make(chan struct{}), map[net.Conn]*flow{}
	l.pumps.Add(1)
	go l.accept()
	return l
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) accept() {
	defer l.pumps.Done()
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		refused := l.mu.cut || l.mu.closed
		l.mu.Unlock()
		if refused {
			from.Close()
			continue
		}
		to, err := network.Dial(context.Background(), l.target)
		if err != nil {
			from.Close()
			continue
		}
		l.mu.Lock()
		if l.mu.cut || l.mu.closed {
			l.mu.Unlock()
			from.Close()
			to.Close()
			continue
		}
		there, andBack := &flow{d: forward}, &flow{d: back}
		l.mu.conns[from], l.mu.conns[to] = there, andBack
		l.mu.Unlock()
		l.pumps.Add(2)
		go l.pump(there, from, to)
		go l.pump(andBack, to, from)
	}
}

// pump moves bytes one way until the connection ends. The other side of a forgotten one does not hear of that end.
func (l *link) pump(f *flow, from, to net.Conn) {
	defer l.pumps.Done()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		from.Close()
		delete(l.mu.conns, from)
		if !f.forgotten {
			to.Close()
			delete(l.mu.conns, to)
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !l.admit(f, n) {
				return
			}
			if l.lost(f) {
				continue
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
			l.moved[f.d].Add(uint64(n))
		}
		if err != nil {
			return
		}
	}
}

// admit waits while the flow's direction is held. It is false once the link is cut.
func (l *link) admit(f *flow, n int) bool {
	counted, d := false, f.d
	for {
		l.mu.Lock()
		held, over, changed := l.mu.held[d], l.mu.cut || l.mu.closed, l.mu.changed
		l.mu.Unlock()
		if over || !held {
			return !over
		}
		if !counted {
			l.waiting[d].Add(uint64(n))
			counted = true
		}
		<-changed
	}
}

func (l *link) lost(f *flow) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return f.forgotten
}

func (l *link) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.mu.changed)
	l.mu.changed = make(chan struct{})
	if l.mu.cut || l.mu.closed {
		for c := range l.mu.conns {
			c.Close()
		}
	}
}

func (l *link) cut()                { l.change(func() { l.mu.cut = true }) }
func (l *link) hold(d direction)    { l.change(func() { l.mu.held[d] = true }) }
func (l *link) release(d direction) { l.change(func() { l.mu.held[d] = false }) }

// forget has no end: what is sent in these directions on the connections there are goes nowhere.
func (l *link) forget(ds ...direction) {
	l.change(func() {
		for _, f := range l.mu.conns {
			f.forgotten = f.forgotten || slices.Contains(ds, f.d)
		}
	})
}

// heal undoes cut and hold.
func (l *link) heal() {
	l.change(func() { l.mu.cut, l.mu.held = false, [2]bool{} })
}

func (l *link) close() {
	l.listener.Close()
	l.change(func() { l.mu.closed = true })
	l.pumps.Wait()
}
