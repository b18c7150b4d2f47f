package sim

import (
	"testing"

	"github.com/kvorum/kvorum/sim/schedule"
)

// TestWhatHasNoEffectDoesNotCount: that a rule was in force is no proof that it did anything.
func TestWhatHasNoEffectDoesNotCount(t *testing.T) {
	one := []string{"s0n1"}
	const at = schedule.Duration(begin)
	for id, f := range map[string]schedule.Fault{
		"bandwidth": {Nodes: one, At: at, For: 3 * second, Bytes: 1 << 40},
		"starve":    {Nodes: one, At: at, For: 3 * second, Amount: 1e-12, Mode: "newest"},
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			f.ID = id
			p := probe(t, f)
			want(t, p.nemesis.fired[id] == 0, "%d times", p.nemesis.fired[id])
			p.healthy()
			p.plain()
		})
	}
}
