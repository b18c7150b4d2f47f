package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestUsage: what is asked for wrongly is refused before anything is built, with code 2 and what to do.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args, want string
	}{
		{"run", "--seed"},
		{"run --seed 1 --duration 1s", "5s"},
		{"run --seed 1 --faults nonsense", "the command faults"},
		{"run --seed 1 --replicas 0", "at least 1"},
		{"campaign --seeds 9-1", "1-200"},
		{"campaign --seeds x", "1-200"},
		{"replay /does/not/exist", "no such file"},
		{"shrink /does/not/exist", "no such file"},
		{"hunt --patch /does/not/exist --seeds 1", "no such file"},
		{"mutants --only no-such-name", "no such mutant"},
		{"nonsense", "unexpected argument"},
	} {
		var out, err bytes.Buffer
		if code := run(t.Context(), "kvsim", strings.Fields(c.args), &out, &err); code != exitUsage || !strings.Contains(err.String(), c.want) {
			t.Errorf("kvsim %s: code %d, want %d and %q:\n%s", c.args, code, exitUsage, c.want, err.String())
		}
	}
}

func TestLists(t *testing.T) {
	for command, want := range map[string]string{"faults": "power-cluster", "oracles": "raft-vote-twice", "probes": "InstallSnapshot sent", "--help": "Exit codes"} {
		var out, err bytes.Buffer
		if code := run(t.Context(), "kvsim", []string{command}, &out, &err); code != exitGood || !strings.Contains(out.String(), want) {
			t.Errorf("kvsim %s: code %d, %q is not in\n%s%s", command, code, want, out.String(), err.String())
		}
	}
}

// TestStartedAs: hints name what was typed, never the folder in which "go run" keeps the program.
func TestStartedAs(t *testing.T) {
	for path, want := range map[string]string{
		"kvsim": "kvsim", "bin/kvsim": "bin/kvsim", "/tmp/go-build123/b001/exe/kvsim": "go run ./cmd/kvsim", "/cache/1c/" + strings.Repeat("1c", 32) + "-d/kvsim": "go run ./cmd/kvsim",
	} {
		if got := startedAs(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	var out, complaint bytes.Buffer
	if run(t.Context(), "bin/kvsim", []string{"--help"}, &out, &complaint); !strings.Contains(out.String(), "bin/kvsim run --seed 42") {
		t.Errorf("the help names another program:\n%s", out.String())
	}
}
