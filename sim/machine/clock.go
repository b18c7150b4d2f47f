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
	grain  int64         // nanoseconds between two readings; 0: 1
	floor  int64         // the monotonic clock never shows less
	read   timeline.Time // the latest instant that anybody asked for: machines run ahead of the timeline
}

// epoch is the true wall time at the start of every world: 2026-01-01T00:00:00Z.
const epoch = 1_767_225_600_000_000_000

// NewClock returns a right clock: rate 1, no offset.
func NewClock() *Clock { return &Clock{rate: 1} }

// Monotonic is the reading at the instant, in nanoseconds since the clock began. It is 1 at least: Go takes 0 for no clock.
func (c *Clock) Monotonic(at timeline.Time) int64 {
	c.read = max(c.read, at)
	reading := c.exact(at)
	if c.grain > 1 {
		reading = max(1, reading/c.grain*c.grain)
	}
	return max(c.floor, reading)
}

// exact is the reading of a clock without grain.
func (c *Clock) exact(at timeline.Time) int64 {
	return int64(c.base+float64(at.Sub(c.since))*c.rate) + 1
}

// SetGrain makes the clock coarse: its readings are multiples of grain, so that events apart have equal times. 0 ends it.
func (c *Clock) SetGrain(grain time.Duration) {
	c.floor = c.Monotonic(c.read)
	c.grain = int64(grain)
}

// Wall is the reading at the instant, in nanoseconds since 1970.
func (c *Clock) Wall(at timeline.Time) int64 { return epoch + c.Monotonic(at) + int64(c.offset) }

// SetRate lets the clock run at another rate from the instant on; 0 stops it. Machines that wait must be told: ClockChanged.
func (c *Clock) SetRate(at timeline.Time, rate float64) {
	at = max(at, c.read) // what was read stays true
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
	if c.rate <= 0 {
		return stopped
	}
	return time.Duration(float64(d)/c.rate) + 1
}

// stopped is how long a wait by a clock that stands takes: longer than any run.
const stopped = 1000 * time.Hour
