package sim_test

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/schedule"
)

var (
	oneSeed   = flag.Uint64("seed", 0, "run this seed alone")
	manySeeds = flag.String("seeds", "1-4", "range of seeds to run")
	doubles   = flag.Int("doubles", 1, "how many seeds to run twice")
	orders    = flag.Int("orders", 6, "how many orders of goroutines to compare")
)

// theLab is built once for all tests; the first build on a machine takes a minute or two.
var theLab = sync.OnceValues(func() (*lab.Lab, error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	return lab.New(context.Background(), lab.Config{Build: build.Config{Root: root, Say: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}})
})

func openLab(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := theLab()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestSeeds is the world at large: no oracle fires.
func TestSeeds(t *testing.T) {
	from, to := seedRange(t)
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < time.Duration(to-from+1)*slowSeed/time.Duration(runtime.GOMAXPROCS(0)) {
		t.Fatalf("%d seeds may take longer than the time that go test allows: add -timeout 0", to-from+1)
	}
	l := openLab(t)
	began := time.Now()
	results := l.Campaign(t.Context(), lab.Campaign{From: from, To: to, Workers: runtime.GOMAXPROCS(0), Done: func(_ *schedule.Schedule, r *sim.Result) bool {
		t.Logf("seed %d: %s, %v, %d writes, faults %v, %.0f virtual seconds in %.1f", r.Seed, r.Verdict, r.Outcomes, r.Writes, r.Fired, r.Virtual, r.Wall)
		return true
	}})
	for _, r := range results {
		for _, f := range r.Failures {
			t.Errorf("seed %d, %.3f s, %s: %s\nlook at it: go run ./cmd/kvsim run --seed %d", r.Seed, f.At, f.Oracle, f.Detail, r.Seed)
		}
		if r.Verdict == sim.Undecided {
			t.Errorf("seed %d is undecided", r.Seed)
		}
	}
	s := lab.Summarize(results, time.Since(began))
	t.Logf("%d seeds: %v; %.1f virtual seconds a second", s.Seeds, s.Verdicts, s.Virtual/s.Wall)
	if len(results) == 0 || s.Verdicts[sim.Vacuous] > len(results)/2 {
		t.Errorf("most runs prove nothing: %v", s.Verdicts)
	}
	if len(s.Dead) > 0 && s.Seeds >= 200 { // fewer need not see everything
		t.Errorf("in less than 1 %% of the seeds: %v", s.Dead)
	}
}

// slowSeed is what one may take on a slow core.
const slowSeed = 25 * time.Second

func seedRange(t *testing.T) (from, to uint64) {
	t.Helper()
	if *oneSeed != 0 {
		return *oneSeed, *oneSeed
	}
	first, last, found := strings.Cut(*manySeeds, "-")
	if !found {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 64)
	to, err2 := strconv.ParseUint(last, 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("-seeds %q: want a range such as 1-200", *manySeeds)
	}
	return from, to
}

// TestRegressions runs every schedule that once showed a bug. A schedule drawn for another version of the program may not
// show it any more; the unit test beside the fix does.
func TestRegressions(t *testing.T) {
	names, err := filepath.Glob("testdata/regressions/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no regressions: %v", err)
	}
	l := openLab(t)
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".json"), func(t *testing.T) {
			t.Parallel()
			s, err := lab.ReadSchedule(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range l.Run(t.Context(), s, sim.Options{}).Failures {
				t.Errorf("%.3f s, %s: %s", f.At, f.Oracle, f.Detail)
			}
		})
	}
}

// TestSameAgain: a world is the same each time, whatever the host does meanwhile: alone on one processor, or beside others.
func TestSameAgain(t *testing.T) {
	l := openLab(t)
	for i := range *doubles {
		s := lab.Draw(uint64(1000+i), schedule.Defaults{Duration: 20 * time.Second})
		first := l.Run(t.Context(), s, sim.Options{})
		beside := l.Campaign(t.Context(), lab.Campaign{From: s.Seed, To: s.Seed + 1, Workers: 2, Defaults: schedule.Defaults{Duration: 20 * time.Second}})[0]
		before := runtime.GOMAXPROCS(1)
		alone := l.Run(t.Context(), s, sim.Options{})
		runtime.GOMAXPROCS(before)
		for name, again := range map[string]*sim.Result{"beside another": beside, "on one processor": alone} {
			if again.Trace != first.Trace || again.Memory != first.Memory {
				t.Errorf("seed %d %s: trace %.12s and %.12s, memory %.12s and %.12s", s.Seed, name, again.Trace, first.Trace, again.Memory, first.Memory)
			}
		}
	}
}

// TestGoroutineOrders: with everything else alike, each seed of the goroutines gives another order.
func TestGoroutineOrders(t *testing.T) {
	l := openLab(t)
	seen := map[uint64]bool{}
	for i := range *orders {
		s := lab.Draw(7, schedule.Defaults{Duration: 5 * time.Second, All: true})
		s.Stock, s.GoroutineSeed = false, uint64(i+1)
		h := fnv.New64a()
		l.Run(t.Context(), s, sim.Options{Goroutines: h})
		seen[h.Sum64()] = true
	}
	if len(seen) != *orders {
		t.Errorf("%d orders of %d seeds", len(seen), *orders)
	}
}

// TestHeartbeatsDuringFsync: while a leader's sync hangs for 5 s its other goroutines run on, so that its followers keep hearing
// it; a leader that is stopped for as long loses them.
func TestHeartbeatsDuringFsync(t *testing.T) {
	l := openLab(t)
	second := schedule.Duration(time.Second)
	for _, c := range []struct {
		fault schedule.Fault
		lost  bool
	}{
		{schedule.Fault{ID: "disk-stall", At: 4 * second, For: 5 * second, Nodes: []string{"leader:0"}, Amount: 5, Mode: "sync"}, false},
		{schedule.Fault{ID: "pause", At: 4 * second, For: 5 * second, Nodes: []string{"leader:0"}}, true},
	} {
		t.Run(c.fault.ID, func(t *testing.T) {
			t.Parallel()
			r := l.Run(t.Context(), &schedule.Schedule{Version: 1, Seed: 1, Shards: 1, Replicas: 3, Duration: 10 * second,
				Crowd: schedule.Crowd{Clients: 3, Keys: 4, Rate: 20, ValueBytes: 64},
				Flags: []string{"--heartbeat-timeout=300ms", "--election-timeout=300ms", "--leader-lease-timeout=300ms", "--disk-stall-timeout=30s"}, Faults: []schedule.Fault{c.fault}}, sim.Options{})
			if r.Fired[c.fault.ID] == 0 || len(r.Failures) > 0 {
				t.Errorf("fired %v, failures %v", r.Fired, r.Failures)
			}
			if lost := r.Reached[sim.ProbeLeader] > 0; lost != c.lost {
				t.Errorf("another leader: %t, want %t", lost, c.lost)
			}
		})
	}
}

func TestCommonClassesAreTolerated(t *testing.T) {
	tolerated := sim.ClassesOf(sim.Tolerated)
	for _, id := range sim.CommonClasses() {
		if !slices.Contains(tolerated, id) {
			t.Errorf("%s is no class of the tier %s", id, sim.Tolerated)
		}
	}
}
