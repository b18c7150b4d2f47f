package lab

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// TestFolderIsReplacedOnlyIfOurs: --out never destroys what kvsim did not write.
func TestFolderIsReplacedOnlyIfOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	first, err := NewFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.log.Close(); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(path, "old")
	if err := os.WriteFile(old, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := NewFolder(path); err != nil {
		t.Fatalf("kvsim's own folder: %v", err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the earlier run's file is still there")
	}
	if err := os.Remove(filepath.Join(path, markFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := NewFolder(path); err == nil || !strings.Contains(err.Error(), "--out") {
		t.Errorf("a stranger's folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, LogFile)); err != nil {
		t.Errorf("a stranger's file is gone: %v", err)
	}
}

// TestReportSaysWhatTheRunWas: the page of a vacuous run begins with that, however linearizable its history.
func TestReportSaysWhatTheRunWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	folder, err := NewFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &sim.Result{Verdict: sim.Vacuous, Writes: 3, Report: &lin.Report{Verdict: lin.Linearizable}}
	if err := folder.Finish(&schedule.Schedule{}, NewRecord(r, nil)); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(path, ReportFolder, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "<h1>vacuous: 3 writes acknowledged"; !strings.Contains(string(page), want) {
		t.Errorf("the page lacks %q", want)
	}
}

func results(n int, change func(i int, r *sim.Result)) (list []*sim.Result) {
	for i := range n {
		r := &sim.Result{Seed: uint64(i + 1), Verdict: sim.Good, Virtual: 60, Fired: map[string]int{}, Reached: map[string]int{sim.ProbeLeader: 4, sim.ProbeInstall: 1, sim.ProbeLoss: 1}}
		for _, c := range sim.Classes() {
			r.Fired[c.ID] = 1
		}
		for _, p := range sim.Probes() {
			if r.Reached[p.ID] == 0 {
				r.Reached[p.ID] = 1
			}
		}
		change(i, r)
		list = append(list, r)
	}
	return list
}

// TestSummaryJudges: a campaign that fails, can't be decided, or did not look where the bugs are is no good one.
func TestSummaryJudges(t *testing.T) {
	for name, c := range map[string]struct {
		n      int
		change func(i int, r *sim.Result)
		want   sim.Verdict
	}{
		"all good":  {judged, func(int, *sim.Result) {}, sim.Good},
		"one fails": {10, func(i int, r *sim.Result) { r.Verdict = verdictIf(i == 3, sim.Failed) }, sim.Failed},
		"undecided": {10, func(i int, r *sim.Result) { r.Verdict = verdictIf(i == 3, sim.Undecided) }, sim.Undecided},
		"vacuous":   {10, func(i int, r *sim.Result) { r.Verdict = verdictIf(i == 3, sim.Vacuous) }, sim.Vacuous},
		"nothing":   {0, func(int, *sim.Result) {}, sim.Vacuous},
		"dead fault": {judged, func(i int, r *sim.Result) {
			if i > 0 {
				r.Fired["partition"] = 0
			}
		}, sim.Vacuous},
		"dead detectable fault":                     {judgedRarer, func(_ int, r *sim.Result) { delete(r.Fired, "bit-flip") }, sim.Vacuous},
		"detectable fault in one seed of a hundred": {judgedRarer, func(i int, r *sim.Result) { r.Fired["bit-flip"] = btoi(i%100 == 0) }, sim.Good},
		"detectable fault in fewer":                 {judgedRarer, func(i int, r *sim.Result) { r.Fired["bit-flip"] = btoi(i%120 == 0) }, sim.Vacuous},
		"too small to judge a rare fault":           {judgedRarer - 1, func(_ int, r *sim.Result) { delete(r.Fired, "bit-flip") }, sim.Good},
		"dead probe":                                {judged, func(_ int, r *sim.Result) { delete(r.Reached, "write torn") }, sim.Vacuous},
		"few leaders":                               {judged, func(_ int, r *sim.Result) { r.Reached[sim.ProbeLeader] = 2 }, sim.Vacuous},
		"few snapshots":                             {judged, func(i int, r *sim.Result) { r.Reached[sim.ProbeInstall] = btoi(i%4 == 0) }, sim.Vacuous},
		"few losses":                                {judged, func(i int, r *sim.Result) { r.Reached[sim.ProbeLoss] = btoi(i%4 == 0) }, sim.Vacuous},
		"too small to judge all":                    {judged - 1, func(_ int, r *sim.Result) { delete(r.Reached, "write torn") }, sim.Good},
	} {
		t.Run(name, func(t *testing.T) {
			s := Summarize(results(c.n, c.change), time.Minute)
			if s.Verdict != c.want {
				t.Errorf("verdict %s, want %s (dead: %v)", s.Verdict, c.want, s.Dead)
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func verdictIf(b bool, v sim.Verdict) sim.Verdict {
	if b {
		return v
	}
	return sim.Good
}

// TestDrawnSchedulesComeBack: what is written is what is read, and a seed draws the same each time.
func TestDrawnSchedulesComeBack(t *testing.T) {
	for seed := range uint64(20) {
		var first, again strings.Builder
		s := Draw(seed, schedule.Defaults{})
		if err := s.Write(&first); err != nil {
			t.Fatal(err)
		}
		read, err := schedule.Read(strings.NewReader(first.String()))
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Write(&again); err != nil {
			t.Fatal(err)
		}
		if first.String() != again.String() {
			t.Fatalf("seed %d: %s came back as %s", seed, first.String(), again.String())
		}
		var second strings.Builder
		if err := Draw(seed, schedule.Defaults{}).Write(&second); err != nil || second.String() != first.String() {
			t.Fatalf("seed %d draws %s and then %s", seed, first.String(), second.String())
		}
		if len(s.Faults) > 0 && !slices.IsSortedFunc(s.Faults, func(a, b schedule.Fault) int { return int(a.At - b.At) }) {
			t.Fatalf("seed %d: faults are not in order", seed)
		}
	}
}
