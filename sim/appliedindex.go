package sim

import (
	"cmp"
	"fmt"
	"slices"

	lin "github.com/kvorum/kvorum/linearizability"
)

// place is one life of a node, and one of the shards that it told of.
type place struct {
	node  string
	life  int // starts before it
	shard uint32
}

// judgeAppliedIndex holds invariant I3 to what replicas told of themselves: the receipt of a read names the index up to which
// the replica had executed when it answered, and a replica that told of one may not tell a later reader of a lower one, but in
// another life. starts are the times at which each node's lives began.
func judgeAppliedIndex(operations []lin.Operation, starts map[string][]int64) (broken []string) {
	places := map[place][]*lin.Operation{}
	for i := range operations {
		o := &operations[i]
		if o.Kind != lin.Get || o.Outcome != lin.Applied || o.Receipt == nil || o.Receipt.Index == 0 {
			continue
		}
		life, between := slices.BinarySearch(starts[o.Node], o.Call)
		if next := starts[o.Node][life:]; between || len(next) > 0 && next[0] <= o.Return {
			continue // which of two lives answered is not known
		}
		p := place{o.Node, life, o.Receipt.Shard}
		places[p] = append(places[p], o)
	}
	for _, list := range places {
		broken = append(broken, backwards(list)...)
	}
	slices.Sort(broken)
	return broken
}

// backwards finds reads that began after another had returned that was told of a higher index.
func backwards(list []*lin.Operation) (broken []string) {
	returned := slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *lin.Operation) int { return cmp.Compare(a.Call, b.Call) })
	slices.SortStableFunc(returned, func(a, b *lin.Operation) int { return cmp.Compare(a.Return, b.Return) })
	var newest *lin.Operation // of those that have returned
	for _, o := range list {
		for len(returned) > 0 && returned[0].Return < o.Call {
			if r := returned[0]; newest == nil || r.Receipt.Index > newest.Receipt.Index {
				newest = r
			}
			returned = returned[1:]
		}
		if newest != nil && newest.Receipt.Index > o.Receipt.Index {
			broken = append(broken, fmt.Sprintf("%s was at index %d when it answered %s, and then at %d: %s", o.Node, newest.Receipt.Index, newest, o.Receipt.Index, o))
		}
	}
	return broken
}
