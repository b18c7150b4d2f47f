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

// numbers formats many header values into one string, so that a reply costs two allocations for all of them.
type numbers struct {
	text []byte
	ends [8]int
	n    int
}

func (f *numbers) uint(v uint64) { f.text = strconv.AppendUint(f.text, v, 10); f.cut() }

func (f *numbers) cut() { f.ends[f.n] = len(f.text); f.n++ }

// values returns what was formatted, in order, with room for extra values of the caller behind.
func (f *numbers) values(extra int) []string {
	all := string(f.text)
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
	f := numbers{text: scratch[:0]}
	c.format(&f, session)
	values := f.values(2)
	c.place(h, values)
}

const receiptNumbers = 5

func (c Receipt) format(f *numbers, session Session) {
	f.uint(uint64(c.Shard))
	f.uint(uint64(c.Epoch))
	f.uint(c.Term)
	f.uint(c.Index)
	f.text = session.appendWith(f.text, c.Shard, c.Index)
	f.cut()
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
