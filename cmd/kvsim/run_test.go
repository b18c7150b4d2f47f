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
		{"run --seed 1 --faults nonsense", "kvsim faults"},
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
		if code := run(t.Context(), strings.Fields(c.args), &out, &err); code != exitUsage || !strings.Contains(err.String(), c.want) {
			t.Errorf("kvsim %s: code %d, want %d and %q:\n%s", c.args, code, exitUsage, c.want, err.String())
		}
	}
}

func TestLists(t *testing.T) {
	for command, want := range map[string]string{"faults": "power-cluster", "oracles": "raft-vote-twice", "probes": "InstallSnapshot sent", "--help": "Exit codes"} {
		var out, err bytes.Buffer
		if code := run(t.Context(), []string{command}, &out, &err); code != exitGood || !strings.Contains(out.String(), want) {
			t.Errorf("kvsim %s: code %d, %q is not in\n%s%s", command, code, want, out.String(), err.String())
		}
	}
}
