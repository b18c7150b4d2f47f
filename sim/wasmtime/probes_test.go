package wasmtime

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/schedule"
)

var record = flag.String("record", "", "A-B: run these seeds and write down anew which worlds reach which probe")

// world is one of the default swarm, or with these classes of faults alone, or of so many replicas.
type world struct {
	Seed     uint64   `json:"seed"`
	Faults   []string `json:"faults,omitempty"`
	Replicas int      `json:"replicas,omitempty"`
}

func (w world) String() string { return fmt.Sprintf("seed %d %v %d", w.Seed, w.Faults, w.Replicas) }

// mostWorlds is how many are kept for a probe. They are tried one after the other: any change of the program makes another world of a
// seed, in which the same faults bring about the same things mostly, not always.
const mostWorlds = 5

// reaching are the worlds known to reach each probe, by its id.
type reaching map[string][]world

func probesFile(root string) string { return filepath.Join(root, "sim", "testdata", "probes.json") }

// TestEveryProbeIsReached: a probe that is dead, because nothing counts it any more or because no world gets there, fails here and not
// only in the next campaign of hundreds of seeds.
func TestEveryProbeIsReached(t *testing.T) {
	root, err := lab.Root()
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), lab.Config{Build: build.Config{Root: root}, Engine: New})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if *record != "" {
		recordProbes(t, l, root)
	}
	raw, err := os.ReadFile(probesFile(root))
	if err != nil {
		t.Fatal(err)
	}
	var known reaching
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&known); err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, p := range sim.Probes() {
		missing[p.ID] = true
	}
	for id := range known {
		if !missing[id] {
			t.Errorf("%s knows worlds of %q, which is no probe", probesFile(root), id)
		}
	}
	for round := 0; round < mostWorlds && len(missing) > 0; round++ {
		var next []world
		for id := range missing {
			if w := known[id]; round < len(w) && !slices.ContainsFunc(next, w[round].equal) {
				next = append(next, w[round])
			}
		}
		slices.SortFunc(next, func(a, b world) int { return cmp.Compare(a.Seed, b.Seed) })
		for i, r := range runWorlds(t, l, next) {
			for id, times := range r.Reached {
				if times > 0 {
					delete(missing, id)
				}
			}
			for _, f := range r.Failures {
				t.Errorf("%s, %.3f s, %s: %s", next[i], f.At, f.Oracle, f.Detail)
			}
		}
		t.Logf("round %d: %d worlds, %d probes are missing", round+1, len(next), len(missing))
	}
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("probe %q was not reached in %v: it is dead, or these worlds have changed; make probes SEEDS=A-B finds others", id, known[id])
	}
}

func (w world) equal(other world) bool {
	return w.Seed == other.Seed && slices.Equal(w.Faults, other.Faults) && w.Replicas == other.Replicas
}

// runWorlds runs worlds beside each other and returns the results in their order.
func runWorlds(t *testing.T, l *lab.Lab, worlds []world) []*sim.Result {
	results := make([]*sim.Result, len(worlds))
	var all sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, w := range worlds {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			r := l.Run(t.Context(), lab.Draw(w.Seed, schedule.Defaults{Classes: w.Faults, Replicas: w.Replicas}), sim.Options{})
			r.History, r.Commits, r.Annotations, r.Report = nil, nil, nil, nil
			t.Logf("%s: %s, %d writes, %.1f s", w, r.Verdict, r.Writes, r.Wall)
			results[i] = r
		})
	}
	all.Wait()
	return results
}

// recordProbes runs the seeds, and for what few of these reach some with detectable faults alone and with five replicas, and writes
// down for each probe first a world of a small set that reaches all of them together, then others, those in which it was reached most
// often first.
func recordProbes(t *testing.T, l *lab.Lab, root string) {
	var from, to uint64
	if _, err := fmt.Sscanf(*record, "%d-%d", &from, &to); err != nil || from > to {
		t.Fatalf("-record %q: want A-B", *record)
	}
	began := time.Now()
	var worlds []world
	for seed := from; seed <= to; seed++ {
		worlds = append(worlds, world{Seed: seed})
	}
	for seed := range (to - from) / 8 {
		worlds = append(worlds, world{Seed: from + seed, Replicas: 5})
		for _, id := range sim.ClassesOf(sim.Detectable) {
			if seed%9 == 0 {
				worlds = append(worlds, world{Seed: seed + 1, Faults: []string{id, "kill"}})
			}
		}
	}
	results := runWorlds(t, l, worlds)
	s := lab.Summarize(results[:to-from+1], time.Since(began))
	t.Logf("seeds %d-%d, as a campaign: %v, median of %d leader changes, %.0f %% with a snapshot installed, %.0f %% with a restart after unsynced data was lost, %.1f h virtual; in less than 1 %%: %q",
		from, to, s.Verdicts, s.Leaders, 100*s.Installs, 100*s.Losses, s.Virtual/3600, s.Dead)
	raw, err := json.MarshalIndent(choose(worlds, results), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(probesFile(root), append(raw, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

func choose(worlds []world, results []*sim.Result) reaching {
	known, open := reaching{}, map[string]bool{}
	for _, p := range sim.Probes() {
		open[p.ID] = true
	}
	for len(open) > 0 { // the greedy cover
		best, most := 0, 0
		for i, r := range results {
			n := 0
			for id := range open {
				n += min(1, r.Reached[id])
			}
			if n > most {
				best, most = i, n
			}
		}
		if most == 0 {
			break
		}
		for id := range open {
			if results[best].Reached[id] > 0 {
				known[id] = []world{worlds[best]}
				delete(open, id)
			}
		}
	}
	for id := range known {
		order := make([]int, len(worlds))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(results[b].Reached[id], results[a].Reached[id]) })
		for _, i := range order {
			if len(known[id]) < mostWorlds && results[i].Reached[id] > 0 && !known[id][0].equal(worlds[i]) {
				known[id] = append(known[id], worlds[i])
			}
		}
	}
	return known
}
