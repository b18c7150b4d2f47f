package sim

import (
	"testing"

	"github.com/kvorum/kvorum/sim/schedule"
)

// TestDrift: clocks run too fast or too slow from the beginning and after a fault, and never by more than the model allows.
func TestDrift(t *testing.T) {
	w := newWorld(&schedule.Schedule{Seed: 1, Shards: 1, Replicas: 5, Drift: mostDrift}, Options{})
	rates := map[float64]bool{}
	for _, n := range w.nodes {
		own := n.clock.Rate()
		rates[own] = true
		if own < 1-mostDrift || own > 1+mostDrift {
			t.Errorf("%s: rate %v", n.Name, own)
		}
		end := w.nemesis.clock(&clockRule{node: n, rate: 1.09})
		if r := n.clock.Rate(); r <= own || r > 1+mostDrift {
			t.Errorf("%s: rate %v under a fault, %v without", n.Name, r, own)
		}
		if end(); n.clock.Rate() != own {
			t.Errorf("%s: rate %v after a fault, %v before", n.Name, n.clock.Rate(), own)
		}
	}
	if len(rates) != 5 {
		t.Errorf("rates %v, want five", rates)
	}
}
