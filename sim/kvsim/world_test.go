package kvsim

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
)

// commands run kvsim one after the other, as if from the shell. What is compiled for a patch is kept until the test ends, so that
// only the first of them takes long.
type commands struct {
	t      *testing.T
	engine lab.NewEngine
}

func newCommands(t *testing.T) commands {
	cache := t.TempDir()
	return commands{t, func(ctx context.Context, o machine.Options) (machine.Engine, error) {
		if o.Cache == "" {
			o.Cache = cache
		}
		return machine.NewWazero(ctx, o)
	}}
}

// kvsim runs one, which must end with the code, and gives its last line and what it said.
func (c commands) kvsim(want int, args ...string) (last map[string]any, said string) {
	c.t.Helper()
	var stdout, stderr bytes.Buffer
	code := (&program{c.t.Context(), "kvsim", c.engine, &stdout, &stderr}).run(args)
	if code != want {
		c.t.Fatalf("kvsim %s: code %d, want %d\n%s%s", strings.Join(args, " "), code, want, stderr.String(), stdout.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if text := lines[len(lines)-1]; text != "" {
		if err := json.Unmarshal([]byte(text), &last); err != nil {
			c.t.Fatalf("the last line is no JSON object: %v", err)
		}
	}
	return last, stderr.String()
}

// oracles of a last line.
func oracles(last map[string]any) (list []string) {
	names, _ := last["oracles"].([]any)
	for _, name := range names {
		text, _ := name.(string)
		list = append(list, text)
	}
	return list
}

// TestPlantedBug is what the simulator is for, from end to end: a bug is found, by the oracles that are to see it, made small enough
// to be read, and shown again, bit for bit.
func TestPlantedBug(t *testing.T) {
	t.Parallel()
	const oracle = "digest" // of a write that should have been refused
	c, folder := newCommands(t), t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	found, said := c.kvsim(exitFailed, "hunt", "--patch", planted, "--seeds", "1", "--duration", "20s", "--out", at("kill.json"))
	if found["killed"] != true || found["seed"] != 1.0 || found["verdict"] != "failed" || !slices.Contains(oracles(found), oracle) || !slices.Contains(oracles(found), "linearizability") {
		t.Errorf("%v", found)
	}
	if !strings.Contains(said, "shrink "+at("kill.json")+" --patch "+planted) { // that it builds is said only if it takes a moment
		t.Error("the hunt does not show how to go on")
	}
	c.kvsim(exitGood, "shrink", at("kill.json"), "--patch", planted, "--oracle", oracle, "--runs", "3", "--out", at("small.json"))
	before, after := c.schedule(at("kill.json")), c.schedule(at("small.json"))
	if len(after.Faults) >= len(before.Faults) || after.Duration > before.Duration {
		t.Errorf("%d faults in %s were shrunk to %d in %s", len(before.Faults), before.Duration, len(after.Faults), after.Duration)
	}
	if info, err := os.Stat(at("small.json")); err != nil || info.Size() >= smallFile {
		t.Errorf("the small schedule is too large: %v, %v", info, err)
	}
	again, _ := c.kvsim(exitFailed, "replay", at("small.json"), "--patch", planted, "--out", at("again"))
	if !slices.Contains(oracles(again), oracle) {
		t.Errorf("the small schedule made %v fire, not %s", oracles(again), oracle)
	}
	third, said := c.kvsim(exitFailed, "replay", at("again"), "--patch", planted)
	if third["trace"] != again["trace"] || third["memory"] != again["memory"] || !strings.Contains(said, "the same run, bit for bit") {
		t.Error("the replay was another run")
	}
}

func (c commands) schedule(name string) *schedule.Schedule {
	c.t.Helper()
	s, err := lab.ReadSchedule(name)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// TestHarmlessPatchLives: who finds a bug where there is none is wrong.
func TestHarmlessPatchLives(t *testing.T) {
	t.Parallel()
	lives, _ := newCommands(t).kvsim(exitGood, "hunt", "--patch", harmless, "--seeds", "1", "--duration", "20s")
	if lives["killed"] != false || lives["seeds"] != 1.0 || lives["verdict"] != "good" || len(oracles(lives)) > 0 {
		t.Errorf("%v", lives)
	}
}

// TestPatchesThatAreNone: what can't be hunted is refused and not taken for a survivor.
func TestPatchesThatAreNone(t *testing.T) {
	t.Parallel()
	c, folder := newCommands(t), t.TempDir()
	head := "--- a/store/table.go\n+++ b/store/table.go\n@@ -1 +1 @@\n"
	for name, want := range map[string]struct{ text, said string }{
		"elsewhere.patch": {head + "-package elsewhere\n+package store\n", "does not apply"},
		"broken.patch":    {head + "-package store\n+package store; var x int = \"\"\n", "does not build"},
		"nothing.patch":   {"--- a/CHANGELOG.md\n+++ b/CHANGELOG.md\n@@ -1 +1 @@\n-# Changelog\n+# Changes\n", "changes nothing that the machines run"},
	} {
		patch := file(t, folder, name, want.text)
		if last, said := c.kvsim(exitUsage, "hunt", "--patch", patch, "--seeds", "1"); last != nil || !strings.Contains(said, patch+" "+want.said) {
			t.Errorf("%s: %v, %q is not in\n%s", name, last, want.said, said)
		}
	}
}
