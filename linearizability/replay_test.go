package linearizability

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// Builders for commits: did(3, put("a", 1)) is that write as the machine executed it at index 3 of shard 0.

func did(index uint64, o Operation) Commit {
	return Commit{Index: index, Kind: o.Kind, Key: "k", Input: o.Input, Output: o.Output}
}

func under(key string, o Operation) Operation {
	o.Input.IdempotencyKey = key
	return o
}

func again(c Commit) Commit {
	c.Replayed = true
	return c
}

func receipt(index uint64, o Operation) Operation {
	o.Receipt = &Receipt{Index: index}
	return o
}

var replayCases = []struct {
	name    string
	history []Operation
	commits []Commit
	search  Verdict
	replay  Verdict
	reason  string
}{
	{"nothing", nil, nil, "", "", ""},
	{"write and read", []Operation{at(1, 2, put("a", 1)), at(3, 4, read("a", 1))}, []Commit{did(1, put("a", 1))}, Linearizable, Linearizable, ""},
	{"lost put committed, read", []Operation{lost(1, put("a", 0)), at(3, 4, read("a", 1))}, []Commit{did(1, put("a", 1))}, Linearizable, Linearizable, ""},
	{"lost put not committed", []Operation{lost(1, put("a", 0)), at(3, 4, none())}, nil, Linearizable, Linearizable, ""},
	{"lost put committed, not read", []Operation{lost(1, put("a", 0)), at(3, 4, none())}, []Commit{did(1, put("a", 1))}, Linearizable, Linearizable, ""},
	{"absent before and after", []Operation{at(1, 2, none()), at(3, 4, put("a", 1)), at(5, 6, del(0)), at(7, 8, none())}, []Commit{did(1, put("a", 1)), did(2, del(2))}, Linearizable, Linearizable, ""},
	{"same delete twice, told apart by time", []Operation{at(1, 2, missing()), at(3, 4, put("a", 1)), at(5, 6, del(0))}, []Commit{did(1, missing()), did(2, put("a", 1)), did(3, del(2))}, Linearizable, Linearizable, ""},
	{"repeated under its key", []Operation{under("q", lost(1, put("a", 0))), under("q", at(3, 4, put("a", 1)))}, []Commit{did(1, under("q", put("a", 1))), again(did(2, under("q", put("a", 1))))}, Linearizable, Linearizable, ""},
	{"a key that only the client library knows", []Operation{at(1, 2, put("a", 1))}, []Commit{did(1, under("q", put("a", 1))), again(did(2, under("q", put("a", 1))))}, Linearizable, Linearizable, ""},
	{"executed by three machines", []Operation{at(1, 2, put("a", 1))}, []Commit{did(1, put("a", 1)), did(1, put("a", 1)), did(1, put("a", 1))}, Linearizable, Linearizable, ""},
	{"refused without looking", []Operation{at(1, 2, put("a", 1))}, []Commit{{Index: 1, Kind: Put, Key: "k", Input: Input{Value: "a"}}, did(2, put("a", 1))}, Linearizable, Linearizable, ""},
	{"moved between shards", []Operation{at(1, 2, put("a", 7)), at(3, 4, put("b", 8))}, []Commit{{Shard: 1, Index: 9, Epoch: 1, Kind: Put, Key: "k", Input: Input{Value: "a"}, Output: Output{Result: OK, Revision: 7}}, {Shard: 0, Index: 2, Epoch: 2, Kind: Put, Key: "k", Input: Input{Value: "b"}, Output: Output{Result: OK, Revision: 8}}}, Linearizable, Linearizable, ""},
	{"right receipts", []Operation{receipt(4, at(1, 2, put("a", 1))), receipt(6, at(3, 4, read("a", 1)))}, []Commit{did(4, put("a", 1))}, Linearizable, Linearizable, ""},

	{"stale", []Operation{at(1, 2, put("a", 1)), at(3, 4, put("b", 2)), at(5, 6, read("a", 1))}, []Commit{did(1, put("a", 1)), did(2, put("b", 2))}, Violation, Violation, "stale: get()"},
	{"stale by absence", []Operation{at(1, 2, put("a", 1)), at(3, 4, none())}, []Commit{did(1, put("a", 1))}, Violation, Violation, "stale: get()"},
	{"reads go back", []Operation{at(1, 2, put("a", 1)), at(3, 20, put("b", 2)), at(4, 5, read("b", 2)), at(6, 7, read("a", 1))}, []Commit{did(1, put("a", 1)), did(2, put("b", 2))}, Violation, Violation, "went back: get()"},
	{"read from the future", []Operation{at(1, 2, read("a", 1)), at(3, 4, put("a", 1))}, []Commit{did(1, put("a", 1))}, Violation, Violation, "no state of its time"},
	{"phantom", []Operation{at(1, 2, read("z", 9))}, nil, Violation, Violation, "never was"},
	{"other value at the revision", []Operation{at(1, 2, put("a", 1)), at(3, 4, read("b", 1))}, []Commit{did(1, put("a", 1))}, Violation, Violation, "never was"},
	{"acknowledged, not committed", []Operation{at(1, 2, put("a", 1))}, nil, Linearizable, Violation, "not among the commits"},
	{"executed twice", []Operation{at(1, 2, put("a", 1))}, []Commit{did(1, put("a", 1)), did(2, put("a", 2))}, Linearizable, Violation, "asked for it (again)"},
	{"executed twice under its key", []Operation{under("q", at(1, 2, put("a", 1)))}, []Commit{did(1, under("q", put("a", 1))), did(2, under("q", put("a", 2)))}, Linearizable, Violation, "executed twice under one idempotency key"},
	{"repeated before it was first", []Operation{under("q", at(1, 2, put("a", 1)))}, []Commit{again(did(1, under("q", put("a", 1)))), did(2, under("q", put("a", 1)))}, Linearizable, Violation, "of which there is none"},
	{"repeated otherwise", []Operation{under("q", at(1, 2, put("a", 1)))}, []Commit{did(1, under("q", put("a", 1))), again(did(2, under("q", put("a", 5))))}, Linearizable, Violation, "not the first result"},
	{"said not applied", []Operation{at(1, 2, Operation{Kind: Put, Input: Input{Value: "a"}, Outcome: NotApplied}), at(3, 4, none())}, []Commit{did(1, put("a", 1))}, Linearizable, Violation, "no operation of the history"},
	{"committed in the wrong order", []Operation{at(1, 2, put("a", 0)), at(3, 4, put("b", 0))}, []Commit{did(1, put("b", 1)), did(2, put("a", 2))}, Linearizable, Violation, "wrong order"},
	{"reply of another revision", []Operation{at(1, 2, put("a", 2))}, []Commit{did(1, put("a", 1))}, Linearizable, Violation, "not what the machine did"},
	{"machine ignores a condition", []Operation{at(1, 2, put("a", 1)), at(3, 9, cas("b", 1, 2)), at(3, 9, cas("c", 1, 3))}, []Commit{did(1, put("a", 1)), did(2, cas("b", 1, 2)), did(3, cas("c", 1, 3))}, Violation, Violation, "broke the rules"},
	{"revision given again", []Operation{at(1, 2, put("a", 2)), lost(3, put("b", 0))}, []Commit{did(1, put("a", 2)), did(2, del(3)), did(3, put("b", 3))}, Linearizable, Violation, "broke the rules"},
	{"lying receipt of a write", []Operation{receipt(5, at(1, 2, put("a", 1)))}, []Commit{did(4, put("a", 1))}, Linearizable, Violation, "the receipt of put"},
	{"lying receipt of a read", []Operation{at(1, 2, put("a", 1)), receipt(3, at(3, 4, read("a", 1)))}, []Commit{did(4, put("a", 1))}, Linearizable, Violation, "the receipt of get"},
	{"one delete too many, whichever it was", []Operation{at(1, 2, missing()), at(3, 4, missing())}, []Commit{did(1, missing()), did(2, missing()), did(3, missing())}, Linearizable, Violation, "asked for it (again)"},
	{"one delete too few, whichever it was", []Operation{at(1, 2, put("a", 1)), at(3, 4, del(0)), at(5, 6, put("b", 3)), at(7, 8, del(0))}, []Commit{did(1, put("a", 1)), did(2, del(2)), did(3, put("b", 3))}, Linearizable, Violation, "not among the commits"},
	{"two machines differ", []Operation{at(1, 2, put("a", 1))}, []Commit{did(1, put("a", 1)), did(1, put("b", 1))}, Linearizable, Violation, "two machines"},
	{"two shards in one epoch", []Operation{at(1, 2, put("a", 1)), at(3, 4, put("b", 2))}, []Commit{did(1, put("a", 1)), {Shard: 1, Index: 1, Kind: Put, Key: "k", Input: Input{Value: "b"}, Output: Output{Result: OK, Revision: 2}}}, Linearizable, Violation, "two shards"},
}

