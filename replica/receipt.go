package replica

import (
	"net/http"
	"strconv"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Receipt says who carried an operation out, and from which state. It is the headers Kvorum-Node to Kvorum-Consistency.
type Receipt struct {
	Node        string
	Shard       store.Shard
	Epoch       store.Epoch
	Term, Index uint64
	Consistency string
}

const writeConsistency = "linearizable; leader"

func (r *Replica) readReceipt(view *store.View, read controller.ReadReceipt) Receipt {
	return Receipt{Node: read.Node, Shard: r.shard, Epoch: view.Epoch(), Term: read.Term, Index: read.Index, Consistency: read.Consistency}
}

// writeReceipt tells where the write took effect: for a replayed one that is where the first was applied.
func (r *Replica) writeReceipt(applied controller.Applied) Receipt {
	receipt := Receipt{Node: applied.Node, Shard: r.shard, Epoch: applied.Result.Epoch, Term: applied.Term, Index: applied.Index, Consistency: writeConsistency}
	if applied.Result.Replayed {
		receipt.Term, receipt.Index = applied.Result.ReplayTerm, applied.Result.ReplayIndex
	}
	return receipt
}

// numbers remembers where header values end in one text, so that a reply costs two allocations for all of them. The text
// goes through its methods instead of being kept in it: kept, it could not stay on the stack.
type numbers struct {
	ends [8]int
	n    int
}

func (f *numbers) uint(text []byte, v uint64) []byte { return f.cut(strconv.AppendUint(text, v, 10)) }

// cut ends a value.
func (f *numbers) cut(text []byte) []byte {
	f.ends[f.n] = len(text)
	f.n++
	return text
}

// values returns what was formatted, in order, with room for extra values of the caller behind.
func (f *numbers) values(text []byte, extra int) []string {
	all := string(text)
	values := make([]string, f.n+extra)
	from := 0
	for i, end := range f.ends[:f.n] {
		values[i] = all[from:end]
		from = end
	}
	return values
}

// one is the i-th of values as a header's value list. Its capacity ends there: appending to it can't touch the next.
func one(values []string, i int) []string { return values[i : i+1 : i+1] }

// WriteHeaders puts the receipt, and the session that has seen it, into h.
func (c Receipt) WriteHeaders(h http.Header, session Session) {
	var scratch [160]byte
	var f numbers
	text := c.format(scratch[:0], &f, session)
	c.place(h, f.values(text, 2))
}

const receiptNumbers = 5

func (c Receipt) format(text []byte, f *numbers, session Session) []byte {
	text = f.uint(text, uint64(c.Shard))
	text = f.uint(text, uint64(c.Epoch))
	text = f.uint(text, c.Term)
	text = f.uint(text, c.Index)
	return f.cut(session.appendWith(text, c.Shard, c.Index))
}

// place fills the headers from what format made, plus two more values for the texts.
func (c Receipt) place(h http.Header, values []string) {
	h[wire.HeaderShard] = one(values, 0)
	h[wire.HeaderEpoch] = one(values, 1)
	h[wire.HeaderTerm] = one(values, 2)
	h[wire.HeaderIndex] = one(values, 3)
	h[wire.HeaderSession] = one(values, 4)
	last := len(values) - 2
	values[last], values[last+1] = c.Node, c.Consistency
	h[wire.HeaderNode] = one(values, last)
	h[wire.HeaderConsistency] = one(values, last+1)
}
