package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// fields decodes what a last line would say.
func fields(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// has says which of the fields of every last line are missing, or null.
func has(t *testing.T, v any, more ...string) {
	t.Helper()
	f := fields(t, v)
	for _, name := range append(more, "trace", "memory", "operations", "faults", "oracles", "verdict", "virtual_seconds", "wall_seconds") {
		if f[name] == nil {
			t.Errorf("%q is not there, or null, in %v", name, slices.Sorted(maps.Keys(f)))
		}
	}
}

// TestLastLinesAreWhole: a run, a campaign and a hunt say what they must, also where there is nothing to tell.
func TestLastLinesAreWhole(t *testing.T) {
	good := &sim.Result{Seed: 3, Verdict: sim.Good, Fired: map[string]int{}, Outcomes: map[lin.Outcome]int{}}
	has(t, NewRecord(good, nil), "seed", "failures")
	has(t, Summarize(nil, time.Second), "seeds", "failing", "dead", "rare_unseen")
	has(t, Summarize([]*sim.Result{good}, time.Second), "seeds", "from", "to", "failing")
	alive, _ := hunt(t.Context(), func(*schedule.Schedule) *sim.Result { return good }, nil, Campaign{From: 3, To: 3})
	has(t, alive, "patch", "killed", "seeds", "from", "to")
	bad := failing(3)
	has(t, NewRecord(bad, PatchOf("x.patch", nil)), "patch")
	killed, _ := hunt(t.Context(), func(*schedule.Schedule) *sim.Result { return bad }, func(*schedule.Schedule) (bool, error) { return true, nil }, Campaign{From: 3, To: 3})
	has(t, killed, "seed")
	if killed.Trace != bad.Trace || killed.Memory != bad.Memory {
		t.Errorf("a kill has the hashes %s, %s, its run %s, %s", killed.Trace, killed.Memory, bad.Trace, bad.Memory)
	}
	if want := []string{"digest", "replay"}; !slices.Equal(killed.Oracles, want) || !slices.Equal(Summarize([]*sim.Result{good, bad}, 0).Oracles, want) {
		t.Errorf("oracles %v", killed.Oracles)
	}
}

// TestTogether: the hash of a campaign is that of its runs' hashes in the order of their seeds, as sha256sum gives it.
func TestTogether(t *testing.T) {
	sum := func(text string) string {
		b := sha256.Sum256([]byte(text))
		return hex.EncodeToString(b[:])
	}
	one := &sim.Result{Trace: "aa", Memory: "bb", Outcomes: map[lin.Outcome]int{lin.Applied: 2}}
	two := &sim.Result{Trace: "cc", Memory: "dd", Outcomes: map[lin.Outcome]int{lin.Applied: 3, lin.Unknown: 1}}
	all := together([]*sim.Result{one, two})
	if all.Trace != sum("aa\ncc\n") || all.Memory != sum("bb\ndd\n") {
		t.Errorf("trace %s, memory %s", all.Trace, all.Memory)
	}
	if all.Outcomes[lin.Applied] != 5 || all.Outcomes[lin.Unknown] != 1 {
		t.Errorf("outcomes %v", all.Outcomes)
	}
}

// TestRareFaultsAreNamed: a detectable class that never fired is told where it is not judged yet, and not before it may be expected.
func TestRareFaultsAreNamed(t *testing.T) {
	never := func(_ int, r *sim.Result) { delete(r.Fired, "bit-flip") }
	for n, want := range map[int]string{judged - 1: "", judged: "fault bit-flip", judgedRarer - 1: "fault bit-flip", judgedRarer: ""} {
		if got := strings.Join(Summarize(results(n, never), time.Second).Unseen, ", "); got != want {
			t.Errorf("%d seeds: %q, want %q", n, got, want)
		}
	}
}

// TestRareEvery: the share of seeds with a detectable fault is the one that campaigns are judged by.
func TestRareEvery(t *testing.T) {
	rare, with := sim.ClassesOf(sim.Detectable), 0
	const seeds = 2000
	for seed := range uint64(seeds) {
		if slices.ContainsFunc(Draw(seed, schedule.Defaults{}).Faults, func(f schedule.Fault) bool { return slices.Contains(rare, f.ID) }) {
			with++
		}
	}
	if want := seeds / rareEvery; with < want*4/5 || with > want*6/5 {
		t.Errorf("%d of %d seeds have a detectable fault, campaigns are judged by one in %d: does sim/schedule say otherwise?", with, seeds, rareEvery)
	}
}