func TestReplayByHand(t *testing.T) {
	for _, c := range replayCases {
		t.Run(c.name, func(t *testing.T) {
			report := Check(context.Background(), c.history, Options{Commits: append([]Commit{}, c.commits...)})
			if len(c.history)+len(c.commits) == 0 {
				if report.Verdict != Undecided || len(report.Keys) != 0 {
					t.Errorf("nothing is %s", report.Verdict)
				}
				return
			}
			k := report.Keys[0]
			if k.Search != c.search || k.Replay != c.replay {
				t.Errorf("search %s, want %s; replay %s, want %s: %v", k.Search, c.search, k.Replay, c.replay, k.Reasons)
			}
			if c.reason != "" && !slices.ContainsFunc(k.Reasons, func(r string) bool { return strings.Contains(r, c.reason) }) {
				t.Errorf("reasons %q lack %q", k.Reasons, c.reason)
			}
			if want := agree(c.search, c.replay); report.Verdict != want {
				t.Errorf("verdict %s, want %s", report.Verdict, want)
			}
		})
	}
}

// TestDisagreementIsAnError: with a correct search and a correct replay there is none, so the rule is tested by itself, and
// the text by a report made up.
func TestDisagreementIsAnError(t *testing.T) {
	for _, c := range []struct{ search, replay, want Verdict }{
		{Linearizable, "", Linearizable}, {Undecided, "", Undecided}, {Violation, "", Violation},
		{Linearizable, Linearizable, Linearizable}, {Linearizable, Violation, Violation}, {Linearizable, Undecided, Linearizable},
		{Violation, Linearizable, Disagreement}, {Violation, Violation, Violation}, {Violation, Undecided, Violation},
		{Undecided, Linearizable, Linearizable}, {Undecided, Violation, Violation}, {Undecided, Undecided, Undecided},
	} {
		if got := agree(c.search, c.replay); got != c.want {
			t.Errorf("search %s and replay %s: %s, want %s", c.search, c.replay, got, c.want)
		}
	}
	var text strings.Builder
	r := Report{Verdict: Disagreement, Keys: []KeyReport{{Key: "k", Verdict: Disagreement, Search: Violation, Replay: Linearizable}}}
	if err := r.WriteSummary(&text); err != nil || !strings.Contains(text.String(), "CONTRADICT EACH OTHER ON 1") {
		t.Errorf("%v\n%s", err, &text)
	}
}

// TestHotKeyIsDecided: what the search gives up on, the order of the commits decides, for good and for bad.
func TestHotKeyIsDecided(t *testing.T) {
	config := worldConfig{seed: 9, clients: 32, keys: 1, operations: 4000, reads: 40, loss: 5, idempotent: 50, receipts: true}
	opt := Options{MaxMemory: 8 << 20}
	w := runWorld(config)
	if got := Check(context.Background(), w.history, opt).Verdict; got != Undecided {
		t.Errorf("the search alone says %s: too easy to show anything", got)
	}
	opt.Commits = w.commits
	if k := Check(context.Background(), w.history, opt).Keys[0]; k.Verdict != Linearizable {
		t.Errorf("%s: search %s, replay %s %v", k.Verdict, k.Search, k.Replay, k.Reasons)
	}
	config.defect, config.nth = staleRead, 900
	w = runWorld(config)
	opt.Commits = w.commits
	if k := Check(context.Background(), w.history, opt).Keys[0]; !w.fired || k.Replay != Violation {
		t.Errorf("planted %v: search %s, replay %s %v", w.fired, k.Search, k.Replay, k.Reasons)
	}
}
