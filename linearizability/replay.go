package linearizability

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// The replay asks if one given order of the writes, that of their commits, explains a history. Between two neighbouring
// commits lies a gap, in which the key does not change; a read has to find a gap whose state it saw.
//
// An order is right in time if no operation in it stands before one that had returned before it was called. So write i may
// stand where it does if no later write had returned by its call, and a read may lie in gap g if
//
//	low[g] <= its return	low[g]: the latest call of the writes before g
//	its call <= high[g]	high[g]: the earliest return of the writes after g
//
// and if reads that returned before its call lie no later than it. Both bounds only grow with g.

// maxReasons bounds what is said of one key.
const maxReasons = 12

// replay judges one key by its commits. A violation shows at the return of some operation: the earliest such moment that is
// known, nanoseconds, else Open.
func (m Model) replay(p *part) (verdict Verdict, reasons []string, shows int64) {
	a := auditor{model: m, state: state{exact: true}}
	a.run(p.commits)
	x := newMatcher(m, p.history, a.elements)
	x.run()
	faults := slices.Concat(p.commitFaults, a.faults, x.faults)
	guessed := slices.Concat(x.guessed, x.place(false))
	if len(guessed) > 0 && x.ambiguous && len(faults) == 0 {
		// Another assignment might do. What is wrong even if those writes could have been at any time is certain.
		if guessed = x.place(true); len(guessed) == 0 {
			return Undecided, []string{"writes that can't be told apart were assigned to commits in a way that does not fit; another may"}, Open
		}
	}
	faults = append(faults, guessed...)
	if len(faults) == 0 {
		return Linearizable, nil, Open
	}
	if more := len(faults) - maxReasons; more > 0 {
		faults = append(faults[:maxReasons:maxReasons], fmt.Sprintf("... and %d more", more))
	}
	return Violation, faults, x.shows
}

// place checks the assignment against real time and looks for the reads' places. With certain it forgets what was guessed.
func (x *matcher) place(certain bool) []string {
	r := &replayer{matcher: x}
	if certain {
		r.skipped = map[int]bool{}
		for _, c := range x.classes {
			if len(c.open) > 0 {
				x.release(c)
				for _, i := range c.operations {
					r.skipped[i] = x.commitOf[i] < 0
				}
			}
		}
	}
	r.times = x.times()
	r.cutSegments()
	r.checkWrites()
	r.placeReads()
	r.checkReceipts()
	return r.faults
}

// bounds are explained above. Gap g lies before element g, the last one after all elements.
type bounds struct{ low, high []int64 }

func (x *matcher) times() bounds {
	n := len(x.elements)
	b := bounds{make([]int64, n+1), make([]int64, n+1)}
	b.low[0], b.high[n] = math.MinInt64, Open
	for e := range n {
		b.low[e+1] = b.low[e]
		if i := x.writeOf[e]; i >= 0 {
			b.low[e+1] = max(b.low[e], x.history[i].Call)
		}
	}
	for e := n - 1; e >= 0; e-- {
		b.high[e] = b.high[e+1]
		if i := x.writeOf[e]; i >= 0 {
			b.high[e] = min(b.high[e], x.history[i].Return)
		}
	}
	return b
}

// segment is a run of gaps in which the key does not change.
type segment struct {
	state    state
	from, to int // gaps, both included
}

type replayer struct {
	*matcher
	times    bounds
	skipped  map[int]bool // operations of which nothing certain is known
	segments []segment
	seen     map[seen][]segment
	faults   []string
}

// seen is what a read may see: a revision, or in the model Register a value.
type seen struct {
	present  bool
	revision uint64
	value    string
}

func (r *replayer) see(s state) seen {
	switch {
	case !s.present:
		return seen{}
	case r.model == Register:
		return seen{present: true, value: s.value}
	}
	return seen{present: true, revision: s.least}
}

func (r *replayer) fault(format string, args ...any) {
	r.noteMoment(args)
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *replayer) cutSegments() {
	now := segment{state: state{exact: true}}
	r.seen = map[seen][]segment{}
	keep := func() {
		r.segments = append(r.segments, now)
		s := r.see(now.state)
		r.seen[s] = append(r.seen[s], now)
	}
	for i, e := range r.elements {
		if e.commit.effective() {
			keep()
			now = segment{state: e.after, from: i + 1}
		}
		now.to = i + 1
	}
	keep()
}

