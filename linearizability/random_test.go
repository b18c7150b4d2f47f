package linearizability

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawHistory runs a sequential register and spreads each operation over an interval around the moment it took effect.
// Some replies are lost, of writes that took effect and of writes that did not.
func drawHistory(t *rapid.T, maximum int) []Operation {
	var s concrete
	var history []Operation
	n := rapid.IntRange(1, maximum).Draw(t, "n")
	for i := range n {
		moment := int64(i) * 10
		o := Operation{
			Key: "k", Client: i, Node: "n0", Kind: rapid.SampledFrom([]Kind{Put, Create, Update, CAS, Delete, Get}).Draw(t, "kind"),
			Call: moment - rapid.Int64Range(0, 30).Draw(t, "before"), Return: moment + rapid.Int64Range(0, 30).Draw(t, "after"),
		}
		if o.Kind != Get && o.Kind != Delete {
			o.Input.Value = fmt.Sprint("v", i)
		}
		if o.Kind == CAS || o.Kind == Delete && rapid.Bool().Draw(t, "conditional") {
			o.Input.Revision = max(1, s.revision+rapid.Uint64Range(0, 3).Draw(t, "off")/3) // mostly right
		}
		lostBefore := o.Kind != Get && rapid.IntRange(0, 9).Draw(t, "lost before") == 0
		lostAfter := o.Kind != Get && rapid.IntRange(0, 9).Draw(t, "lost after") == 0
		if !lostBefore {
			s = s.run(&o, rapid.Uint64Range(1, 2).Draw(t, "gap"))
		}
		if lostBefore || lostAfter {
			o.Outcome, o.Output, o.Return = Unknown, Output{}, Open
		}
		if o.Kind == Delete && rapid.Bool().Draw(t, "untold") {
			o.Output.Revision = 0
			if o.Output.Result == PreconditionFailed && s.present {
				o.Output.Revision = s.revision
			}
		}
		history = append(history, o)
	}
	return history
}

// run executes o for real and fills in the reply.
func (s concrete) run(o *Operation, gap uint64) concrete {
	refusal := Output{Result: PreconditionFailed}
	if s.present {
		refusal.Revision = s.revision
	}
	o.Outcome = NotApplied
	conditional := o.Input.Revision != 0
	switch {
	case o.Kind == Get && s.present:
		o.Outcome, o.Output = Applied, Output{Result: OK, Value: s.value, Revision: s.revision}
		return s
	case o.Kind == Get:
		o.Outcome, o.Output = Applied, Output{Result: Absent}
		return s
	case o.Kind == Delete && !s.present && !conditional:
		o.Output = Output{Result: Absent}
		return s
	case o.Kind == Create && s.present, o.Kind == Update && !s.present, conditional && (!s.present || s.revision != o.Input.Revision):
		o.Output = refusal
		return s
	}
	next := concrete{present: o.Kind != Delete, revision: s.revision + gap}
	if next.present {
		next.value = o.Input.Value
	}
	o.Outcome, o.Output = Applied, Output{Result: OK, Revision: next.revision}
	return next
}

func TestRealHistoriesAreLinearizable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := drawHistory(t, 40)
		for _, o := range history {
			if err := o.Validate(); err != nil {
				t.Fatalf("%s: %v", &o, err)
			}
		}
		order := rapid.Permutation(history).Draw(t, "order")
		if report := Check(context.Background(), order, Options{}); report.Verdict != Linearizable {
			t.Fatalf("%s: %v", report.Verdict, history)
		}
	})
}

// mutate breaks one thing of one reply, or moves one operation in time.
func mutate(t *rapid.T, history []Operation) {
	o := &history[rapid.IntRange(0, len(history)-1).Draw(t, "victim")]
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 0:
		o.Output.Revision = rapid.Uint64Range(0, 14).Draw(t, "revision")
	case 1:
		o.Output.Value = fmt.Sprint("v", rapid.IntRange(0, 8).Draw(t, "value"))
	case 2:
		shift := rapid.Int64Range(-60, 60).Draw(t, "shift")
		o.Call += shift
		if o.Return != Open {
			o.Return += shift
		}
	case 3:
		other := history[rapid.IntRange(0, len(history)-1).Draw(t, "other")]
		o.Output, o.Outcome = other.Output, other.Outcome
	case 4:
		o.Input.Value = "another"
	}
}

func TestMutatedHistoriesAgreeWithTryingAllOrders(t *testing.T) {
	seen := map[Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		history := drawHistory(t, 6)
		for range rapid.IntRange(1, 2).Draw(t, "mutations") {
			mutate(t, history)
		}
		if slices.ContainsFunc(history, func(o Operation) bool { return o.Validate() != nil }) {
			t.Skip("no reply can look like this")
		}
		report := Check(context.Background(), history, Options{})
		seen[report.Verdict]++
		var judged []Operation
		if len(report.Keys) > 0 {
			judged = report.Keys[0].History
		}
		if report.Judged == 0 {
			t.Skip("nothing to be explained")
		}
		if want := explains(judged); want != (report.Verdict == Linearizable) {
			t.Fatalf("%s, but trying all orders says %v:\n%v", report.Verdict, want, history)
		}
		if report.Verdict != Violation {
			return
		}
		if prefix := report.Keys[0].Prefix; explains(prefix) {
			t.Fatalf("the prefix is no violation: %v", prefix)
		}
	})
	if seen[Violation] < 10 || seen[Linearizable] < 10 {
		t.Errorf("the mutations prove little: %v", seen)
	}
}
