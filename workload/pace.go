package workload

import (
	"sync/atomic"
	"time"
)

// pace is how fast a crowd works. All its clients share it.
type pace struct {
	rate    float64 // operations a second; 0: fixed pauses
	start   time.Time
	clients int
	fixed   time.Duration
	beat    time.Duration // 0: none
	begun   atomic.Int64  // operations
}

// What the mean pause at a rate depends on.
const (
	makeGood   = 10 * time.Second       // the time within which a crowd makes good what it is behind
	leastPause = 10 * time.Millisecond  // nobody hurries more than that,
	mostPause  = 500 * time.Millisecond // or waits longer if the crowd is ahead
)

// wait is how long a client waits that drew so many times the mean. With a beat it goes on at the next one of all clients, so that
// several begin at the same moment, and meet in one batch, one round, one lock.
func (p *pace) wait(times float64, now time.Time) time.Duration {
	d := time.Duration(times * float64(p.mean(now)))
	if p.beat == 0 {
		return d
	}
	since := now.Sub(p.start) + d
	return (since+p.beat-1)/p.beat*p.beat - now.Sub(p.start)
}

// mean is asked for once an operation: how long to wait, on average, before the next one of the same client. It knows nothing of
// the end, so a run cut short is the beginning of the longer one.
func (p *pace) mean(now time.Time) time.Duration {
	if p.rate == 0 {
		return p.fixed
	}
	behind := p.rate*now.Sub(p.start).Seconds() - float64(p.begun.Add(1))
	coming := p.rate*makeGood.Seconds() + behind // operations in that time
	if coming <= 0 {
		return mostPause
	}
	return min(max(time.Duration(float64(makeGood)*float64(p.clients)/coming), leastPause), mostPause)
}