// checkWrites checks the order of the commits against real time.
func (r *replayer) checkWrites() {
	latest := -1 // the operation with the latest call so far
	for e, i := range r.writeOf {
		if i < 0 {
			continue
		}
		if o := &r.history[i]; latest >= 0 && r.history[latest].Call > o.Return {
			r.fault("committed in the wrong order: %s, which had returned before %s was called, comes after it, at %s", o, &r.history[latest], r.elements[e].commit)
		}
		if latest < 0 || r.history[i].Call > r.history[latest].Call {
			latest = i
		}
	}
}

// placeReads puts each read, in order of call, into the first gap where it can be. No other choice leaves more room to
// those that come later.
func (r *replayer) placeReads() {
	type placed struct {
		end int64
		gap int
	}
	var over []placed // min-heap would do; kept sorted by end, as they are few at any time
	floor := 0        // gap of the latest read that has returned
	for i := range r.history {
		o := &r.history[i]
		if !o.Kind.reads() && (r.commitOf[i] >= 0 || o.Outcome != NotApplied || r.skipped[i]) {
			continue
		}
		done := 0
		for ; done < len(over) && over[done].end < o.Call; done++ {
			floor = max(floor, over[done].gap)
		}
		over = over[done:]
		gap, ok := r.find(o, floor)
		if !ok {
			continue
		}
		at, _ := slices.BinarySearchFunc(over, o.Return, func(p placed, end int64) int { return cmp.Compare(p.end, end) })
		over = slices.Insert(over, at, placed{o.Return, gap})
	}
}

// find gives the first gap from floor on for one observation.
func (r *replayer) find(o *Operation, floor int) (gap int, ok bool) {
	where := r.where(o)
	if len(where) == 0 {
		r.fault("saw what never was: %s", o)
		return 0, false
	}
	first := sort.Search(len(r.times.high), func(g int) bool { return r.times.high[g] >= o.Call })
	last := sort.Search(len(r.times.low), func(g int) bool { return r.times.low[g] > o.Return }) - 1
	from := max(first, floor)
	k := sort.Search(len(where), func(k int) bool { return where[k].to >= from })
	if k < len(where) {
		if gap := max(where[k].from, from); gap <= last {
			return gap, true
		}
	}
	r.explain(o, where, first, floor)
	return 0, false
}

func (r *replayer) explain(o *Operation, where []segment, first, floor int) {
	end := where[len(where)-1].to
	switch {
	case end < first:
		r.fault("stale: %s, though %s had been acknowledged before it was called", o, r.nextChange(end))
	case end < floor:
		r.fault("went back: %s, though a read that had returned before it was called saw a later state, after %s", o, r.nextChange(end))
	default:
		r.fault("saw no state of its time: %s", o)
	}
}

func (r *replayer) nextChange(gap int) string {
	for _, e := range r.elements[min(gap, len(r.elements)):] {
		if e.commit.effective() {
			return e.commit.String()
		}
	}
	return "nothing"
}

// where lists the segments that an observation fits, in order.
func (r *replayer) where(o *Operation) []segment {
	if o.Output.Result == Absent {
		return r.seen[seen{}]
	}
	if o.Kind == Get {
		s := seen{present: true, revision: o.Output.Revision}
		if r.model == Register {
			s = seen{present: true, value: o.Output.Value}
		}
		if found := r.seen[s]; len(found) > 0 && found[0].state.value == o.Output.Value {
			return found
		}
		return nil
	}
	var fit []segment // a refused write that no machine has seen: rare
	for _, s := range r.segments {
		if ok, _ := r.model.step(s.state, o); ok {
			fit = append(fit, s)
		}
	}
	return fit
}

// checkReceipts: a read's receipt names the index up to which the replica had executed when it answered.
func (r *replayer) checkReceipts() {
	for i := 1; i < len(r.elements); i++ {
		if r.elements[i].commit.Shard != r.elements[0].commit.Shard {
			return // the key has moved: indexes of two logs can't be compared
		}
	}
	for i := range r.history {
		o := &r.history[i]
		if o.Kind != Get || o.Receipt == nil || o.Receipt.Index == 0 {
			continue
		}
		gap := sort.Search(len(r.elements), func(e int) bool { return r.elements[e].commit.Index > o.Receipt.Index })
		k := sort.Search(len(r.segments), func(k int) bool { return r.segments[k].to >= gap })
		if ok, _ := r.model.step(r.segments[k].state, o); !ok || len(r.elements) > 0 && o.Receipt.Shard != r.elements[0].commit.Shard {
			r.fault("the receipt of %s says shard %d, index %d; there the key was %s", o, o.Receipt.Shard, o.Receipt.Index, r.segments[k].state)
		}
	}
}
