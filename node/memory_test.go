package node

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestCollectorLimit(t *testing.T) {
	for quota, want := range map[uint64]int64{
		0:              128 << 20,
		256 << 20:      (576 + 128) << 20,
		8 << 30:        18<<30 + 128<<20,
		math.MaxUint64: math.MaxInt64,
	} {
		if got := collectorLimit(quota); got != want {
			t.Errorf("quota %d: limit %d, want %d", quota, got, want)
		}
	}
}

// TestTuneCollector: what the environment says stands, and what it does not say is set.
func TestTuneCollector(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	for _, c := range []struct {
		gogc, memlimit string
		percent        int
		limit          int64
	}{
		{"", "", gcPercent, collectorLimit(1 << 30)},
		{"70", "", 50, collectorLimit(1 << 30)},
		{"", "1GiB", gcPercent, 1 << 40},
		{"70", "1GiB", 50, 1 << 40},
	} {
		t.Setenv("GOGC", c.gogc)
		t.Setenv("GOMEMLIMIT", c.memlimit)
		debug.SetGCPercent(50) // stands for what the runtime took from the environment at its start
		debug.SetMemoryLimit(1 << 40)
		TuneCollector(1 << 30)
		if got := debug.SetGCPercent(50); got != c.percent {
			t.Errorf("GOGC=%q: %d %%, want %d", c.gogc, got, c.percent)
		}
		if got := debug.SetMemoryLimit(-1); got != c.limit {
			t.Errorf("GOMEMLIMIT=%q: limit %d, want %d", c.memlimit, got, c.limit)
		}
	}
}
