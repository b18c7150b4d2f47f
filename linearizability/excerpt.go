package linearizability

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// excerpt is what a page draws of one key. A browser can't draw a long history, and most of it does not matter: a violation
// is drawn with the operations before it, from a state that an order of the others leaves. If no order of what is drawn
// explains it from there, then none of the whole does; so the violation shows in the excerpt, too.
type excerpt struct {
	key        string
	operations []Operation // in order of call
	begin      state       // before the first of them
	unknown    bool        // begin is not known: the first that tells something is taken at its word
	note       string      // what is left out, for people; "": nothing
}

// traceMemory bounds the search for the order that leads to an excerpt, bytes. Some 40,000 operations need as much.
const traceMemory = 256 << 20

// excerptOf is no more than so many operations of a key.
func excerptOf(ctx context.Context, m Model, k KeyReport, most int) excerpt {
	shown := k.upTo()
	x := excerpt{operations: shown, begin: state{exact: true}}
	switch after := len(k.History) - len(shown); {
	case len(shown) > most && k.showsAt():
		x = ending(ctx, m, shown, k.Search == Violation, most)
		x.note += fmt.Sprintf("; %d operations are left out", len(k.History)-len(x.operations))
	case len(shown) > most:
		x.operations = firstOf(shown, most)
		x.note = fmt.Sprintf("only the first %d of %d operations are drawn", len(x.operations), len(k.History))
	case after > 0:
		x.note = fmt.Sprintf("%d operations that were called after the violation shows, or reads that had not returned by then, are left out", after)
	}
	if k.Verdict == Violation && k.Search != Violation {
		x.note = strings.TrimPrefix(x.note+"; the replies by themselves can be explained, as drawn here: what is wrong with the order of the commits stands in "+reportPage, "; ")
	}
	x.key = k.Key
	return x
}

// showsAt reports whether it is known when a violation shows.
func (k *KeyReport) showsAt() bool {
	return k.Prefix != nil || k.Verdict != Linearizable && k.shows != Open
}

// firstOf cuts a history after about so many calls.
func firstOf(history []Operation, most int) []Operation {
	if kept := cutAt(history, history[most].Call-1); len(kept) > 0 {
		return kept
	}
	return history[:most] // all called at once
}

// ending is the end of a history: with violates its last return is the one by which it is a violation.
func ending(ctx context.Context, m Model, history []Operation, violates bool, most int) excerpt {
	before, places := history, make([]int, 0, len(history))
	if last := lastReturned(history); violates && last != nil {
		before = cutAt(history, last.Return-1)
		for i := range history {
			if !history[i].goneAt(last.Return - 1) {
				places = append(places, i)
			}
		}
	} else {
		for i := range history {
			places = append(places, i)
		}
	}
	order, ok := linearize(ctx, m, before)
	if !ok {
		return excerpt{
			operations: latest(history, most), unknown: true,
			note: fmt.Sprintf("the last %d operations up to the moment at which the violation shows are drawn; what the key was before them is not known here", most),
		}
	}
	for len(order) > 0 && before[order[len(order)-1].at].Outcome == Unknown {
		order = order[:len(order)-1] // they may as well come later
	}
	rest := unordered(history, places, order, most)
	from := min(len(order), max(0, len(order)+len(rest)-most))
	x := excerpt{begin: state{exact: true}}
	if from > 0 {
		x.begin = order[from-1].after
	}
	for _, s := range order[from:] {
		rest = append(rest, places[s.at])
	}
	slices.Sort(rest)
	for _, i := range rest {
		x.operations = append(x.operations, history[i])
	}
	x.note = fmt.Sprintf("the last %d operations up to the moment at which the violation shows are drawn; an order of those before them leaves the key as %s", len(rest), m.show(x.begin))
	return x
}

// unordered is what stands in no order yet: those that have returned, and of those that have not the ones called last.
func unordered(history []Operation, places []int, order []ordered, most int) (rest []int) {
	placed := make([]bool, len(history))
	for _, s := range order {
		placed[places[s.at]] = true
	}
	var open []int
	for i := range history {
		switch {
		case placed[i]:
		case history[i].Outcome == Unknown:
			open = append(open, i)
		default:
			rest = append(rest, i)
		}
	}
	slices.SortStableFunc(open, func(a, b int) int { return cmp.Compare(history[b].Call, history[a].Call) })
	return append(rest, open[:min(len(open), most/4)]...)
}

// ordered is one operation of an order: its place in the history, and what the key is after it.
type ordered struct {
	at    int
	after state
}

// linearize looks for an order of a history that is none of a violation. Writes of unknown outcome may be missing in it.
func linearize(ctx context.Context, m Model, history []Operation) ([]ordered, bool) {
	for _, guess := range []bool{true, false} {
		p := prepare(m, history, guess)
		if order := p.trace(&budget{ctx: ctx, limit: traceMemory, each: p.entryBytes()}); len(order) == len(p.inputs) {
			return order, true
		}
	}
	return nil, false
}

// traced is a place of the search and how it came there.
type traced struct {
	place
	last *link // nil at the beginning
}

type link struct {
	at     int
	after  state
	before *link
	length int
}

// trace searches as solve does, and gives the longest order that it came by.
func (p *problem) trace(b *budget) []ordered {
	if b.ctx.Err() != nil || len(p.inputs) == 0 {
		return nil
	}
	longest := &link{}
	m := p.porcupineModel(b)
	step, equal, hash := m.Step, m.Equal, m.Hash
	m.Init = func() any { return traced{place: place{state: state{exact: true}}} }
	m.Step = func(from, in, out any) (bool, any) {
		at := from.(traced)
		ok, next := step(at.place, in, out)
		if !ok {
			return false, from
		}
		to := traced{next.(place), &link{at: in.(*input).at, after: next.(place).state, before: at.last, length: 1}}
		if at.last != nil {
			to.last.length += at.last.length
		}
		if to.last.length > longest.length {
			longest = to.last
		}
		return true, to
	}
	m.Equal = func(x, y any) bool { return equal(x.(traced).place, y.(traced).place) }
	m.Hash = func(x any) uint64 { return hash(x.(traced).place) }
	porcupine.CheckEvents(m, p.events())
	order := make([]ordered, longest.length)
	for l, i := longest, longest.length-1; i >= 0; l, i = l.before, i-1 {
		order[i] = ordered{l.at, l.after}
	}
	return order
}
