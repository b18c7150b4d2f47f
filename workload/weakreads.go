package workload

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

// keyLog is what became of one key, in commit order. State i is what a reader sees after i changes.
type keyLog struct {
	states []string         // what a read shows: the value with its revision, or absent
	at     []uint64         // state -> index of the entry that made it; 0 for the first
	place  map[string][]int // state -> where it is in states
	writes map[string]int   // unique value or idempotency key of a write -> the state that it made
}

const absentState = "\x00absent"

func stateOf(value string, revision uint64) string { return fmt.Sprintf("%s\x00%d", value, revision) }

// Broken is a promise that a weak read broke: which, and how.
type Broken struct{ Promise, Detail string }

// JudgeWeakReads judges the reads of a crowd that asked for less than linearizable, which the search leaves out: a stale read shows
// something that was once true; a bounded one nothing older than its bound; one of a client with a session nothing older than
// what that client was told before. The order is the machines', the times are the clients' true ones. It says how many it judged: those
// that were answered.
func JudgeWeakReads(order []lin.Commit, operations []lin.Operation) (judged int, broken []Broken) {
	for i := range operations {
		if judgeable(&operations[i]) {
			judged++
		}
	}
	broken = weakReads(keyLogs(order), operations)
	slices.SortStableFunc(broken, func(a, b Broken) int { return strings.Compare(a.Detail, b.Detail) })
	return judged, broken
}

func judgeable(o *lin.Operation) bool {
	return o.Kind == lin.Get && o.Outcome == lin.Applied && o.Weak()
}

// newKeyLog is of a key that was never written.
func newKeyLog() *keyLog {
	return &keyLog{states: []string{absentState}, at: []uint64{0}, place: map[string][]int{absentState: {0}}, writes: map[string]int{}}
}

func keyLogs(all []lin.Commit) map[string]*keyLog {
	logs := map[string]*keyLog{}
	for _, c := range all {
		l := logs[c.Key]
		if l == nil {
			l = newKeyLog()
			logs[c.Key] = l
		}
		if c.Output.Result != lin.OK || c.Replayed {
			continue
		}
		state := absentState
		if c.Kind != lin.Delete {
			state = stateOf(c.Input.Value, c.Output.Revision)
			l.writes[c.Input.Value] = len(l.states)
		} else if c.Input.IdempotencyKey != "" {
			l.writes[c.Input.IdempotencyKey] = len(l.states)
		}
		l.place[state] = append(l.place[state], len(l.states))
		l.states, l.at = append(l.states, state), append(l.at, c.Index)
	}
	return logs
}

func weakReads(logs map[string]*keyLog, ops []lin.Operation) (failures []Broken) {
	floors := sessionFloors(ops)
	byKey := map[string][]*lin.Operation{}
	for i := range ops {
		byKey[ops[i].Key] = append(byKey[ops[i].Key], &ops[i])
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		l := logs[key]
		if l == nil {
			l = newKeyLog()
		}
		failures = append(failures, l.judge(byKey[key], floors)...)
	}
	return failures
}

// sessionFloors says of each read of a client with a session which index of the shard's log it must show at least: the highest
// that a reply to the same client carried before.
func sessionFloors(ops []lin.Operation) map[*lin.Operation]uint64 {
	byClient := map[int][]*lin.Operation{}
	for i := range ops {
		if o := &ops[i]; HasSession(o.Client) {
			byClient[o.Client] = append(byClient[o.Client], o)
		}
	}
	floors := map[*lin.Operation]uint64{}
	for _, list := range byClient {
		slices.SortStableFunc(list, func(a, b *lin.Operation) int { return cmp.Compare(a.Call, b.Call) })
		told := map[uint32]uint64{} // one operation at a time, so what went before has returned
		for _, o := range list {
			if o.Receipt == nil {
				continue // no reply: it told nothing, and shows nothing
			}
			floors[o] = told[o.Receipt.Shard]
			told[o.Receipt.Shard] = max(told[o.Receipt.Shard], o.Receipt.Index)
		}
	}
	return floors
}

// slack is what clocks that drift by up to 10 % and the way of a request may add to a bound.
const slack = MaxStale / 8

func (l *keyLog) judge(ops []*lin.Operation, floors map[*lin.Operation]uint64) (failures []Broken) {
	for _, o := range ops {
		if !judgeable(o) {
			continue
		}
		state := absentState
		if o.Output.Result == lin.OK {
			state = stateOf(o.Output.Value, o.Output.Revision)
		}
		places := l.place[state]
		if len(places) == 0 {
			failures = append(failures, Broken{"stale reads", fmt.Sprintf("%s: it never was so, or not with revision %d", o, o.Output.Revision)})
			continue
		}
		newest := places[len(places)-1]
		if floor := floors[o]; newest < l.stateAt(floor) {
			failures = append(failures, Broken{"session reads", fmt.Sprintf("%s: overwritten by index %d, which this client had been told of", o, floor)})
		}
		// the state that was there when the bound began: made by writes acknowledged before it
		if wire.Consistency(o.Input.Consistency) == wire.Bounded && newest < l.acknowledgedBefore(ops, o.Call-int64(MaxStale+slack)) {
			failures = append(failures, Broken{"bounded reads", fmt.Sprintf("%s: overwritten more than %s before the call", o, time.Duration(MaxStale))})
		}
	}
	return failures
}

// stateAt is the state that the log made up to an index.
func (l *keyLog) stateAt(index uint64) int {
	after, _ := slices.BinarySearchFunc(l.at, index+1, cmp.Compare[uint64])
	return after - 1
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
