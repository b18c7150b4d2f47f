package machine

import (
	"time"

	"github.com/kvorum/kvorum/sim/timeline"
)

// Clock is a machine's: its monotonic clock runs at a rate of its own, its wall clock also has an offset that may jump.
// It goes on through crashes, as the battery-driven one does; after a crash the monotonic clock starts anew.
type Clock struct {
	since  timeline.Time // base is the reading at this instant
	base   float64       // nanoseconds
	rate   float64       // nanoseconds of this clock per true one
	offset time.Duration // of the wall clock
}

// epoch is the true wall time at the start of every world: 2026-01-01T00:00:00Z.
const epoch = 1_767_225_600_000_000_000

// NewClock returns a right clock: rate 1, no offset.
func NewClock() *Clock { return &Clock{rate: 1} }

// Monotonic is the reading at the instant, in nanoseconds since the clock began.
func (c *Clock) Monotonic(at timeline.Time) int64 {
	return int64(c.base+float64(at.Sub(c.since))*c.rate) + 1
}

// Wall is the reading at the instant, in nanoseconds since 1970.
func (c *Clock) Wall(at timeline.Time) int64 { return epoch + c.Monotonic(at) + int64(c.offset) }

// SetRate lets the clock run at another rate from the instant on.
func (c *Clock) SetRate(at timeline.Time, rate float64) {
	c.base += float64(at.Sub(c.since)) * c.rate
	c.since, c.rate = at, rate
}

// Jump sets the wall clock forth or back.
func (c *Clock) Jump(d time.Duration) { c.offset += d }

// Offset of the wall clock against the monotonic one.
func (c *Clock) Offset() time.Duration { return c.offset }

// Rate is the present one.
func (c *Clock) Rate() float64 { return c.rate }

// real is the true time that d on this clock takes.
func (c *Clock) real(d time.Duration) time.Duration {
	return time.Duration(float64(d)/c.rate) + 1
}
