package linearizability

import (
	"cmp"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// The search is exponential in what it can't tell apart early. Before it starts, everything is drawn from the history that
// holds in every linearization of it:
//
//   - a write of unknown outcome whose value nobody else writes and somebody read took effect before that read ended;
//   - the revisions that were told order the operations that were told them, so an operation can't take effect after the
//     return of one that comes later in that order, nor before the call of one that comes earlier;
//   - a value that was read was written;
//   - of unknown writes that do the same, and whose values nobody reads, the one called first may as well come first.
//
// What is left to the search are the operations that were told nothing.

// input is one operation as the search sees it.
type input struct {
	op       *Operation
	at       int  // its place in the history
	observed bool // by its revision it stands after all told writes up to floor
	floor    uint64
	class    int // of unknown writes that do the same, -1: none
	rank     int // within the class
}

// problem is one key, prepared.
type problem struct {
	model    Model
	inputs   []input
	calls    []int64
	returns  []int64
	order    []int64 // told order, for ties; 0: untold
	classes  int
	guesses  bool // unknown writes were left out: a violation proves nothing
	hopeless bool // no linearization exists
}

// prepare makes a problem of operations in order of call. With guess it leaves out unknown writes that nobody observed: if
// what is left is linearizable then so is the whole, with these put last.
func prepare(m Model, history []Operation, guess bool) *problem {
	p := &problem{model: m}
	seen := observedValues(history)
	classes := map[classKey]int{}
	ranks := []int{}
	for i := range history {
		o := &history[i]
		in := input{op: o, at: i, class: -1}
		end := o.Return
		if o.Outcome == Unknown {
			end = Open
			switch read := seen[o.Input.Value]; {
			case o.Kind != Delete && read.writers == 1 && read.readers > 0:
				resolved := *o
				resolved.Outcome, resolved.Output = Applied, Output{Result: OK, Revision: read.revision}
				in.op, end = &resolved, read.end
			case guess:
				p.guesses = true
				continue
			default:
				k := classKey{kind: o.Kind, input: o.Input}
				if k.input.IdempotencyKey = ""; o.Kind == Delete || read.readers == 0 && !read.compared {
					k.input.Value = "" // nobody will know
				}
				c, known := classes[k]
				if !known {
					c = len(ranks)
					classes[k], ranks = c, append(ranks, 0)
				}
				in.class, in.rank = c, ranks[c]
				ranks[c]++
			}
		}
		p.inputs = append(p.inputs, in)
		p.calls, p.returns = append(p.calls, o.Call), append(p.returns, end)
	}
	p.classes = len(ranks)
	p.order = make([]int64, len(p.inputs))
	if m != Register {
		p.tighten()
	}
	for i := range p.inputs {
		o := p.inputs[i].op
		p.hopeless = p.hopeless || o.Kind == Get && o.Output.Result == OK && seen[o.Output.Value].writers == 0
		p.hopeless = p.hopeless || p.calls[i] > p.returns[i]
	}
	return p
}

type classKey struct {
	kind  Kind
	input Input
}

// observation is what a history says of one value.
type observation struct {
	writers, readers int
	revision         uint64 // told by the first reader
	end              int64  // of the first read that ended
	compared         bool   // some write asks for it
}

func observedValues(history []Operation) map[string]observation {
	seen := map[string]observation{}
	for i := range history {
		o := &history[i]
		switch {
		case o.Kind == Get && o.Output.Result == OK:
			v := seen[o.Output.Value]
			if v.readers == 0 || o.Return < v.end {
				v.end, v.revision = o.Return, o.Output.Revision
			}
			v.readers++
			seen[o.Output.Value] = v
		case o.Kind != Get && o.Kind != Delete:
			v := seen[o.Input.Value]
			v.writers++
			seen[o.Input.Value] = v
		}
		if o.Input.ByValue {
			v := seen[o.Input.Expected]
			v.compared = true
			seen[o.Input.Expected] = v
		}
	}
	return seen
}

// told is where the revision that an operation was told puts it: after the write of that revision, or it is that write.
func told(o *Operation) (revision uint64, write, ok bool) {
	r := o.Output.Revision
	switch {
	case r == 0 || o.Outcome == Unknown || o.Output.Result == Absent:
		return 0, false, false
	case o.Kind == Get, o.Output.Result == PreconditionFailed:
		return r, false, true
	}
	return r, true, true
}

// tighten narrows the intervals by the order of the revisions, and notes it for the steps of the search and for ties.
func (p *problem) tighten() {
	type ordered struct {
		i        int
		revision uint64
		write    bool
	}
	var all []ordered
	for i := range p.inputs {
		if r, write, ok := told(p.inputs[i].op); ok {
			all = append(all, ordered{i, r, write})
		}
	}
	place := func(o ordered) (uint64, int) { // of equals, the write first
		if o.write {
			return o.revision, 0
		}
		return o.revision, 1
	}
	compare := func(a, b ordered) int {
		ra, wa := place(a)
		rb, wb := place(b)
		return cmp.Or(cmp.Compare(ra, rb), cmp.Compare(wa, wb))
	}
	slices.SortStableFunc(all, compare)
	var lastWrite uint64
	latest, next := int64(math.MinInt64), int64(math.MinInt64) // call: of all places before this one, and with it
	for k, o := range all {
		if k == 0 || compare(all[k-1], o) != 0 {
			latest = next
		}
		next = max(next, p.calls[o.i])
		p.calls[o.i] = max(p.calls[o.i], latest)
		in := &p.inputs[o.i]
		in.observed, in.floor = true, lastWrite
		p.order[o.i] = int64(k) + 1
		if o.write && (k+1 == len(all) || compare(o, all[k+1]) != 0) {
			lastWrite = o.revision
		}
	}
	earliest, before := int64(Open), int64(Open)
	for k := len(all) - 1; k >= 0; k-- {
		o := all[k]
		if k == len(all)-1 || compare(all[k+1], o) != 0 {
			earliest = before
		}
		before = min(before, p.returns[o.i])
		p.returns[o.i] = min(p.returns[o.i], earliest)
	}
}

// events is the history as porcupine takes it. At one time calls come before returns, as intervals are closed, and calls
// in the order in which the search should try them: as told, then the untold, then the unknown.
func (p *problem) events() []porcupine.Event {
	type moment struct {
		time  int64
		kind  int // 0 call, 1 return
		order int64
		i     int
	}
	var all []moment
	for i := range p.inputs {
		order := p.order[i]
		if order == 0 {
			order = math.MaxInt64 - 1
		}
		if p.inputs[i].class >= 0 {
			order = math.MaxInt64
		}
		all = append(all, moment{p.calls[i], 0, order, i}, moment{p.returns[i], 1, order, i})
	}
	slices.SortFunc(all, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.kind, b.kind), cmp.Compare(a.order, b.order), cmp.Compare(a.i, b.i))
	})
	events := make([]porcupine.Event, len(all))
	for k, m := range all {
		in := &p.inputs[m.i]
		events[k] = porcupine.Event{ClientId: in.op.Client, Kind: porcupine.EventKind(m.kind == 1), Value: in, Id: m.i}
	}
	return events
}
