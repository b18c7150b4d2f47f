package kvsim

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/lab"
)

// TestShrinkingIsJudged: each part of the goal can be missed alone.
func TestShrinkingIsJudged(t *testing.T) {
	kills := func(change func(i int, s *lab.Small)) (list []lab.Kill) {
		for i := range 10 {
			s := &lab.Small{Oracle: "digest", Faults: 4, Operations: 30, Bytes: 2000, Runs: 9, Seconds: 60}
			change(i, s)
			list = append(list, lab.Kill{Patch: "p", Killed: true, Small: s})
		}
		return append(list, lab.Kill{Patch: "survivor"})
	}
	for name, c := range map[string]struct {
		change func(i int, s *lab.Small)
		missed string // the first word of the only one that is
	}{
		"all met":               {func(int, *lab.Small) {}, ""},
		"two of ten are long":   {func(i int, s *lab.Small) { s.Operations += i / 8 * 100 }, ""},
		"three of ten are long": {func(i int, s *lab.Small) { s.Operations += i / 7 * 100 }, "7 of 10"},
		"many faults in three":  {func(i int, s *lab.Small) { s.Faults += i / 7 * 5 }, "7 of 10"},
		"three take too long":   {func(i int, s *lab.Small) { s.Seconds += float64(i / 7 * 1000) }, "7 of 10"},
		"five faults":           {func(_ int, s *lab.Small) { s.Faults = 5 }, "median of faults 5"},
		"31 operations":         {func(_ int, s *lab.Small) { s.Operations = 31 }, "median of operations 31"},
		"one large file":        {func(i int, s *lab.Small) { s.Bytes += i / 9 * 8000 }, "largest file 10000 bytes"},
	} {
		var missed []string
		for _, b := range judgeShrinking(kills(c.change)) {
			if !b.met {
				missed = append(missed, b.what)
			}
		}
		if text := strings.Join(missed, "; "); len(missed) > 1 || !strings.HasPrefix(text, c.missed) || (c.missed == "") != (text == "") {
			t.Errorf("%s: missed %q, want %q", name, text, c.missed)
		}
	}
	list := kills(func(int, *lab.Small) {})
	for i := range 3 {
		list[i].Small = nil // did not fail again
	}
	var out bytes.Buffer
	shrinkTable(&out, list)
	for _, want := range []string{"MISSED  7 of 10", "did not fail again", "2000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
