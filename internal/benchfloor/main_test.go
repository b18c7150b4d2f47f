package main

import (
	"strings"
	"testing"
)

func TestSpeedIn(t *testing.T) {
	output := "goos: linux\nBenchmarkFloorPuts/kvorum-2 \t 500000\t 12500 ns/op\t 80000 ops/s\nBenchmarkFloorPuts/bare-raft-2\t500000\t8000.5 ns/op\nPASS\n"
	tests := map[string]float64{"BenchmarkFloorPuts/kvorum": 80_000, "BenchmarkFloorPuts/bare-raft": 1e9 / 8000.5}
	for benchmark, want := range tests {
		if got, err := speedIn(output, benchmark); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", benchmark, got, err, want)
		}
	}
	for _, bad := range []string{"", "BenchmarkFloorPuts/kvorum-2 1 0 ns/op", "BenchmarkFloorPuts/kvorumish-2 1 5 ns/op", "--- FAIL: BenchmarkFloorPuts/kvorum"} {
		if got, err := speedIn(bad, "BenchmarkFloorPuts/kvorum"); err == nil {
			t.Errorf("%q gave %v", bad, got)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, sorted := range map[float64][]float64{1: {1}, 2: {1, 3}, 3: {1, 3, 9}} {
		if got := median(sorted); got != want {
			t.Errorf("%v: %v, want %v", sorted, got, want)
		}
	}
}

// TestNoPairs: without a pair there is no median to print.
func TestNoPairs(t *testing.T) {
	if err := floors()[0].measure(0); err == nil || !strings.Contains(err.Error(), "pairs") {
		t.Errorf("0 pairs: %v", err)
	}
}
