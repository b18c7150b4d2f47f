package sim

import (
	"testing"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

func TestWithoutStandstills(t *testing.T) {
	at := func(s float64) int64 { return int64(s * float64(time.Second)) }
	frozen := []standstill{{"s0n0", at(10), at(20)}}
	for name, c := range map[string]struct {
		node        string
		consistency wire.Consistency
		call        float64
		left        int
	}{
		"sent while the clock stood":   {"s0n0", wire.Bounded, 19, 0},
		"soon after":                   {"s0n0", wire.Bounded, 21, 0},
		"long after":                   {"s0n0", wire.Bounded, 25, 1},
		"before":                       {"s0n0", wire.Bounded, 9, 1},
		"at another node":              {"s0n1", wire.Bounded, 19, 1},
		"of another kind":              {"s0n0", wire.Stale, 19, 1},
		"a linearizable one is judged": {"s0n0", "", 19, 1},
	} {
		o := lin.Operation{Kind: lin.Get, Node: c.node, Call: at(c.call), Return: at(c.call + 0.5)}
		o.Input.Consistency = string(c.consistency)
		if left := withoutStandstills([]lin.Operation{o}, frozen); len(left) != c.left {
			t.Errorf("%s: %d are judged, want %d", name, len(left), c.left)
		}
	}
}
