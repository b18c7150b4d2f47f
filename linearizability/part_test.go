package linearizability

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func list(call, end int64, l Listing) Operation {
	return Operation{Kind: List, Call: call, Return: end, Outcome: Applied, Output: Output{Result: OK}, Listing: &l}
}

func keyed(key string, o Operation) Operation {
	o.Key = key
	return o
}

func TestListingsAreReadsOfEachKey(t *testing.T) {
	history := []Operation{
		keyed("a", at(1, 2, put("1", 1))), keyed("b", at(1, 2, put("2", 1))), keyed("ba", at(9, 10, put("3", 2))), keyed("c", at(1, 2, put("4", 1))),
	}
	items := func(all ...Item) []Item { return all }
	a, b, ba, c := Item{"a", "1", 1}, Item{"b", "2", 1}, Item{"ba", "3", 2}, Item{"c", "4", 1}
	for _, x := range []struct {
		name string
		want string // keys in violation
		list Operation
	}{
		{"all", "", list(11, 12, Listing{Items: items(a, b, ba, c)})},
		{"during the write of ba", "", list(5, 12, Listing{Items: items(a, b, c)})},
		{"a key is missing", "b", list(11, 12, Listing{Items: items(a, ba, c)})},
		{"a key too much", "d", list(11, 12, Listing{Items: items(a, b, ba, c, Item{"d", "5", 1})})},
		{"too early", "ba", list(3, 4, Listing{Items: items(a, b, ba, c)})},
		{"prefix", "", list(11, 12, Listing{Prefix: "b", Items: items(b, ba)})},
		{"prefix, one missing", "ba", list(11, 12, Listing{Prefix: "b", Items: items(b)})},
		{"a page", "", list(11, 12, Listing{After: "a", More: true, Items: items(b, ba)})},
		{"a page lacks its first", "b", list(11, 12, Listing{After: "a", More: true, Items: items(ba)})},
		{"the last page", "c", list(11, 12, Listing{After: "ba"})},
		{"wrong value", "c", list(11, 12, Listing{Prefix: "c", Items: items(Item{"c", "5", 1})})},
	} {
		if err := x.list.Validate(); err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
		report := Check(context.Background(), append(slices.Clone(history), x.list), Options{})
		var bad []string
		for _, k := range report.Keys {
			if k.Verdict == Violation {
				bad = append(bad, k.Key)
			}
		}
		if got := strings.Join(bad, " "); got != x.want {
			t.Errorf("%s: violations at %q, want %q", x.name, got, x.want)
		}
	}
}

