package linearizability

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func checkWorld(w *world) Report {
	commits := append([]Commit{}, w.commits...)
	return Check(context.Background(), w.history, Options{Commits: commits, Workers: 1})
}

func TestGoodWorldsAreLinearizableByBothMethods(t *testing.T) {
	keys, undecided := 0, 0
	defer func() {
		t.Logf("the replay left %d of %d keys undecided", undecided, keys)
		if undecided*200 > keys {
			t.Error("too many")
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		w := runWorld(worldConfig{
			seed: rapid.Uint64().Draw(t, "seed"), clients: rapid.IntRange(1, 16).Draw(t, "clients"), keys: rapid.IntRange(1, 6).Draw(t, "keys"),
			shards: rapid.IntRange(1, 3).Draw(t, "shards"), operations: rapid.IntRange(1, 150).Draw(t, "operations"), reads: rapid.IntRange(0, 80).Draw(t, "reads"),
			loss: rapid.IntRange(0, 30).Draw(t, "loss"), idempotent: rapid.IntRange(0, 100).Draw(t, "idempotent"),
			lists: rapid.IntRange(0, 10).Draw(t, "lists"), receipts: rapid.Bool().Draw(t, "receipts"),
		})
		for i := range w.history {
			o := &w.history[i]
			if err := o.Validate(); err != nil {
				t.Fatalf("%s: %v", o, err)
			}
		}
		report := checkWorld(w)
		for _, k := range report.Keys {
			if k.Search != Linearizable {
				t.Errorf("key %q: the search says %s", k.Key, k.Search)
			}
			keys++
			if k.Replay == Undecided && w.idempotent < 100 { // writes that can't be told apart
				undecided++
				continue
			}
			if k.Replay != Linearizable {
				t.Errorf("key %q: the replay says %s: %v", k.Key, k.Replay, k.Reasons)
			}
		}
		if t.Failed() {
			t.Log(dump(w))
		}
	})
}

// TestWritesThatCanNotBeToldApart: without receipts, idempotency keys and told revisions the replay may not know which
// delete was which. Then it says so; it never calls a good run a violation.
func TestWritesThatCanNotBeToldApart(t *testing.T) {
	count := map[Verdict]int{}
	for seed := range uint64(400) {
		w := runWorld(worldConfig{seed: seed, clients: 12, keys: 1, operations: 60, reads: 20, loss: 20})
		k := checkWorld(w).Keys[0]
		count[k.Replay]++
		if k.Search != Linearizable || k.Replay == Violation {
			t.Errorf("seed %d: search %s, replay %s: %v", seed, k.Search, k.Replay, k.Reasons)
		}
	}
	if count[Undecided] == 0 || count[Undecided] > 20 {
		t.Errorf("verdicts: %v", count)
	}
}

func dump(w *world) string {
	text := ""
	for _, o := range w.history {
		line, _ := json.Marshal(o)
		text += string(line) + "\n"
	}
	for i := range w.commits {
		text += w.commits[i].String() + "\n"
	}
	return text
}

// flags counts what became of the runs of one defect.
type flags struct{ fired, brute, search, replay int }

// TestEachOfAThousandMutationsIsFlaggedOrHarmless plants one defect into each of at least a thousand small runs. A method
// that says linearizable must be right by the definition, and so must the search that says violation.
func TestEachOfAThousandMutationsIsFlaggedOrHarmless(t *testing.T) {
	count := map[defect]*flags{}
	for _, d := range defects {
		count[d] = &flags{}
	}
	total := 0
	enough := func() bool {
		for _, f := range count {
			if f.fired < 80 {
				return false
			}
		}
		return total >= 1000
	}
	for !enough() { // a mutation that found no opportunity does not count
		rapid.Check(t, func(t *rapid.T) {
			w := runWorld(worldConfig{
				seed: rapid.Uint64().Draw(t, "seed"), clients: rapid.IntRange(1, 4).Draw(t, "clients"), keys: rapid.IntRange(1, 2).Draw(t, "keys"),
				operations: rapid.IntRange(3, 10).Draw(t, "operations"), reads: 40, loss: 5, idempotent: 30, receipts: rapid.Bool().Draw(t, "receipts"),
				defect: rapid.SampledFrom(defects).Draw(t, "defect"), nth: rapid.IntRange(0, 3).Draw(t, "nth"),
			})
			if !w.fired {
				return
			}
			total++
			judgeMutation(t, w, count[w.defect])
		})
	}
	for _, d := range defects {
		f := count[d]
		t.Logf("%-16s %4d runs: no linearization %4d, flagged by the search %4d, by the replay %4d", d, f.fired, f.brute, f.search, f.replay)
		if f.search < 8 || f.replay < 8 {
			t.Errorf("%s: too few to prove anything", d)
		}
	}
}

func judgeMutation(t *rapid.T, w *world, f *flags) {
	report := checkWorld(w)
	f.fired++
	brute, search, replay := false, false, false
	for _, k := range report.Keys {
		linearizable := explains(k.History)
		if len(k.History) > 9 {
			t.Skip("too many orders to try")
		}
		brute = brute || !linearizable
		search, replay = search || k.Search == Violation, replay || k.Replay == Violation
		var problem string
		switch {
		case k.Search == Undecided:
			problem = "the search did not decide"
		case (k.Search == Linearizable) != linearizable && !contradicts(k):
			problem = "the search is wrong"
		case k.Replay == Linearizable && !linearizable:
			problem = "the replay found an order where there is none"
		case k.Verdict == Disagreement:
			problem = "the methods disagree"
		}
		if problem != "" {
			t.Fatalf("%s: key %q, linearizable: %v, search %s, replay %s %v\n%s", problem, k.Key, linearizable, k.Search, k.Replay, k.Reasons, dump(w))
		}
	}
	if brute {
		f.brute++
	}
	if search {
		f.search++
	}
	if replay {
		f.replay++
	}
}

// contradicts: two replies under one idempotency key differ. That is a violation whatever the order; the definition that
// tries all orders does not know idempotency keys.
func contradicts(k KeyReport) bool {
	first := map[string]Operation{}
	for _, o := range k.History {
		if o.Input.IdempotencyKey == "" || o.Output.Result == "" {
			continue
		}
		if f, known := first[o.Input.IdempotencyKey]; known && fmt.Sprint(f.Output, f.Input) != fmt.Sprint(o.Output, o.Input) {
			return true
		}
		first[o.Input.IdempotencyKey] = o
	}
	return false
}
