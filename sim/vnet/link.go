package vnet

import (
	"math/rand/v2"
	"time"

	"github.com/kvorum/kvorum/sim/timeline"
)

// Conditions of one direction between two hosts.
type Conditions struct {
	Delay     time.Duration // of every packet
	Jitter    time.Duration // and up to this more, evenly drawn
	Tail      float64       // chance that a packet takes TailDelay more
	TailDelay time.Duration
	Loss      float64 // chance that a packet is lost, and again when it is retransmitted
	Bandwidth int64   // bytes a second; 0: no bound
	Cut       bool    // nothing arrives
	Clogged   bool    // nothing arrives until this ends, then all at once: no packet is lost
}

// Link is one direction between two hosts.
type Link struct {
	from, to   *Host
	conditions Conditions
	draw       *rand.Rand
	freeAt     timeline.Time // when the last packet has left, under Bandwidth
	clogged    []*stream     // that wait for the end of a clog
	// Carried counts packets and bytes sent, packets that Loss and Cut took, that took the TailDelay, that a clog held, and that
	// had to wait, under Bandwidth, until those before them had left.
	Carried struct{ Packets, Bytes, Lost, Stopped, Tailed, Held, Queued int64 }

	cutAfter int64 // bytes that still get through before all connections are reset; < 0: no end
	onCut    func()
}

// retransmission as in TCP, shortened at the far end so that a connection's end fits into a run.
const (
	firstRetransmit = 200 * time.Millisecond
	lastRetransmit  = 5 * time.Second
)

// arrival draws when a packet of n bytes that leaves at the instant arrives, if it does.
func (l *Link) arrival(at timeline.Time, n int) timeline.Time {
	c := &l.conditions
	d := c.Delay
	if c.Jitter > 0 {
		d += time.Duration(l.draw.Int64N(int64(c.Jitter)))
	}
	if c.Tail > 0 && l.draw.Float64() < c.Tail {
		d += c.TailDelay
		l.Carried.Tailed++
	}
	if c.Bandwidth > 0 {
		if l.freeAt > at {
			l.Carried.Queued++
		}
		at = max(at, l.freeAt).Add(time.Duration(int64(n) * int64(time.Second) / c.Bandwidth))
		l.freeAt = at
	}
	return at.Add(d)
}

// passes decides whether a packet that arrives now gets through.
func (l *Link) passes() bool {
	if l.conditions.Cut {
		l.Carried.Stopped++
		return false
	}
	if l.conditions.Loss > 0 && l.draw.Float64() < l.conditions.Loss {
		l.Carried.Lost++
		return false
	}
	return true
}

// Conditions are those in force.
func (l *Link) Conditions() Conditions { return l.conditions }

// Set puts other conditions in force, for packets on their way too.
func (l *Link) Set(c Conditions) {
	l.conditions = c
	if c.Clogged {
		return
	}
	waiting := l.clogged
	l.clogged = nil
	for _, s := range waiting {
		s.schedule(l.from.network.timeline.Now())
	}
}

// CutAfter lets so many more bytes through, then resets every connection over the link, in the middle of a message as it may
// be, and calls then. A negative number takes the plan back.
func (l *Link) CutAfter(bytes int64, then func()) { l.cutAfter, l.onCut = bytes, then }

// spend takes the bytes of a packet that arrives off the plan of CutAfter, and returns how many of them still get through.
func (l *Link) spend(bytes int) (through int, cut bool) {
	if l.cutAfter < 0 {
		return bytes, false
	}
	if int64(bytes) < l.cutAfter {
		l.cutAfter -= int64(bytes)
		return bytes, false
	}
	through = int(l.cutAfter)
	l.cutAfter = -1
	return through, true
}

// cut carries out the plan of CutAfter.
func (l *Link) cut() {
	l.from.network.Reset(l.from, l.to)
	if then := l.onCut; then != nil {
		l.onCut = nil
		then()
	}
}

// reset ends all connections that a's side knows to b, by resets that arrive at once: what a middlebox does.
func (n *Network) reset(a, b *Host) (ended int) {
	for _, e := range a.sortedEnds() {
		if e.peerHost == b && e.broken == 0 {
			ended++
			e.abort(ECONNRESET)
			if e.peer != nil {
				e.peer.abort(ECONNRESET)
			}
		}
	}
	return ended
}

// Forget lets a middlebox forget connections between a and b: nothing of them gets through any more, in either direction,
// and nobody is told; connections made later work. Each is forgotten with the given chance. It returns how many were.
//
// A forgotten connection stays silent for good. Kernels give up too, but by default after some 15 minutes, longer than any run;
// with Patience here the world ended by itself what the program has to end.
func (n *Network) Forget(a, b *Host, chance float64, draw *rand.Rand) (forgotten int) {
	for _, e := range a.sortedEnds() {
		if e.peerHost == b && e.broken == 0 && !e.out.forgotten && draw.Float64() < chance {
			forgotten++
			e.out.forgotten = true
			if e.peer != nil {
				e.peer.out.forgotten = true
			}
		}
	}
	return forgotten
}

// Hold keeps what connections between a and b carry, in either direction, until it is let go, each with the given chance;
// connections made later go on, and overtake.
func (n *Network) Hold(a, b *Host, chance float64, draw *rand.Rand) (list []*Held) {
	for _, e := range a.sortedEnds() {
		if e.peerHost == b && e.broken == 0 && e.peer != nil && draw.Float64() < chance {
			list = append(list, n.hold(e.out, e.peer.out))
		}
	}
	return list
}

// HoldOneWay keeps what connections carry from one host to the other; what they carry back goes on.
func (n *Network) HoldOneWay(from, to *Host) (list []*Held) {
	for _, e := range to.sortedEnds() { // what was sent and closed on the other side is still on its way
		if e.peerHost == from && e.broken == 0 && e.peer != nil {
			list = append(list, n.hold(e.peer.out))
		}
	}
	return list
}

// Holding reports whether anything is held.
func (n *Network) Holding() bool {
	for _, h := range n.order {
		for _, e := range h.sortedEnds() {
			if e.out.held > 0 {
				return true
			}
		}
	}
	return false
}

func (n *Network) hold(streams ...*stream) *Held {
	for _, s := range streams {
		s.held++
	}
	return &Held{timeline: n.timeline, streams: streams}
}

// Held is a connection, or one direction of it, that is held.
type Held struct {
	timeline *timeline.Timeline
	streams  []*stream
	over     bool
}

// LetGo returns how many packets had waited; none if it was let go before. It delivers all of them at once, also those of a
// connection that a side has given up meanwhile: so messages arrive that nobody remembers sending.
func (h *Held) LetGo() (waited int) {
	if h.over {
		return 0
	}
	h.over = true
	for _, s := range h.streams {
		if s.held--; s.held == 0 && len(s.queue) > 0 {
			waited += len(s.queue)
			s.schedule(h.timeline.Now())
		}
	}
	return waited
}
