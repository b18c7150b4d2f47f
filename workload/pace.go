package workload

import (
	"sync/atomic"
	"time"
)

// pace is how fast a crowd works. All its clients share it.
type pace struct {
	aim     int64
	end     time.Time
	clients int
	fixed   time.Duration // without an aim
	begun   atomic.Int64  // operations
}

// Bounds of a mean pause on the way to an aim: nobody hurries more than that to make time good, or sleeps through the rest.
const (
	leastPause = 10 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// mean is asked for once an operation: how long to wait, on average, before the next one of the same client.
func (p *pace) mean(now time.Time) time.Duration {
	if p.aim == 0 {
		return p.fixed
	}
	left := p.aim - p.begun.Add(1)
	if left <= 0 {
		return mostPause
	}
	return min(max(p.end.Sub(now)*time.Duration(p.clients)/time.Duration(left), leastPause), mostPause)
}
