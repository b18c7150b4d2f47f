package trial

import (
	"strings"
	"testing"

	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// TestOnlyOneIsAlone: of all cuts between containers only those can be made that take one of them from the network.
func TestOnlyOneIsAlone(t *testing.T) {
	members := []string{"a", "b", "c"}
	for _, p := range netns.Partitions() {
		want := map[string]string{"one": "b", "leader": "b", "halves": "a"}[p.Name]
		if got := alone(p.Links(members, "b"), len(members)); got != want {
			t.Errorf("%s: %q, want %q", p.Name, got, want)
		}
	}
}

// TestReplicasThatDiffer at the same index are found without their logs.
func TestReplicasThatDiffer(t *testing.T) {
	all := []shown{{name: "s0n0", applied: 7, digest: "x"}, {name: "s0n1", applied: 8, digest: "y"}, {name: "s0n2", applied: 7, digest: "x"}, {name: "s1n0", shard: 1, applied: 7, digest: "z"}}
	if o := (&containers{}).order(all); len(o.findings) > 0 || o.commits != nil || o.why == "" {
		t.Errorf("%+v", o)
	}
	all[2].digest = "other"
	if o := (&containers{}).order(all); len(o.findings) != 1 || !strings.Contains(o.findings[0], "s0n2 holds the state other and s0n0") {
		t.Errorf("%+v", o)
	}
}
