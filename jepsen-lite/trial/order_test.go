package trial

import (
	"strings"
	"testing"
)

// TestReplicasThatDiffer at the same index are found without their logs.
func TestReplicasThatDiffer(t *testing.T) {
	all := []shown{{"s0n0", 0, 7, "x"}, {"s0n1", 0, 8, "y"}, {"s0n2", 0, 7, "x"}, {"s1n0", 1, 7, "z"}}
	if found := disagreeing(all); len(found) > 0 {
		t.Errorf("%q", found)
	}
	all[2].digest = "other"
	found := readOrder(2, all, nil).findings // no disks either
	if len(found) == 0 || !strings.Contains(found[0], "s0n2 holds the state other and s0n0") {
		t.Errorf("%q", found)
	}
}
