package workload

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	p := &pace{aim: 1001, end: at(50), clients: 4}
	for _, c := range []struct {
		begun int64 // before
		at    float64
		want  time.Duration
	}{
		{0, 0, 200 * time.Millisecond},    // 1000 left in 50 s, 4 at a time
		{500, 25, 200 * time.Millisecond}, // half of both
		{500, 40, 80 * time.Millisecond},  // late: faster
		{500, 49.9, leastPause},           // but not at any price
		{500, 51, leastPause},
		{998, 0, mostPause},   // early: slower
		{1000, 20, mostPause}, // done
		{2000, 20, mostPause},
	} {
		p.begun.Store(c.begun)
		if got := p.mean(at(c.at)); got != c.want {
			t.Errorf("%d begun after %v s: a pause of %s, want %s", c.begun, c.at, got, c.want)
		}
	}
	if got := (&pace{fixed: time.Second}).mean(start); got != time.Second {
		t.Errorf("without an aim: %s", got)
	}
}
