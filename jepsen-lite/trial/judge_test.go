package trial

import (
	"strings"
	"testing"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

func TestVerdicts(t *testing.T) {
	proved := Struck{Planned: nemesis.Planned{Nemesis: "kill-one"}, Proof: "gone"}
	unproved := Struck{Planned: nemesis.Planned{Nemesis: "kill-one"}, NotProved: "it runs"}
	broken := Struck{Planned: nemesis.Planned{Nemesis: "kill-one"}, Proof: "gone", NotHealed: "not ready"}
	for name, c := range map[string]struct {
		history     lin.Verdict
		writes      int
		strikes     []Struck
		findings    []string
		interrupted bool
		want        Verdict
		doubt       string
	}{
		"all well":             {lin.Linearizable, 50, []Struck{proved}, nil, false, Linearizable, ""},
		"not linearizable":     {lin.Violation, 50, []Struck{proved}, nil, false, Violation, ""},
		"... and unproved":     {lin.Violation, 0, []Struck{unproved}, nil, true, Violation, "it runs"},
		"undecided":            {lin.Undecided, 50, []Struck{proved}, nil, false, Undecided, ""},
		"methods disagree":     {lin.Disagreement, 50, []Struck{proved}, nil, false, "error", ""},
		"not proved":           {lin.Linearizable, 50, []Struck{unproved}, nil, false, Unproved, "it runs"},
		"never began":          {lin.Linearizable, 50, nil, nil, false, Unproved, "1 strikes"},
		"did not come back":    {lin.Linearizable, 50, []Struck{broken}, nil, false, Violation, ""},
		"ended unasked":        {lin.Linearizable, 50, []Struck{proved}, []string{"s0n0 ended unasked"}, false, Violation, ""},
		"too few":              {lin.Linearizable, 49, []Struck{proved}, nil, false, Vacuous, "only 49"},
		"interrupted":          {lin.Linearizable, 50, []Struck{proved}, nil, true, Undecided, "interrupted"},
		"too few, interrupted": {lin.Linearizable, 1, []Struck{proved}, nil, true, Undecided, "interrupted"},
	} {
		config := Config{Time: 10 * time.Second, Shards: 2, Schedule: nemesis.Schedule{Strikes: make([]nemesis.Planned, 1)}}
		r := newResult(config)
		r.Report.Verdict, r.Writes, r.strikes, r.Findings, r.Interrupted = c.history, c.writes, c.strikes, c.findings, c.interrupted
		r.reads, r.written = 50, map[uint32]int{0: c.writes - 25, 1: 25}
		r.judge(config)
		if doubts := strings.Join(r.Doubts, "; "); r.Verdict != c.want || !strings.Contains(doubts, c.doubt) || (c.doubt == "") != (doubts == "") {
			t.Errorf("%s: %s, doubts %q; want %s, %q", name, r.Verdict, doubts, c.want, c.doubt)
		}
	}
}

// TestTooLittle: each shard must have had its part of the writes, and there must have been reads.
func TestTooLittle(t *testing.T) {
	config := Config{Time: 10 * time.Second, Shards: 2}
	for name, c := range map[string]struct {
		writes, inSecond, reads int
		want                    string
	}{
		"enough":            {50, 25, 50, ""},
		"few writes":        {49, 25, 50, "only 49 writes were acknowledged, fewer than 50"},
		"one shard has few": {100, 24, 50, "only 24 writes were acknowledged in shard 1, fewer than 25"},
		"few reads":         {50, 25, 49, "only 49 linearizable reads"},
	} {
		r := newResult(config)
		r.Writes, r.reads, r.written = c.writes, c.reads, map[uint32]int{0: 25, 1: c.inSecond}
		if got := strings.Join(r.tooLittle(config), "; "); !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestReplicasBehind: as long as one of a shard has executed less than another, they are not at rest.
func TestReplicasBehind(t *testing.T) {
	all := []shown{{"a", 0, 7, ""}, {"b", 0, 7, ""}, {"c", 1, 9, ""}, {"d", 1, 9, ""}}
	if err := behind(all); err != nil {
		t.Error(err)
	}
	all[2].applied = 8
	if err := behind(all); err == nil || !strings.Contains(err.Error(), "c has executed up to entry 8, d up to 9") {
		t.Error(err)
	}
}

// TestBeyondRaftIsLabelled: if it struck, not if it was only asked for.
func TestBeyondRaftIsLabelled(t *testing.T) {
	config := Config{Nemeses: []nemesis.Nemesis{{Name: "liar", Beyond: "it lied"}}}
	for _, strikes := range [][]Struck{nil, {{Planned: nemesis.Planned{Nemesis: "liar"}}}} {
		r := newResult(config)
		r.strikes, r.Report.Verdict = strikes, lin.Violation
		r.judge(config)
		if r.Verdict != Violation || (r.BeyondRaft["liar"] == "it lied") != (strikes != nil) {
			t.Errorf("%d strikes: %s, label %v", len(strikes), r.Verdict, r.BeyondRaft)
		}
	}
}

func write(key, value string, outcome lin.Outcome, at int64) lin.Operation {
	o := lin.Operation{Kind: lin.CAS, Key: key, Input: lin.Input{Value: value, Revision: 1}, Outcome: outcome, Call: at, Return: at + 1}
	if outcome == lin.Applied {
		o.Output = lin.Output{Result: lin.OK, Revision: uint64(at)}
	}
	return o
}

func read(key, value string, at int64) lin.Operation {
	o := lin.Operation{Kind: lin.Get, Key: key, Outcome: lin.Applied, Output: lin.Output{Result: lin.OK, Value: value, Revision: 9}, Call: at, Return: at + 1}
	if value == "" {
		o.Output = lin.Output{Result: lin.Absent}
	}
	return o
}

func TestLists(t *testing.T) {
	for name, c := range map[string]struct {
		operations []lin.Operation
		want       string // "": nothing is wrong
	}{
		"good":            {[]lin.Operation{write("l", "a", lin.Applied, 1), write("l", "a b", lin.Unknown, 2), write("l", "a c", lin.Applied, 3), write("l", "a c d", lin.NotApplied, 4), read("l", "a c", 9)}, ""},
		"doubt is there":  {[]lin.Operation{write("l", "a", lin.Unknown, 1), read("l", "a", 9)}, ""},
		"nobody appended": {[]lin.Operation{read("l", "", 9)}, ""},
		"lost":            {[]lin.Operation{write("l", "a", lin.Applied, 1), write("l", "a b", lin.Applied, 2), read("l", "a", 9)}, "b is lost"},
		"all lost":        {[]lin.Operation{write("l", "a", lin.Applied, 1), read("l", "a", 5), read("l", "", 9)}, "a is lost"},
		"twice":           {[]lin.Operation{write("l", "a", lin.Applied, 1), read("l", "a a", 9)}, "holds a twice"},
		"refused":         {[]lin.Operation{write("l", "a", lin.NotApplied, 1), read("l", "a", 9)}, "refused append of a"},
		"reordered":       {[]lin.Operation{write("l", "a b", lin.Applied, 1), read("l", "b a", 9)}, "no beginning"},
		"never read":      {[]lin.Operation{write("l", "a", lin.Applied, 1)}, "never read"},
	} {
		got := strings.Join(judgeLists(c.operations, []string{"l"}), "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestLongestWithoutService(t *testing.T) {
	at := func(shard uint32, seconds float64, kind lin.Kind) lin.Operation {
		return lin.Operation{Kind: kind, Outcome: lin.Applied, Return: int64(seconds * 1e9), Receipt: &lin.Receipt{Shard: shard}}
	}
	s := services([]lin.Operation{
		at(0, 1, lin.Put), at(0, 2, lin.Put), at(0, 5, lin.Put), at(0, 9, lin.Put), at(1, 1, lin.CAS), at(1, 3, lin.Put), at(1, 6, lin.Delete), at(1, 9.5, lin.Put),
		at(0, 6, lin.Get), // a read says nothing of writes
	}, Config{Shards: 2, Through: ThroughNodes}, &crowd{}, 10e9)[ThroughNodes]
	if got, want := s.longest(0, 10e9), (Gap{4, 0, 5}); got != want {
		t.Errorf("of all: %v, want %v", got, want)
	}
	if got, want := s.longest(3e9, 4e9), (Gap{3, 1, 3}); got != want {
		t.Errorf("around 3 s: %v, want %v", got, want)
	}
	if got, want := s.longest(0, 10e9, 1), (Gap{3.5, 1, 6}); got != want {
		t.Errorf("of shard 1: %v, want %v", got, want)
	}
	if got := newService(3, 0, 7e9).longest(0, 7e9); got.Seconds != 7 {
		t.Errorf("without any write: %v", got)
	}
}

func TestLeadersAreThoseWhoWrote(t *testing.T) {
	done := func(node string, term uint64, at int64, kind lin.Kind) lin.Operation {
		return lin.Operation{Kind: kind, Outcome: lin.Applied, Node: node, Return: at, Receipt: &lin.Receipt{Shard: 1, Term: term}}
	}
	got := leaders([]lin.Operation{done("s1n0", 2, 10, lin.Put), done("s1n0", 2, 5, lin.Put), done("s1n2", 2, 1, lin.Get), done("s1n1", 3, 20, lin.CAS)})
	if len(got) != 2 || got[0].Text != "s1n0 in term 2" || got[0].Start != 5 || got[1].Text != "s1n1 in term 3" || got[1].Node != "shard 1" {
		t.Errorf("%+v", got)
	}
}
