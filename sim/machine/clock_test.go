package machine

import (
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim/timeline"
	"pgregory.net/rapid"
)

// TestMonotonic lets rapid read a clock, change its rate and grain, and let its wall clock jump: the monotonic clock never
// goes back, also where a machine has read it ahead of the instant at which the world changes it.
func TestMonotonic(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := NewClock()
		now, ahead, last := timeline.Time(0), timeline.Time(0), int64(0)
		rt.Repeat(map[string]func(*rapid.T){
			"read": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 50_000_000).Draw(rt, "later")))
				ahead = max(ahead, now.Add(time.Duration(rapid.IntRange(0, 1_000_000).Draw(rt, "ahead"))))
				got := c.Monotonic(ahead)
				if got < last || got < 1 {
					rt.Fatalf("the clock shows %d after %d", got, last)
				}
				last = got
			},
			"rate":  func(rt *rapid.T) { c.SetRate(now, rapid.Float64Range(0, 1.1).Draw(rt, "rate")) },
			"grain": func(rt *rapid.T) { c.SetGrain(time.Duration(rapid.IntRange(0, 20_000_000).Draw(rt, "grain"))) },
			"jump":  func(rt *rapid.T) { c.Jump(time.Duration(rapid.IntRange(-1e9, 1e9).Draw(rt, "jump"))) },
		})
	})
}

func TestClock(t *testing.T) {
	c := NewClock()
	at := func(seconds int64) timeline.Time { return timeline.Time(seconds * int64(time.Second)) }
	since := func(from, to int64) int64 { return c.Monotonic(at(to)) - c.Monotonic(at(from)) }
	if got := since(0, 10); got != 10e9 {
		t.Errorf("a right clock counts %d ns in 10 s", got)
	}
	c.SetRate(at(10), 1.1)
	if got := since(10, 20); got < 10.99e9 || got > 11.01e9 {
		t.Errorf("a fast clock counts %d ns in 10 s", got)
	}
	if got := c.real(11 * time.Second); got < 9990*time.Millisecond || got > 10010*time.Millisecond {
		t.Errorf("a wait of 11 s by a fast clock takes %s", got)
	}
	c.SetRate(at(20), 0)
	if got := since(20, 30); got != 0 {
		t.Errorf("a clock that stands counts %d ns", got)
	}
	wall := c.Wall(at(30))
	c.Jump(-time.Hour)
	if got := c.Wall(at(30)) - wall; got != -int64(time.Hour) {
		t.Errorf("the wall clock jumped by %d ns", got)
	}
	c.SetGrain(time.Second)
	c.SetRate(at(30), 1)
	for s := range int64(5) {
		if got := c.Monotonic(at(31 + s).Add(time.Millisecond)); got%1e9 != 0 && got != c.floor {
			t.Errorf("a clock with a grain of 1 s shows %d ns", got)
		}
	}
}

// TestWaitFollowsTheClock: a machine that waits for an instant of its clock waits anew when the clock's rate changes.
func TestWaitFollowsTheClock(t *testing.T) {
	line, c := &timeline.Timeline{}, NewClock()
	m := &Machine{Config: Config{Timeline: line, Clock: c}}
	second := func(s float64) timeline.Time { return timeline.Time(s * float64(time.Second)) }
	m.wakeAt = c.exact(0) + int64(10*time.Second)
	m.setTimer(second(10))
	change := func(at, rate float64) {
		line.At(second(at), func() {
			c.SetRate(line.Now(), rate)
			m.ClockChanged()
		})
	}
	change(2, 0)   // stands for two seconds
	change(4, 1.1) // 8 s to go, which take 7.27 s
	for line.Next(second(11.2)) {
	}
	if m.due != nil {
		t.Fatalf("it wakes at %v already", m.dueAt)
	}
	for m.due == nil && line.Next(second(20)) {
	}
	if at := time.Duration(m.dueAt); at < 11270*time.Millisecond || at > 11280*time.Millisecond {
		t.Errorf("it wakes after %s, want 4s + 8s/1.1", at)
	}
	m.ClockChanged() // with nothing to wait for
}
