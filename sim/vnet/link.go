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
	Carried    struct{ Packets, Bytes, Lost, Stopped int64 }
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
	}
	if c.Bandwidth > 0 {
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

// reset ends all connections over the link, in either direction, by resets that arrive at once: what a middlebox does.
func (n *Network) reset(a, b *Host) {
	for _, e := range a.sortedEnds() {
		if e.peerHost == b {
			e.abort(ECONNRESET)
			if e.peer != nil {
				e.peer.abort(ECONNRESET)
			}
		}
	}
}
