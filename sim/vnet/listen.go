package vnet

import (
	"net"
	"slices"
	"strconv"

	"github.com/kvorum/kvorum/sim/timeline"
)

// backlog is how many connections may wait to be accepted.
const backlog = 128

// Listener is a listening socket.
type Listener struct {
	host    *Host
	port    int
	waiting []*End
	closed  bool
}

// Listen opens a listener; port 0 picks one.
func (h *Host) Listen(port int) (*Listener, Errno) {
	if port == 0 {
		h.nextPort++
		port = h.nextPort
	}
	if _, ok := h.listeners[port]; ok {
		return nil, EADDRINUSE
	}
	l := &Listener{host: h, port: port}
	h.listeners[port] = l
	return l, 0
}

// Port is the bound port.
func (l *Listener) Port() int { return l.port }

// Readable: Accept would not say EAGAIN.
func (l *Listener) Readable() bool { return len(l.waiting) > 0 || l.closed }

// Accept takes the next connection.
func (l *Listener) Accept() (*End, Errno) {
	if len(l.waiting) == 0 {
		return nil, EAGAIN
	}
	e := l.waiting[0]
	l.waiting = l.waiting[1:]
	return e, 0
}

// Close stops listening. Connections that were not accepted are reset.
func (l *Listener) Close() { l.close(false) }

func (l *Listener) close(power bool) {
	if l.closed {
		return
	}
	l.closed = true
	delete(l.host.listeners, l.port)
	for _, e := range l.waiting {
		e.vanish(power)
	}
	l.waiting = nil
}

// Dialing is a connection on its way.
type Dialing struct {
	end   *End
	errno Errno
	done  bool
	near  *End
}

// Done returns the connection or the reason against it; EAGAIN: not decided yet.
func (d *Dialing) Done() (*End, Errno) {
	if !d.done {
		return nil, EAGAIN
	}
	return d.end, d.errno
}

// Cancel gives a connection up that is not wanted any more.
func (d *Dialing) Cancel() {
	switch {
	case !d.done:
		d.done, d.errno = true, ECONNRESET
		d.near.host.decided(d)
		d.near.vanish(false)
	case d.end != nil:
		d.end.vanish(false)
	}
}

// Dial starts a connection to host:port, at the instant.
func (h *Host) Dial(address string, at timeline.Time) (*Dialing, Errno) {
	name, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, EINVAL
	}
	port, err := strconv.Atoi(service)
	if err != nil {
		return nil, EINVAL
	}
	to := h
	if name != "127.0.0.1" && name != "localhost" {
		to = h.network.hosts[name]
	}
	if to == nil {
		return nil, EHOSTUNREACH
	}
	d := &Dialing{}
	n := h.network
	n.streams++
	near, far := n.pair(n.streams, h, to, port)
	knock := near.out
	knock.dialing, d.near = d, near
	h.dialings = append(h.dialings, d)
	knock.push(packet{open: func() { n.knocked(d, near, far, port) }}, at)
	return d, 0
}

// knocked: the first packet has arrived.
func (n *Network) knocked(d *Dialing, near, far *End, port int) {
	l := far.host.listeners[port]
	if far.host.Refuse && near.host != far.host {
		far.host.Refused++
		l = nil
	}
	if l == nil || len(l.waiting) >= backlog {
		n.insist(near, func() { d.finish(nil, ECONNREFUSED, near) })
		return
	}
	far.register()
	l.waiting = append(l.waiting, far)
	if n.Tap != nil {
		n.Tap.Opened(near.connection, near.host, far.host, port, n.timeline.Now())
	}
	far.out.push(packet{open: func() { d.finish(near, 0, near) }}, n.timeline.Now())
	l.host.wake()
}

func (d *Dialing) finish(e *End, errno Errno, near *End) {
	if d.done {
		return
	}
	d.end, d.errno, d.done = e, errno, true
	near.host.decided(d)
	if e != nil {
		e.register()
	}
	near.host.wake()
}

func (h *Host) decided(d *Dialing) {
	h.dialings = slices.DeleteFunc(h.dialings, func(other *Dialing) bool { return other == d })
}

// insist is answer for what the other side asks for again and again until it hears it.
func (n *Network) insist(e *End, f func()) {
	back, from, wait := n.Link(e.peerHost, e.host), n.timeline.Now(), firstRetransmit
	var try func()
	try = func() {
		now := n.timeline.Now()
		switch {
		case e.broken != 0 || e.out.forgotten:
		case e.peerHost.up && !back.conditions.Clogged && back.passes():
			f()
		case now.Sub(from) > n.Patience:
			e.out.giveUp()
		default:
			n.timeline.After(wait, try)
			wait = min(2*wait, lastRetransmit)
		}
	}
	n.timeline.At(back.arrival(from, 64), try)
}

// answer lets f happen at e's host after the way there from its peer, if a single packet gets through.
func (n *Network) answer(e *End, f func()) {
	back := n.Link(e.peerHost, e.host)
	n.timeline.At(back.arrival(n.timeline.Now(), 64), func() {
		if !e.out.forgotten && !back.conditions.Clogged && back.passes() {
			f()
		}
	})
}
