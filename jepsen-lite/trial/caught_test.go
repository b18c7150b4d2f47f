package trial

import (
	"testing"

	lin "github.com/kvorum/kvorum/linearizability"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

// TestFirstSign: the earliest of what has a moment, else the judgement; of a clean run none.
func TestFirstSign(t *testing.T) {
	open := read("k", "v", 1e9)
	open.Outcome, open.Return = lin.Unknown, lin.Open
	shownAt := func(second int64, verdict lin.Verdict) lin.KeyReport {
		return lin.KeyReport{Key: "k", Verdict: verdict, Prefix: []lin.Operation{open, read("k", "v", second*1e9-1), read("k", "v", 1e9)}}
	}
	strike := func(second int64, notHealed string) Struck {
		return Struck{Planned: nemesis.Planned{Nemesis: "kill-one"}, NotHealed: notHealed, to: second * 1e9}
	}
	for name, c := range map[string]struct {
		verdict Verdict
		keys    []lin.KeyReport
		strikes []Struck
		want    float64 // 0: none
	}{
		"clean":                   {Linearizable, []lin.KeyReport{{Key: "k", Verdict: lin.Linearizable}}, []Struck{strike(5, "")}, 0},
		"the search":              {Violation, []lin.KeyReport{shownAt(9, lin.Violation), shownAt(7, lin.Violation), shownAt(8, lin.Violation)}, nil, 7},
		"a strike before it":      {Violation, []lin.KeyReport{shownAt(7, lin.Violation)}, []Struck{strike(3, ""), strike(6, "not ready")}, 6},
		"a strike after it":       {Violation, []lin.KeyReport{shownAt(7, lin.Violation)}, []Struck{strike(8, "not ready")}, 7},
		"the replay alone":        {Violation, []lin.KeyReport{{Key: "k", Verdict: lin.Violation}}, nil, 20},
		"only findings":           {Violation, []lin.KeyReport{{Key: "k", Verdict: lin.Linearizable}}, nil, 20},
		"a key without violation": {Violation, []lin.KeyReport{shownAt(7, lin.Undecided)}, nil, 20},
	} {
		r := Result{Verdict: c.verdict, Report: lin.Report{Keys: c.keys}, strikes: c.strikes}
		got := r.firstSign(20e9)
		if (got == nil) != (c.want == 0) || got != nil && (got.Seconds != c.want || got.By == "") {
			t.Errorf("%s: %+v, want %v", name, got, c.want)
		}
	}
}
