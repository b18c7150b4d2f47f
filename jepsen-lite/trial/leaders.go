package trial

import (
	"cmp"
	"fmt"
	"slices"

	lin "github.com/kvorum/kvorum/linearizability"
)

// leaders gives the changes of leaders that the receipts of writes tell: a write is executed by the leader of its term, so the
// first one acknowledged in a term shows who leads. A leader that got no write done does not show.
func leaders(operations []lin.Operation) []lin.Annotation {
	type term struct {
		shard uint32
		term  uint64
	}
	first := map[term]*lin.Operation{}
	for i := range operations {
		o := &operations[i]
		if o.Receipt == nil || !acknowledgedWrite(o) {
			continue
		}
		t := term{o.Receipt.Shard, o.Receipt.Term}
		if known := first[t]; known == nil || o.Return < known.Return {
			first[t] = o
		}
	}
	var changes []lin.Annotation
	for t, o := range first {
		changes = append(changes, lin.Annotation{Kind: "leader", Text: fmt.Sprintf("%s in term %d", o.Node, t.term), Node: fmt.Sprintf("shard %d", t.shard), Start: o.Return})
	}
	slices.SortFunc(changes, func(a, b lin.Annotation) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Node, b.Node))
	})
	return changes
}
