package lab

import (
	"errors"
	"slices"
	"sync"
	"testing"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

func failing(seed uint64) *sim.Result {
	return &sim.Result{
		Seed: seed, Verdict: sim.Failed, Trace: "a trace", Memory: "a memory", Outcomes: map[lin.Outcome]int{lin.Applied: 600}, Fired: map[string]int{"kill": 2}, Virtual: 60,
		Failures: []sim.Failure{{Oracle: "digest"}, {Oracle: "replay"}, {Oracle: "digest"}},
	}
}

// TestFirstKillerCounts: of seeds that run beside each other the lowest that kills is told, however late it comes; and none is begun
// once one has killed.
func TestFirstKillerCounts(t *testing.T) {
	var mu sync.Mutex
	var begun []uint64
	killed := make(chan struct{}) // by seed 5
	one := func(s *schedule.Schedule) *sim.Result {
		mu.Lock()
		begun = append(begun, s.Seed)
		mu.Unlock()
		switch s.Seed {
		case 2, 3: // slow, and seed 2 passes
			<-killed
		}
		if s.Seed == 2 || s.Seed == 4 {
			return &sim.Result{Seed: s.Seed, Verdict: sim.Good, Virtual: 60}
		}
		return failing(s.Seed)
	}
	passes := func(s *schedule.Schedule) (bool, error) { return s.Seed != 1, nil } // seed 1 is not the patch's doing
	told := 0
	done := func(_ *schedule.Schedule, r *sim.Result) bool {
		told++
		return true
	}
	after := func(s *schedule.Schedule) (bool, error) {
		ok, err := passes(s)
		if s.Seed == 5 {
			close(killed)
		}
		return ok, err
	}
	k, err := hunt(t.Context(), one, after, Campaign{From: 1, To: 100, Workers: 3, Done: done})
	if err != nil || !k.Killed || *k.Seed != 3 || k.Schedule.Seed != 3 || k.Seeds != 3 || k.Virtual != 180 || k.Verdict != sim.Failed {
		t.Errorf("%+v, %v; want a kill by seed 3, the third", k, err)
	}
	slices.Sort(begun)
	if !slices.Equal(begun, []uint64{1, 2, 3, 4, 5}) || told != 5 {
		t.Errorf("%v were begun, %d told", begun, told)
	}
}

// TestHuntEnds: a patch lives if all seeds pass, or fail without it too; a plain program that can't be run ends the hunt.
func TestHuntEnds(t *testing.T) {
	fails := func(s *schedule.Schedule) *sim.Result { return failing(s.Seed) }
	k, err := hunt(t.Context(), fails, func(*schedule.Schedule) (bool, error) { return false, nil }, Campaign{From: 7, To: 9, Workers: 2})
	if err != nil || k.Killed || k.Seed != nil || k.Seeds != 3 || k.Verdict != sim.Good || k.Fired["kill"] != 6 || k.Outcomes[lin.Applied] != 1800 {
		t.Errorf("%+v, %v", k, err)
	}
	vague := func(s *schedule.Schedule) *sim.Result {
		return &sim.Result{Seed: s.Seed, Verdict: []sim.Verdict{sim.Good, sim.Undecided}[s.Seed%2]}
	}
	k, err = hunt(t.Context(), vague, func(*schedule.Schedule) (bool, error) { return true, nil }, Campaign{From: 1, To: 5, Workers: 2})
	if err != nil || k.Killed || k.Seeds != 5 || k.Vague != 3 {
		t.Errorf("%+v, %v; want 3 seeds undecided", k, err)
	}
	broken, asked := errors.New("no such program"), 0
	k, err = hunt(t.Context(), fails, func(*schedule.Schedule) (bool, error) { asked++; return false, broken }, Campaign{From: 7, To: 900, Workers: 2})
	if !errors.Is(err, broken) || k.Killed || asked != 1 {
		t.Errorf("%+v, %v, asked %d times", k, err, asked)
	}
}

// TestPasses: what a seed shows of a patched program is the patch's doing only if the plain one was cleared.
func TestPasses(t *testing.T) {
	for verdict, want := range map[sim.Verdict]bool{sim.Good: true, sim.Vacuous: true, sim.Failed: false, sim.Undecided: false} {
		if Passes(&sim.Result{Verdict: verdict}) != want {
			t.Errorf("a plain run that is %s: passes %t", verdict, !want)
		}
	}
}
