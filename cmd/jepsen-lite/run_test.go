package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/trial"
)

// TestRefusedBeforeTheStart: what is asked for wrongly, or can't be done here, is refused with code 2 and the reason, before
// anything is built or made.
func TestRefusedBeforeTheStart(t *testing.T) {
	t.Chdir("../..") // the default folder would be made there
	t.Setenv("DOCKER_HOST", "unix:///nonexistent")
	foreign, earlier := t.TempDir(), t.TempDir() // nobody knows whose; of a run
	for _, name := range []string{filepath.Join(foreign, "precious"), filepath.Join(earlier, trial.Mark), filepath.Join(earlier, "precious")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"run --time 1s", "at least 5s"},
		{"run --time 1", "time"},
		{"run --rate 14", "--rate"},
		{"run --replicas 2 --through nodes", "3 to 7"},
		{"run --replicas 5", "--through nodes"},
		{"run --replicas 5 --target compose", "--target processes"},
		{"run --nemesis kill-one,disk-lying-power-cut", "a run of its own"},
		{"run --nemesis kill-one,restart-rolling --time 20s --through nodes", "no room for restart-rolling"},
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
		{"run --target compose --nemesis kill --out " + earlier, "containers can't be run here"},
		{"run --target compose --nemesis partition --out " + earlier, "containers can't be run here"},
		{"run --target compose --out " + earlier, "containers can't be run here"},
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
	if _, err := os.Stat(filepath.Join(earlier, "precious")); err != nil {
		t.Errorf("a run that was refused took the folder of an earlier one: %v", err)
	}
}

// TestNoRulesForContainers: with an engine whose kernel knows no rules, what needs them is left out of all, and refused by name.
func TestNoRulesForContainers(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make, by which the image would be made")
	}
	bin := t.TempDir()
	docker := "#!/bin/sh\nif [ \"$1\" = run ]; then echo the kernel knows no nft; exit 1; fi\n"
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(docker), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	c := runCmd{Target: trial.Compose, Nemesis: "all", Time: 600e9, Rate: leastRate, Clients: 3, Replicas: replicas}
	config, err := c.plan(quiet(t))
	if err != nil || !strings.Contains(config.LeftOut["partition-one"], "knows no nft") || config.LeftOut["link-loss"] == "" || config.LeftOut["kill-one"] != "" {
		t.Errorf("%v, left out %v", err, config.LeftOut)
	}
	c.Nemesis = "link-loss"
	if _, err := c.plan(quiet(t)); err == nil || !strings.Contains(err.Error(), "knows no nft") {
		t.Errorf("by name: %v", err)
	}
}

func quiet(t *testing.T) *program {
	return &program{ctx: t.Context(), stdout: io.Discard, stderr: io.Discard}
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
	c := runCmd{Target: trial.Processes, Nemesis: "all", Time: 600e9, Rate: leastRate, Clients: 3, Replicas: replicas, Kvorum: program}
	config, err := c.plan(quiet(t))
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
	for _, need := range nemesis.Needs() {
		if need.Means() == "" || !strings.Contains(out.String(), need.Means()) {
			t.Errorf("what %s is does not stand in\n%s", need, &out)
		}
	}
	for _, n := range nemesis.List() {
		for _, need := range n.Needs {
			if !slices.Contains(nemesis.Needs(), need) {
				t.Errorf("%s needs %s, of which nothing is said", n.Name, need)
			}
		}
	}
	out.Reset()
	if code := run(t.Context(), nil, &out, &err); code != 0 || !strings.Contains(out.String(), "Exit codes:") {
		t.Errorf("help: code %d\n%s", code, &out)
	}
}

// TestNemesesOfContainers: what containers can't have is said to be missing there, what only they have is not, and that there is no
// engine is said once.
func TestNemesesOfContainers(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nonexistent")
	list := func(args ...string) string {
		var out, err bytes.Buffer
		if code := run(t.Context(), append([]string{"nemeses"}, args...), &out, &err); code != 0 {
			t.Errorf("code %d\n%s", code, &err)
		}
		return out.String()
	}
	const unplugs, engine = "(not here: it needs --target compose)", "None of it here: containers can't be run here"
	if text := list(); !strings.Contains(text, unplugs) || strings.Contains(text, engine) {
		t.Errorf("of processes:\n%s", text)
	}
	text := list("--target", "compose")
	if strings.Contains(text, unplugs) || !strings.Contains(text, "(not here: it needs --target processes)") || strings.Count(text, engine) != 1 {
		t.Errorf("of containers:\n%s", text)
	}
}

// TestUnwrittenFolder: that a file of the run could not be written is told whatever the verdict, and before it.
func TestUnwrittenFolder(t *testing.T) {
	for v, want := range map[trial.Verdict]int{trial.Linearizable: exitUndecided, trial.Violation: exitViolation, trial.Vacuous: exitUndecided} {
		var out, text bytes.Buffer
		p := &program{ctx: t.Context(), stdout: &out, stderr: &text}
		err := p.over(trial.Config{}, &trial.Result{Verdict: v}, errors.New("no space left on device"))
		var verdict verdictError
		if !errors.As(err, &verdict) || verdict.code != want {
			t.Errorf("%s: %v, want code %d", v, err, want)
		}
		told, judged := strings.Index(text.String(), "no space left on device"), strings.Index(text.String(), string(v)+": ")
		if told < 0 || judged < told || !strings.Contains(out.String(), `"verdict":"`+string(v)+`"`) {
			t.Errorf("%s:\n%s%s", v, &text, &out)
		}
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
