package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/trial"
)

// TestRefusedBeforeTheStart: what is asked for wrongly, or can't be done here, is refused with code 2 and the reason, before
// anything is built or made.
func TestRefusedBeforeTheStart(t *testing.T) {
	t.Chdir("../..") // the default folder would be made there
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"run --time 1s", "at least 5s"},
		{"run --time 1", "time"},
		{"run --rate 0", "--rate"},
		{"run --clients 2", "--clients"},
		{"run --target clouds", "processes"},
		{"run --through tunnels", "haproxy"},
		{"run --target compose --through nodes", "as it is"},
		{"run --target compose --serve-flag=--log-level=debug", "as it is"},
		{"run --target compose --nemesis disk", "needs --target processes"},
		{"run --nemesis nonsense", "jepsen-lite nemeses"},
		{"run --nemesis clock", "simulator"},
		{"run --nemesis single,kill", "stands alone"},
		{"sum " + foreign, "result.json"},
		{"run --nemesis proxy --through nodes", "it needs"},
		{"run --haproxy haproxy --through nodes", "--through haproxy"},
		{"run --target compose --haproxy haproxy", "as it is"},
		{"run --nemesis restart-rolling --time 6s --through nodes", "no room"},
		{"run --kvorum /does/not/exist --through nodes", "no such file"},
		{"run --through nodes --out " + foreign, "name another with --out"},
		{"run nonsense", "unexpected argument"},
		{"nonsense", "unexpected argument"},
	} {
		var out, err bytes.Buffer
		if code := run(t.Context(), strings.Fields(c.args), &out, &err); code != exitUsage || !strings.Contains(err.String(), c.want) {
			t.Errorf("jepsen-lite %s: code %d, want %d and %q:\n%s", c.args, code, exitUsage, c.want, err.String())
		}
	}
	if _, err := os.Stat("jepsen-lite-1"); err == nil {
		t.Error("a folder was made for a run that was refused")
	}
}

// TestHAProxyIsMissing: asked for by name it is refused; not asked for, the run goes to the nodes and leaves out what needs it.
func TestHAProxyIsMissing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "kvorum")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	t.Setenv("HAPROXY", "nowhere")
	for _, args := range []string{"run --through haproxy", "run --through haproxy --nemesis proxy"} {
		var out, err bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &out, &err); code != exitUsage || !strings.Contains(err.String(), "not installed") {
			t.Errorf("%s: code %d\n%s", args, code, &err)
		}
	}
	c := runCmd{Target: trial.Processes, Nemesis: "all", Time: 600e9, Rate: 1, Clients: 3, Kvorum: program}
	config, err := c.plan()
	if err != nil || config.Through != trial.ThroughNodes || config.LeftOut["proxy-kill"] == "" {
		t.Errorf("%v: through %s, left out %v", err, config.Through, config.LeftOut)
	}
	for _, s := range config.Schedule.Strikes {
		if strings.HasPrefix(s.Nemesis, "proxy") || strings.HasPrefix(s.Nemesis, "router") {
			t.Errorf("drawn all the same: %s", s)
		}
	}
	var out, problems bytes.Buffer
	if code := run(t.Context(), []string{"nemeses"}, &out, &problems); code != 0 || !strings.Contains(out.String(), "not here: it needs HAProxy") {
		t.Errorf("code %d\n%s%s", code, &out, &problems)
	}
}

func TestNemesesAreListed(t *testing.T) {
	var out, err bytes.Buffer
	if code := run(t.Context(), []string{"nemeses"}, &out, &err); code != 0 {
		t.Fatalf("code %d\n%s", code, &err)
	}
	for _, n := range nemesis.List() {
		if !strings.Contains(out.String(), n.Name) || !strings.Contains(out.String(), n.Does) {
			t.Errorf("%s is not in\n%s", n.Name, &out)
		}
	}
	if !strings.Contains(out.String(), "clock: stays with the simulator, because") {
		t.Errorf("nothing of clocks in\n%s", &out)
	}
	out.Reset()
	if code := run(t.Context(), nil, &out, &err); code != 0 || !strings.Contains(out.String(), "Exit codes:") {
		t.Errorf("help: code %d\n%s", code, &out)
	}
}

func TestExitCodes(t *testing.T) {
	for v, want := range map[trial.Verdict]int{trial.Linearizable: 0, trial.Violation: 1, trial.Undecided: 3, trial.Vacuous: 3, trial.Unproved: 3, "error": 3} {
		got := 0
		if err, failed := exitOf(v).(verdictError); failed {
			got = err.code
		}
		if got != want {
			t.Errorf("%s: %d, want %d", v, got, want)
		}
	}
}
