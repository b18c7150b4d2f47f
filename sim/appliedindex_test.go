package sim

import (
	"testing"

	lin "github.com/kvorum/kvorum/linearizability"
)

// TestAppliedIndex: what a replica tells of itself may only grow in one life.
func TestAppliedIndex(t *testing.T) {
	read := func(node string, index uint64, call, back int64) lin.Operation {
		return lin.Operation{Kind: lin.Get, Key: "k", Node: node, Outcome: lin.Applied, Call: call, Return: back, Receipt: &lin.Receipt{Index: index}}
	}
	shard := func(shard uint32, o lin.Operation) lin.Operation {
		o.Receipt.Shard = shard
		return o
	}
	starts := map[string][]int64{"a": {0, 100}, "b": {0}}
	for name, c := range map[string]struct {
		history []lin.Operation
		broken  int
	}{
		"grows":                        {[]lin.Operation{read("a", 5, 1, 2), read("a", 5, 3, 4), read("a", 7, 5, 6)}, 0},
		"goes back":                    {[]lin.Operation{read("a", 7, 1, 2), read("a", 5, 3, 4)}, 1},
		"goes back twice":              {[]lin.Operation{read("a", 7, 1, 2), read("a", 5, 3, 4), read("a", 6, 5, 6), read("a", 8, 7, 8)}, 2},
		"told in another order":        {[]lin.Operation{read("a", 5, 3, 4), read("a", 7, 1, 2)}, 1},
		"overlapping":                  {[]lin.Operation{read("a", 7, 1, 4), read("a", 5, 3, 6)}, 0},
		"of another node":              {[]lin.Operation{read("a", 7, 1, 2), read("b", 5, 3, 4)}, 0},
		"of another shard":             {[]lin.Operation{shard(1, read("a", 7, 1, 2)), read("a", 5, 3, 4)}, 0},
		"in another life":              {[]lin.Operation{read("a", 7, 1, 2), read("a", 5, 103, 104)}, 0},
		"back in the second life":      {[]lin.Operation{read("a", 7, 101, 102), read("a", 5, 103, 104)}, 1},
		"in one of two lives, unknown": {[]lin.Operation{read("a", 7, 98, 104), read("a", 5, 105, 106)}, 0},
		"of a node unheard of":         {[]lin.Operation{read("c", 7, 1, 2)}, 0},
	} {
		if broken := judgeAppliedIndex(c.history, starts); len(broken) != c.broken {
			t.Errorf("%s: %q, want %d", name, broken, c.broken)
		}
	}
}