func TestIdempotencyKeysMakeOneWrite(t *testing.T) {
	for _, c := range []struct {
		name    string
		want    Verdict
		history []Operation
	}{
		{"repeated late", Linearizable, []Operation{under("q", at(1, 2, put("a", 1))), at(3, 4, put("b", 2)), under("q", at(5, 6, put("a", 1))), at(7, 8, read("b", 2))}},
		{"refusals are remembered", Linearizable, []Operation{under("q", at(1, 2, refused(update("a", 0), 0))), at(3, 4, put("b", 1)), under("q", at(5, 6, refused(update("a", 0), 0)))}},
		{"executed again", Violation, []Operation{under("q", at(1, 2, put("a", 1))), under("q", at(3, 4, put("a", 2)))}},
		{"two requests under one key", Violation, []Operation{under("q", at(1, 2, put("a", 1))), under("q", at(3, 4, put("b", 2)))}},
		{"two requests, one reply", Violation, []Operation{under("q", at(1, 2, put("a", 1))), under("q", at(3, 4, put("b", 1)))}},
		{"a lost one is the one that is answered", Violation, []Operation{under("q", lost(1, put("a", 0))), at(3, 4, read("a", 1)), under("q", at(5, 6, put("a", 2)))}},
		{"a lost one of another request never was", Violation, []Operation{under("q", lost(1, put("a", 0))), under("q", at(2, 3, put("b", 1))), at(4, 5, read("a", 2))}},
		{"lost twice, executed once", Violation, []Operation{under("q", lost(1, put("a", 0))), under("q", lost(2, put("a", 0))), at(3, 4, read("a", 1)), at(5, 6, read("a", 2))}},
		{"effect before the answered one was called", Linearizable, []Operation{under("q", lost(1, put("a", 0))), at(2, 3, read("a", 1)), under("q", at(5, 6, put("a", 1)))}},
		{"deletes told differently", Linearizable, []Operation{at(1, 2, put("a", 1)), under("q", at(3, 4, del(0))), under("q", at(5, 6, del(2)))}},
	} {
		if got := Check(context.Background(), c.history, Options{}).Verdict; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestAbsentIsNoValue: not even the empty one.
func TestAbsentIsNoValue(t *testing.T) {
	swap := Operation{Kind: CAS, Input: Input{Value: "b", ByValue: true}, Output: Output{Result: OK}, Outcome: Applied}
	empty := Operation{Kind: Put, Output: Output{Result: OK}, Outcome: Applied}
	for want, history := range map[Verdict][]Operation{
		Violation: {at(1, 2, swap)}, Linearizable: {at(1, 2, empty), at(3, 4, swap)},
	} {
		if got := Check(context.Background(), history, Options{Model: Register}).Verdict; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// explainsRegister is the definition of linearizability for plain registers, by trying all orders.
func explainsRegister(s state, rest []Operation) bool {
	earliest, pending := int64(Open), false
	for _, o := range rest {
		if o.Outcome != Unknown {
			earliest, pending = min(earliest, o.Return), true
		}
	}
	if !pending {
		return true
	}
	for i, o := range rest {
		others := append(append([]Operation{}, rest[:i]...), rest[i+1:]...)
		if o.Call > earliest {
			continue
		}
		holds, next := registerEffect(s, o)
		fits := holds
		switch {
		case o.Outcome == Unknown:
			fits = true
		case o.Kind == Get:
			fits = o.Output.Result == Absent && !s.present || o.Output.Result == OK && s.present && s.value == o.Output.Value
		}
		if !holds {
			next = s
		}
		if fits && explainsRegister(next, others) {
			return true
		}
	}
	return false
}

func registerEffect(s state, o Operation) (holds bool, next state) {
	switch o.Kind {
	case Put:
		return true, state{present: true, value: o.Input.Value}
	case Create:
		return !s.present, state{present: true, value: o.Input.Value}
	case CAS:
		return s == state{present: true, value: o.Input.Expected}, state{present: true, value: o.Input.Value}
	case Delete:
		return !o.Input.ByValue || s == state{present: true, value: o.Input.Expected}, state{}
	}
	return true, s
}

// TestRegistersAgreeWithTryingAllOrders draws any histories, of few values so that reads often fit.
func TestRegistersAgreeWithTryingAllOrders(t *testing.T) {
	seen := map[Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{"1", "2", "3"})
		var history []Operation
		for i := range rapid.IntRange(1, 7).Draw(t, "n") {
			o := Operation{Key: "k", Client: i, Outcome: Applied, Output: Output{Result: OK}, Kind: rapid.SampledFrom([]Kind{Put, Create, CAS, Delete, Get, Get, Get}).Draw(t, "kind")}
			o.Call = rapid.Int64Range(0, 40).Draw(t, "call")
			o.Return = o.Call + rapid.Int64Range(0, 20).Draw(t, "took")
			switch o.Kind {
			case CAS:
				o.Input = Input{Value: value.Draw(t, "new"), Expected: value.Draw(t, "old"), ByValue: true}
			case Delete:
				if rapid.Bool().Draw(t, "conditional") {
					o.Input = Input{Expected: value.Draw(t, "old"), ByValue: true}
				}
			case Get:
				o.Output.Value = value.Draw(t, "read")
				if rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
					o.Output = Output{Result: Absent}
				}
			default:
				o.Input.Value = value.Draw(t, "written")
			}
			if o.Kind != Get && rapid.IntRange(0, 3).Draw(t, "lost") == 0 {
				o.Outcome, o.Output, o.Return = Unknown, Output{}, Open
			}
			history = append(history, o)
		}
		got := Check(context.Background(), history, Options{Model: Register}).Verdict
		seen[got]++
		if want := explainsRegister(state{}, history); want != (got == Linearizable) {
			t.Fatalf("%s, but trying all orders says %v: %v", got, want, history)
		}
	})
	if seen[Violation] < 10 || seen[Linearizable] < 10 {
		t.Errorf("too one-sided to prove much: %v", seen)
	}
}

// TestMemoryIsBounded: a search that can't end remembers about as much as it may, and then gives up.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 16 << 20
	history := hardHistory(40)
	p := prepare(Kvorum, history, false)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := &budget{ctx: context.Background(), limit: limit, each: p.entryBytes()}
	var live uint64
	m := p.porcupineModel(b)
	step := m.Step
	m.Step = func(s, in, out any) (bool, any) {
		ok, next := step(s, in, out)
		if b.stopped.Load() && live == 0 { // everything is still remembered
			runtime.GC()
			runtime.ReadMemStats(&after)
			live = after.HeapAlloc - before.HeapAlloc
		}
		return ok, next
	}
	if checkProblem(m, p) || !b.stopped.Load() {
		t.Fatal("the search ended by itself")
	}
	t.Logf("limit %d MiB, live heap at the limit %d MiB", limit>>20, live>>20)
	if live > limit*5/4 || live < limit/3 {
		t.Errorf("the live heap was %d bytes with a limit of %d", live, limit)
	}
	if got := Check(context.Background(), history, Options{MaxMemory: limit}).Verdict; got != Undecided {
		t.Error(got)
	}
}

func TestProgressCountsEveryKey(t *testing.T) {
	w := runWorld(worldConfig{seed: 1, clients: 4, keys: 9, operations: 200, reads: 50})
	var seen []Progress
	report := Check(context.Background(), w.history, Options{Workers: 4, Progress: func(p Progress) { seen = append(seen, p) }})
	last := seen[len(seen)-1]
	want := Progress{Keys: 9, TotalKeys: 9, Operations: report.Judged, TotalOperations: report.Judged}
	if len(seen) != 9 || last != want {
		t.Errorf("%d calls, the last %s, want %s", len(seen), fmt.Sprint(last), fmt.Sprint(want))
	}
}
