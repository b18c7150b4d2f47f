package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
	"github.com/kvorum/kvorum/workload"
)

// keyLog is what became of one key, in commit order. State i is what a reader sees after i changes.
type keyLog struct {
	states []string         // what a read shows: the value, or absent
	place  map[string][]int // state -> where it is in states
	writes map[string]int   // unique value or idempotency key of a write -> the state that it made
}

const absentState = "\x00absent"

// judgeWeakReads: a stale read shows something that was once true; a bounded one nothing older than its bound. The order is the machines', the times are the clients' true ones.
func (w *World) judgeWeakReads(all []lin.Commit) {
	logs := map[string]*keyLog{}
	for _, c := range all {
		l := logs[c.Key]
		if l == nil {
			l = &keyLog{states: []string{absentState}, place: map[string][]int{absentState: {0}}, writes: map[string]int{}}
			logs[c.Key] = l
		}
		if c.Output.Result != lin.OK || c.Replayed {
			continue
		}
		state := absentState
		if c.Kind != lin.Delete {
			state = c.Input.Value
			l.writes[c.Input.Value] = len(l.states)
		} else if c.Input.IdempotencyKey != "" {
			l.writes[c.Input.IdempotencyKey] = len(l.states)
		}
		l.place[state] = append(l.place[state], len(l.states))
		l.states = append(l.states, state)
	}
	byKey := map[string][]*lin.Operation{}
	for i := range w.history.ops {
		o := &w.history.ops[i]
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		if l := logs[key]; l != nil {
			w.judgeWeakReadsOf(l, byKey[key])
		}
	}
}

// slack is what clocks that drift by up to 10 % and the way of a request may add to a bound.
const slack = workload.MaxStale / 8

func (w *World) judgeWeakReadsOf(l *keyLog, ops []*lin.Operation) {
	var failures []Failure
	for _, o := range ops {
		weak := wire.Consistency(o.Input.Consistency)
		if o.Kind != lin.Get || o.Outcome != lin.Applied || weak == "" || weak == wire.Linearizable {
			continue
		}
		state := absentState
		if o.Output.Result == lin.OK {
			state = o.Output.Value
		}
		places := l.place[state]
		if len(places) == 0 {
			failures = append(failures, Failure{"stale reads", 0, fmt.Sprintf("%s: it never was so", o)})
			continue
		}
		if weak != wire.Bounded {
			continue
		}
		// the state that was there when the bound began: made by writes acknowledged before it
		oldest := l.acknowledgedBefore(ops, o.Call-int64(workload.MaxStale+slack))
		if places[len(places)-1] < oldest {
			failures = append(failures, Failure{"bounded reads", 0, fmt.Sprintf("%s: overwritten more than %s before the call", o, time.Duration(workload.MaxStale))})
		}
	}
	slices.SortFunc(failures, func(a, b Failure) int { return strings.Compare(a.Detail, b.Detail) })
	for _, f := range failures {
		w.fail(f.Oracle, f.Detail)
	}
}

// acknowledgedBefore is the newest state that a client knew of at the instant.
func (l *keyLog) acknowledgedBefore(ops []*lin.Operation, at int64) (newest int) {
	for _, o := range ops {
		if o.Outcome != lin.Applied || o.Output.Result != lin.OK || o.Return >= at {
			continue
		}
		name := o.Input.Value
		if o.Kind == lin.Delete {
			name = o.Input.IdempotencyKey
		}
		if o.Kind != lin.Get && name != "" {
			newest = max(newest, l.writes[name])
		}
	}
	return newest
}
