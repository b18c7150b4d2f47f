package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// part is what a history says of one key, in the terms that both methods judge: reads and writes of that key only, no
// listings, writes under one idempotency key merged into one.
type part struct {
	key     string
	history []Operation // in order of call
	refused []Operation // writes that, as their clients were told, never happened and never will
	faults  []string    // violations that need no search
	shows   int64       // when the first of the faults shows, nanoseconds; Open if it is not known
	commits []Commit    // of this key, in order; see order.go

	commitFaults []string // violations that the commits show by themselves
}

// splitter makes parts of a history.
type splitter struct {
	report *Report
	byKey  map[string]*part
	lists  []Operation
}

// split drops what says nothing and divides the rest by key.
func (r *Report) split(history []Operation) map[string]*part {
	s := splitter{report: r, byKey: map[string]*part{}}
	for _, o := range history {
		s.add(o)
	}
	s.expand()
	for _, p := range s.byKey {
		p.mergeIdempotent()
		slices.SortStableFunc(p.history, func(a, b Operation) int { return cmp.Compare(a.Call, b.Call) })
	}
	return s.byKey
}

func (s *splitter) add(o Operation) {
	switch {
	case o.Weak():
		s.report.Weak++
		return
	case o.Output.Result == "" && (o.Kind.reads() || o.Outcome == NotApplied):
		s.report.Dropped++
		if !o.Kind.reads() {
			s.of(o.Key).refused = append(s.of(o.Key).refused, o)
		}
		return
	case o.Outcome == Unknown:
		o.Return = Open // though its client has gone on to other operations
	}
	s.report.Judged++
	if o.Kind == List {
		s.lists = append(s.lists, o)
		return
	}
	s.of(o.Key).history = append(s.of(o.Key).history, o)
}

func (s *splitter) of(key string) *part {
	p := s.byKey[key]
	if p == nil {
		p = &part{key: key, shows: Open}
		s.byKey[key] = p
	}
	return p
}

// expand turns each listing into one get per key. Keys that nothing else in the history names were absent all the time.
func (s *splitter) expand() {
	if len(s.lists) == 0 {
		return
	}
	for _, o := range s.lists {
		for _, item := range o.Listing.Items {
			s.of(item.Key)
		}
	}
	keys := make([]string, 0, len(s.byKey))
	for key := range s.byKey {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, o := range s.lists {
		from, _ := slices.BinarySearch(keys, max(o.Listing.Prefix, o.Listing.After))
		for _, key := range keys[from:] {
			if key > o.Listing.Prefix && !strings.HasPrefix(key, o.Listing.Prefix) {
				break
			}
			if o.Listing.covers(key) {
				p := s.of(key)
				p.history = append(p.history, o.get(key))
			}
		}
	}
}

// get is what a listing says of one key that it covers.
func (o *Operation) get(key string) Operation {
	g := *o
	g.Kind, g.Key, g.Listing, g.Receipt, g.Output = Get, key, nil, nil, Output{Result: Absent}
	i, found := slices.BinarySearchFunc(o.Listing.Items, key, func(item Item, key string) int { return strings.Compare(item.Key, key) })
	if found {
		item := o.Listing.Items[i]
		g.Output = Output{Result: OK, Value: item.Value, Revision: item.Revision}
	}
	return g
}

// mergeIdempotent makes one operation of all those that share an idempotency key. It took effect at most once, not before
// the first of them was called and not after the first reply; all replies are the same.
func (p *part) mergeIdempotent() {
	groups := map[string][]Operation{}
	var order []string
	var kept []Operation
	for _, o := range p.history {
		key := o.Input.IdempotencyKey
		if key == "" {
			kept = append(kept, o)
			continue
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], o)
	}
	for _, key := range order {
		merged, fault, shows := mergeGroup(groups[key])
		if fault != "" {
			p.faults, p.shows = append(p.faults, fault), min(p.shows, shows)
		}
		kept = append(kept, merged...)
	}
	p.history = kept
}

func mergeGroup(group []Operation) (merged []Operation, fault string, shows int64) {
	var first *Operation // with a reply
	for i := range group {
		if o := &group[i]; o.Output.Result != "" && (first == nil || o.Return < first.Return) {
			first = o
		}
	}
	if first == nil {
		return mergeUnknown(group), "", Open
	}
	one := *first
	for i := range group {
		o := &group[i]
		same := o.Kind == one.Kind && o.Input == one.Input
		if o.Output.Result != "" {
			if !same {
				return group, fmt.Sprintf("two different writes were executed under the idempotency key %s: %s and %s", quote(one.Input.IdempotencyKey), &one, o), o.Return
			}
			if !sameReply(&one, o) {
				return group, fmt.Sprintf("two different replies under the idempotency key %s: %s and %s", quote(one.Input.IdempotencyKey), &one, o), o.Return
			}
			one.Output.Revision = max(one.Output.Revision, o.Output.Revision) // a delete may have been told it only once
		}
		if same { // another write under the same key was refused, or is the one that lost its reply: never executed
			one.Call = min(one.Call, o.Call)
		}
	}
	return []Operation{one}, "", Open
}

// mergeUnknown merges those that are the same write. Nobody knows which of several different ones came first.
func mergeUnknown(group []Operation) (merged []Operation) {
	for _, o := range group {
		i := slices.IndexFunc(merged, func(m Operation) bool { return m.Kind == o.Kind && m.Input == o.Input })
		if i < 0 {
			merged = append(merged, o)
			continue
		}
		merged[i].Call = min(merged[i].Call, o.Call)
	}
	return merged
}

func sameReply(a, b *Operation) bool {
	untold := a.Kind == Delete && a.Output.Result == OK && (a.Output.Revision == 0 || b.Output.Revision == 0)
	return a.Output.Result == b.Output.Result && (untold || a.Output.Revision == b.Output.Revision)
}
