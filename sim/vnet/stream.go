package vnet

import (
	"time"

	"github.com/kvorum/kvorum/sim/timeline"
)

// End is one side of a connection.
type End struct {
	host, peerHost *Host
	peer           *End // nil when the other side's kernel forgot the connection
	connection     uint64
	accepted       bool // this is the side that listened
	gone           bool // closed or vanished here

	in     []byte // arrived and not read
	ended  bool   // the other side sends no more
	broken Errno  // the connection failed

	out     *stream
	sentEnd bool
}

// stream carries packets from one end to the other.
type stream struct {
	from, to  *End
	link      *Link
	queue     []packet
	bytes     int // queued
	event     *timeline.Event
	wait      time.Duration // before the next retransmission; 0: nothing failed
	failing   timeline.Time // since when the first packet has not got through
	dialing   *Dialing
	forgotten bool // by a middlebox: nothing arrives any more, and nobody gives up
	held      int  // times: nothing arrives until all who hold it let go
}

// packet is bytes, the end of them, or something that happens when it arrives.
type packet struct {
	bytes   []byte
	end     bool
	open    func()
	arrives timeline.Time
}

func (n *Network) pair(connection uint64, a, b *Host, _ int) (near, far *End) {
	near = &End{host: a, peerHost: b, connection: connection}
	far = &End{host: b, peerHost: a, connection: connection, accepted: true}
	near.peer, far.peer = far, near
	near.out = &stream{from: near, to: far, link: n.Link(a, b)}
	far.out = &stream{from: far, to: near, link: n.Link(b, a)}
	return near, far
}

func (e *End) register() { e.host.ends[e] = true }

// Peer is the name of the other side's host.
func (e *End) Peer() string { return e.peerHost.Name }

// Readable: Read would not say EAGAIN.
func (e *End) Readable() bool { return len(e.in) > 0 || e.ended || e.broken != 0 }

// Writable: Write would not say EAGAIN.
func (e *End) Writable() bool { return e.broken != 0 || e.sentEnd || e.room() > 0 }

func (e *End) room() int {
	unread := e.out.bytes
	if e.peer != nil {
		unread += len(e.peer.in)
	}
	return e.host.network.Window - unread
}

// Read takes what has arrived; 0 bytes: the other side has ended.
func (e *End) Read(p []byte) (int, Errno) {
	if len(e.in) > 0 {
		n := copy(p, e.in)
		full := e.peer != nil && e.peer.room() <= 0
		e.in = e.in[n:]
		if len(e.in) == 0 {
			e.in = nil
		}
		if full {
			e.host.network.insist(e.peer, e.peer.host.wake)
		}
		return n, 0
	}
	switch {
	case e.broken != 0:
		return 0, e.broken
	case e.ended:
		return 0, 0
	}
	return 0, EAGAIN
}

// Write sends as much of p as the window has room for, at the instant.
func (e *End) Write(p []byte, at timeline.Time) (int, Errno) {
	switch {
	case e.broken != 0:
		return 0, e.broken
	case e.sentEnd:
		return 0, EPIPE
	}
	n := min(len(p), e.room())
	if n <= 0 {
		if len(p) == 0 {
			return 0, 0
		}
		return 0, EAGAIN
	}
	b := append([]byte(nil), p[:n]...)
	if tap := e.host.network.Tap; tap != nil {
		tap.Sent(e.connection, e.accepted, b, at)
	}
	e.out.bytes += n
	e.out.push(packet{bytes: b}, at)
	return n, 0
}

// ShutdownWrite sends the end of the stream.
func (e *End) ShutdownWrite(at timeline.Time) Errno {
	if e.broken != 0 || e.sentEnd {
		return 0
	}
	e.sentEnd = true
	e.out.push(packet{end: true}, at)
	return 0
}

// Close gives the connection up. The kernel still delivers what was written; what then comes in is answered with a reset.
func (e *End) Close(at timeline.Time) {
	if e.gone {
		return
	}
	if len(e.in) > 0 {
		e.vanish(false)
		return
	}
	_ = e.ShutdownWrite(at)
	e.gone = true
	delete(e.host.ends, e)
	e.closedTap()
}

