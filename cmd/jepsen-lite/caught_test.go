package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/internal/rig"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/sim/mutants"
	"github.com/kvorum/kvorum/sim/patch"
)

// TestBrokenProgramIsCaught: followers that answer reads by what they happen to know are found out.
func TestBrokenProgramIsCaught(t *testing.T) {
	code, l, out := try(t, "--through", "nodes", "--nemesis", "pause-one", "--kvorum", broken(t, "read-follower-own-index"))
	if code != exitViolation || l.Verdict != "violation" || len(others(l.Findings)) > 0 {
		t.Errorf("code %d, %s; findings %v", code, l.Verdict, l.Findings)
	}
	if f := l.Nemeses["pause-one"]; f.Fired == 0 || f.Fired != f.Proved {
		t.Errorf("pause-one: fired %d times, proved %d", f.Fired, f.Proved)
	}
	if _, err := os.Stat(filepath.Join(out, "data", "s0n0")); err != nil {
		t.Errorf("the data is not there to be looked at: %v", err)
	}
}

// TestLeaderThatIsAlone: one that answers reads without asking the others is found out when it can't notice that it is alone.
func TestLeaderThatIsAlone(t *testing.T) {
	wholeMachine(t)
	code, l, _ := try(t, "--through", "nodes", "--time", "25s", "--clients", "60", "--rate", "600", "--nemesis", "mix-stall-cut", "--kvorum", broken(t, "read-without-round"))
	if f := l.Nemeses["mix-stall-cut"]; code != exitViolation || l.Verdict != "violation" || len(others(l.Findings)) > 0 || f.Fired == 0 || f.Fired != f.Proved {
		t.Errorf("code %d, %s; findings %v; mix-stall-cut %+v", code, l.Verdict, l.Findings, f)
	}
}

// others are the findings that are not of reads: those have the bug that was planted.
func others(findings []string) []string {
	return slices.DeleteFunc(slices.Clone(findings), func(f string) bool {
		return strings.HasPrefix(f, "session reads: ") || strings.HasPrefix(f, "bounded reads: ") || strings.HasPrefix(f, "stale reads: ")
	})
}

// broken builds the program with a bug on purpose.
func broken(t *testing.T, name string) string {
	t.Helper()
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants.List() {
		if m.Name != name {
			continue
		}
		ready, err := patch.Prepare(t.Context(), root, t.TempDir(), []byte(m.Patch))
		if err != nil {
			t.Fatal(err)
		}
		var modules []cluster.Changed
		for _, p := range ready.Patches {
			modules = append(modules, cluster.Changed{Module: p.Module, Files: p.Replace})
		}
		program, err := cluster.BuildBroken(t.Context(), t.TempDir(), ready.Overlay, modules...)
		if err != nil {
			t.Fatal(err)
		}
		return program
	}
	t.Fatalf("no mutant %s", name)
	return ""
}
