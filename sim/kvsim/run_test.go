package kvsim

import (
	"bytes"
	"strings"
	"testing"
)

// told runs a command line.
func told(t *testing.T, name string, args []string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	p := &program{t.Context(), name, nil, &stdout, &stderr}
	code = p.run(args)
	return code, stdout.String(), stderr.String()
}

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
		if code, _, err := told(t, "kvsim", strings.Fields(c.args)); code != exitUsage || !strings.Contains(err, c.want) {
			t.Errorf("kvsim %s: code %d, want %d and %q:\n%s", c.args, code, exitUsage, c.want, err)
		}
	}
}

func TestLists(t *testing.T) {
	for command, want := range map[string]string{"faults": "power-cluster", "oracles": "raft-vote-twice", "probes": "InstallSnapshot sent", "--help": "Exit codes"} {
		if code, out, err := told(t, "kvsim", []string{command}); code != exitGood || !strings.Contains(out, want) {
			t.Errorf("kvsim %s: code %d, %q is not in\n%s%s", command, code, want, out, err)
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
	if _, out, _ := told(t, "bin/kvsim", []string{"--help"}); !strings.Contains(out, "bin/kvsim run --seed 42") {
		t.Errorf("the help names another program:\n%s", out)
	}
}