func (e *End) closedTap() {
	if tap := e.host.network.Tap; tap != nil && (e.peer == nil || e.peer.gone) {
		tap.Closed(e.connection, e.host.network.timeline.Now())
	}
}

// vanish forgets the connection at once, with what is still on its way from here. Unless the power failed, the kernel tells
// the other side by a reset.
func (e *End) vanish(power bool) {
	if e.gone && e.broken != 0 {
		return
	}
	e.gone, e.broken = true, ECONNRESET
	delete(e.host.ends, e)
	e.out.drop()
	e.closedTap()
	if peer := e.peer; peer != nil && !power {
		e.host.network.answer(peer, func() { peer.abort(ECONNRESET) })
	}
}

// abort ends the connection as seen from here.
func (e *End) abort(why Errno) {
	if e.broken != 0 {
		return
	}
	e.broken = why
	e.out.drop()
	if !e.gone {
		e.host.wake()
	}
}

func (s *stream) drop() {
	s.from.host.network.timeline.Cancel(s.event)
	s.event, s.queue, s.bytes = nil, nil, 0
}

func (s *stream) push(p packet, at timeline.Time) {
	p.arrives = s.link.arrival(at, len(p.bytes)+64)
	s.link.Carried.Packets++
	s.link.Carried.Bytes += int64(len(p.bytes))
	s.queue = append(s.queue, p)
	if len(s.queue) == 1 {
		s.schedule(p.arrives)
	}
}

func (s *stream) schedule(at timeline.Time) {
	t := s.from.host.network.timeline
	t.Cancel(s.event)
	s.event = t.At(at, s.arrive)
}

// arrive: the first packet of the queue is there, or has to be sent again.
func (s *stream) arrive() {
	s.event = nil
	if len(s.queue) == 0 {
		return
	}
	now := s.from.host.network.timeline.Now()
	if s.link.conditions.Clogged {
		s.link.clogged = append(s.link.clogged, s)
		s.link.Carried.Held += int64(len(s.queue))
		return
	}
	if s.held > 0 {
		return // LetGo goes on
	}
	if s.forgotten {
		return // and the sender's kernel goes on trying until long after the run
	}
	if !s.to.host.up || !s.link.passes() {
		s.again(now)
		return
	}
	s.wait = 0
	for len(s.queue) > 0 && s.queue[0].arrives <= now {
		p := s.queue[0]
		s.queue = s.queue[1:]
		if !s.deliver(p, now) {
			return
		}
	}
	if len(s.queue) > 0 {
		s.schedule(s.queue[0].arrives)
	}
}

// again waits and tries again, or gives up.
func (s *stream) again(now timeline.Time) {
	if s.wait == 0 {
		s.failing, s.wait = now, firstRetransmit
	} else {
		s.wait = min(2*s.wait, lastRetransmit)
	}
	if now.Sub(s.failing) > s.from.host.network.Patience {
		s.giveUp()
		return
	}
	s.schedule(now.Add(s.wait))
}

// giveUp ends the connection because nothing gets through.
func (s *stream) giveUp() {
	if d := s.dialing; d != nil && !d.done {
		d.finish(nil, ETIMEDOUT, s.from)
	}
	s.from.abort(ETIMEDOUT)
	s.drop()
}

// deliver hands p to the other side, and reports whether the stream goes on.
func (s *stream) deliver(p packet, now timeline.Time) bool {
	if p.open != nil {
		p.open()
		return true
	}
	to, n := s.to, s.from.host.network
	s.bytes -= len(p.bytes)
	if to.broken != 0 || (to.gone && len(p.bytes) > 0) { // the other kernel knows nothing of this connection
		s.drop()
		n.insist(s.from, func() { s.from.abort(ECONNRESET) })
		return false
	}
	through, cut := s.link.spend(len(p.bytes))
	if cut {
		p = packet{bytes: p.bytes[:through]}
		defer s.link.cut()
	}
	if p.end {
		to.ended = true
	} else {
		if n.Tap != nil {
			n.Tap.Arrived(to.connection, !to.accepted, p.bytes, now)
		}
		to.in = append(to.in, p.bytes...)
	}
	if !to.gone {
		to.host.wake()
	}
	return !cut
}
