package linearizability

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

// place is a state of the search: what the key holds, and how many unknown writes of each class have been placed.
type place struct {
	state
	placed string // two bytes for each class, once there was one
}

// maxClassRank is what two bytes can count: of more unknown writes that do the same, the rest are left in any order.
const maxClassRank = 1 << 16

func (p place) count(class int) int {
	if 2*class+1 >= len(p.placed) {
		return 0
	}
	return int(p.placed[2*class])<<8 | int(p.placed[2*class+1])
}

// step is one operation taking effect next.
func (p *problem) step(from place, in *input) (bool, place) {
	if in.observed && from.least < in.floor {
		return false, from // a write that was told a lower revision has to come before
	}
	ranked := in.class >= 0 && in.rank < maxClassRank-1
	if ranked && from.count(in.class) != in.rank {
		return false, from
	}
	ok, next := p.model.step(from.state, in.op)
	to := place{next, from.placed}
	if ok && ranked {
		counts := make([]byte, 2*p.classes)
		copy(counts, from.placed)
		counts[2*in.class], counts[2*in.class+1] = byte((in.rank+1)>>8), byte(in.rank+1)
		to.placed = string(counts)
	}
	return ok, to
}

// budget bounds one search. Porcupine remembers every configuration it has been in; it has no bound of its own, and is
// stopped here by a model in which nothing is possible any more. It searches the keys of a page side by side.
type budget struct {
	ctx     context.Context
	limit   int64 // bytes
	each    int64 // of one configuration
	used    atomic.Int64
	steps   atomic.Int64
	stopped atomic.Bool
}

// entryBytes is what a configuration of n operations takes: bitset, state, and its share of the map and the stack.
func (p *problem) entryBytes() int64 {
	n := len(p.inputs)
	return int64(n+63)/64*8 + 2*int64(p.classes) + 320
}

func (b *budget) spent() bool {
	if b.steps.Add(1)%1024 == 0 && b.ctx.Err() != nil || b.used.Load() > b.limit {
		b.stopped.Store(true)
	}
	return b.stopped.Load()
}

// porcupineModel is the problem for porcupine. Inputs are *input, outputs are not used.
func (p *problem) porcupineModel(b *budget) porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Init: func() any { return place{state: state{exact: true}} },
		Step: func(from, in, _ any) (bool, any) {
			if b.spent() {
				return false, from
			}
			ok, to := p.step(from.(place), in.(*input))
			if ok {
				b.used.Add(b.each)
			}
			return ok, to
		},
		Equal: func(x, y any) bool {
			if x.(place) != y.(place) {
				return false
			}
			b.used.Add(-b.each) // it has been here before
			return true
		},
		Hash:              func(at any) uint64 { return maphash.Comparable(seed, at.(place)) },
		DescribeOperation: func(in, _ any) string { return in.(*input).op.String() },
		DescribeState:     func(at any) string { return at.(place).String() },
	}
}

// searcher searches within bounds.
type searcher struct {
	model   Model
	memory  int64 // bytes for one search
	workers int   // that share the memory
	timeout time.Duration
}

// why says for people what a search lacked.
func (s searcher) why(l Lack) string {
	switch l {
	case LackOfMemory:
		text := fmt.Sprintf("undecided: the memory did not suffice; the search of this key could remember %s", mebibytes(s.memory))
		if s.workers > 1 {
			text += fmt.Sprintf(", its share of %s for %d keys at once", mebibytes(s.memory*int64(s.workers)), s.workers)
		}
		return text
	case LackOfTime:
		text := "undecided: the time did not suffice"
		if s.timeout > 0 {
			text += fmt.Sprintf("; the whole check had %s", s.timeout)
		}
		return text
	}
	return "undecided: the check was interrupted before it was done with this key"
}

func mebibytes(n int64) string { return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20)) }

// lackOf says what ended ctx.
func lackOf(ctx context.Context) Lack {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return LackOfTime
	}
	return Interrupted
}

// search looks for a linearization of the operations of one key, in order of call.
func (s searcher) search(ctx context.Context, history []Operation) (Verdict, Lack) {
	p := prepare(s.model, history, true)
	verdict, lacked := s.solve(ctx, p)
	if !p.guesses || verdict == Linearizable {
		return verdict, lacked
	}
	return s.solve(ctx, prepare(s.model, history, false))
}

func (s searcher) solve(ctx context.Context, p *problem) (Verdict, Lack) {
	if ctx.Err() != nil {
		return Undecided, lackOf(ctx)
	}
	if p.hopeless {
		return Violation, ""
	}
	b := &budget{ctx: ctx, limit: s.memory, each: p.entryBytes()}
	switch {
	case checkProblem(p.porcupineModel(b), p):
		return Linearizable, "" // complete, even if the bound was reached with the last step
	case b.stopped.Load() && (b.used.Load() > b.limit || ctx.Err() == nil):
		return Undecided, LackOfMemory
	case b.stopped.Load():
		return Undecided, lackOf(ctx)
	}
	return Violation, ""
}

func checkProblem(m porcupine.Model, p *problem) bool { return porcupine.CheckEvents(m, p.events()) }

// shortestViolation cuts the history, which is a violation, at the first return by which it is one. What is under way at
// the cut counts as unknown; a history cut so is linearizable if the whole is, so the cuts can be searched by halves. Where
// ctx or the memory doesn't suffice, it gives the shortest that it has found.
func (s searcher) shortestViolation(ctx context.Context, history []Operation) []Operation {
	var cuts []int64
	for _, o := range history {
		if o.Outcome != Unknown {
			cuts = append(cuts, o.Return)
		}
	}
	slices.Sort(cuts)
	high := len(cuts) - 1 // cuts[high] is known to violate
	halve := func(violates func([]Operation) bool) {
		for low := 0; low < high && ctx.Err() == nil; {
			middle := (low + high) / 2
			if violates(cutAt(history, cuts[middle])) {
				high = middle
			} else {
				low = middle + 1
			}
		}
	}
	if prepare(s.model, history, false).hopeless {
		halve(func(cut []Operation) bool { return prepare(s.model, cut, false).hopeless }) // costs next to nothing
	}
	deadline, limited := ctx.Deadline()
	halve(func(cut []Operation) bool {
		ctx := ctx
		if limited { // one hard cut must not use up the time of all
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/4)
			defer cancel()
		}
		verdict, _ := s.search(ctx, cut)
		return verdict == Violation
	})
	return cutAt(history, cuts[high])
}

// goneAt: a history that is cut does not have the operation at all.
func (o *Operation) goneAt(cut int64) bool { return o.Call > cut || o.Kind == Get && o.Return > cut }

func cutAt(history []Operation, cut int64) []Operation {
	var kept []Operation
	for _, o := range history {
		switch {
		case o.goneAt(cut):
			continue
		case o.Return > cut:
			o.Outcome, o.Output, o.Return = Unknown, Output{}, Open
		}
		kept = append(kept, o)
	}
	return kept
}
