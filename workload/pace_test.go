package workload

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	start := time.Unix(0, 0)
	p := &pace{rate: 20, start: start, clients: 4}
	for _, c := range []struct {
		begun   int64 // with the one that asks
		seconds float64
		want    time.Duration
	}{
		{20, 1, 200 * time.Millisecond}, // in time: 200 in the next 10 s, 4 at a time
		{1000, 50, 200 * time.Millisecond},
		{800, 50, 100 * time.Millisecond}, // behind by as much as is due in 10 s: twice as fast
		{0, 1000, leastPause},             // but not at any price
		{1150, 50, mostPause},             // ahead: 50 in the next 10 s would be a pause of 800 ms
		{2000, 50, mostPause},             // far ahead
	} {
		p.begun.Store(c.begun - 1)
		if got := p.mean(start.Add(time.Duration(c.seconds * float64(time.Second)))); got != c.want {
			t.Errorf("%d begun after %v s: a pause of %s, want %s", c.begun, c.seconds, got, c.want)
		}
	}
	if got := (&pace{fixed: time.Second}).mean(start); got != time.Second {
		t.Errorf("without a rate: %s", got)
	}
}

// TestBeat: with a beat, whatever a client drew, it goes on at one of its multiples, the next after its wait.
func TestBeat(t *testing.T) {
	start := time.Unix(1000, 0)
	p := &pace{start: start, fixed: 20 * time.Millisecond, beat: 50 * time.Millisecond}
	for _, c := range []struct {
		now, want int64 // milliseconds after the start
		times     float64
	}{{0, 0, 0}, {1, 50, 0}, {0, 50, 1}, {40, 100, 1}, {30, 50, 1}, {49, 150, 3}, {50, 50, 0}} {
		now := start.Add(time.Duration(c.now) * time.Millisecond)
		if at := now.Add(p.wait(c.times, now)).Sub(start).Milliseconds(); at != c.want {
			t.Errorf("at %d ms, having drawn %v: goes on at %d ms, want %d", c.now, c.times, at, c.want)
		}
	}
	if d := (&pace{start: start, fixed: 20 * time.Millisecond}).wait(2, start); d != 40*time.Millisecond {
		t.Errorf("without a beat it waits %s", d)
	}
}
