package sim

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/timeline"
)

// TestOraclesAreListed: kvsim oracles names every oracle that can fire.
func TestOraclesAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, o := range Oracles() {
		if listed[o.ID] || o.Line == "" {
			t.Errorf("%q is listed twice or says nothing", o.ID)
		}
		listed[o.ID] = true
	}
	fires := regexp.MustCompile(`\b(?:fail|problem|final)\("([a-z][a-z -]*)"`)
	found := namedIn(t, fires, listed, "*.go", "tap/*.go", "audit/*.go")
	if len(found) < 30 {
		t.Errorf("only %d oracles were found in the source", len(found))
	}
}

// TestEveryOracleIsHeard: one that fires again and again does not keep the others from being told.
func TestEveryOracleIsHeard(t *testing.T) {
	w := &World{Schedule: &schedule.Schedule{}, timeline: &timeline.Timeline{}, trace: machine.NewTrace(nil), failed: map[string]int{}}
	for range 500 {
		w.fail("stale reads", "one of many")
	}
	w.fail("linearizability", "the one that counts")
	if n := len(w.failures); n != mostFailures+1 || w.failures[n-1].Oracle != "linearizability" {
		t.Errorf("%d failures, the last of %s", n, w.failures[n-1].Oracle)
	}
}

// TestProbesAreListed: kvsim probes names everything that a world counts, and campaigns are judged by all of it.
func TestProbesAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, p := range Probes() {
		if listed[p.ID] || p.Line == "" {
			t.Errorf("%q is listed twice or says nothing", p.ID)
		}
		listed[p.ID] = true
	}
	counts := regexp.MustCompile(`\breach\("([^"]+)"\)`)
	found := namedIn(t, counts, listed, "*.go", "tap/*.go")
	found[ProbeLeader], found[ProbeInstall], found[ProbeLoss] = true, true, true // by the constants' names
	for id := range listed {
		if !found[id] {
			t.Errorf("nothing counts %q", id)
		}
	}
}

// namedIn finds what the expression's group matches in the source. Each must be listed.
func namedIn(t *testing.T, what *regexp.Regexp, listed map[string]bool, patterns ...string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range what.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
				if !listed[m[1]] {
					t.Errorf("%s: %q is not listed", file, m[1])
				}
			}
		}
	}
	return found
}
