package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/internal/rig"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
	"github.com/kvorum/kvorum/sim/mutants"
	"github.com/kvorum/kvorum/sim/patch"
)

func TestMain(m *testing.M) {
	faultfs.ServeIfAsked()
	os.Exit(m.Run())
}

// line is the last line of standard output, as a program reads it.
type line struct {
	Seed       uint64
	Target     string
	Through    string
	Verdict    string
	DecidedBy  []string       `json:"decided_by"`
	Operations map[string]int `json:"operations"`
	Writes     int            `json:"writes_acknowledged"`
	Appends    int            `json:"list_appends_acknowledged"`
	Nemeses    map[string]struct{ Fired, Proved int }
	Longest    struct{ Seconds float64 } `json:"longest_without_service"`
	Findings   []string
	Doubts     []string
	Caught     struct {
		Seconds float64
		By      string
	}
}

// try runs a short trial and reads its last line. Elections are fast, so that much happens in little time.
func try(t *testing.T, args ...string) (code int, l line, out string) {
	t.Helper()
	var flags []string
	for _, f := range cluster.FastRaft() {
		flags = append(flags, "--serve-flag="+f)
	}
	return tryWith(t, append(flags, args...)...)
}

// tryWith is try with other flags.
func tryWith(t *testing.T, args ...string) (code int, l line, out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "out")
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"run", "--time", "12s", "--out", out}, args...), &stdout, &stderr)
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &l); err != nil {
		t.Fatalf("code %d, the last line is no JSON: %v\n%s%s", code, err, &stdout, &stderr)
	}
	t.Logf("%s\n%s", &stderr, &stdout)
	return code, l, out
}

// wantGood checks what a clean run says and leaves behind.
func wantGood(t *testing.T, code int, l line, out string, struck ...string) {
	t.Helper()
	if code != exitLinearizable || l.Verdict != "linearizable" || !slices.Equal(l.DecidedBy, []string{"search", "replay"}) {
		t.Errorf("code %d, %s by %v: %v %v", code, l.Verdict, l.DecidedBy, l.Findings, l.Doubts)
	}
	if l.Target != "processes" || l.Writes == 0 || l.Appends == 0 || l.Operations["applied"] <= l.Writes || l.Longest.Seconds <= 0 {
		t.Errorf("%+v", l)
	}
	for _, name := range struck {
		if f := l.Nemeses[name]; f.Fired == 0 || f.Fired != f.Proved {
			t.Errorf("%s: fired %d times, proved %d", name, f.Fired, f.Proved)
		}
	}
	for _, name := range []string{"schedule.json", "result.json", "history.jsonl", "commits.jsonl", "logs/s2n2.log", "report/index.html"} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: missing or empty (%v)", name, err)
		}
	}
	page, err := os.ReadFile(filepath.Join(out, "report", "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range append([]string{"leader shard", "in term"}, struck...) {
		if !bytes.Contains(page, []byte(word)) {
			t.Errorf("the report does not show %q", word)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "data")); err == nil {
		t.Error("the data of a good run was left behind")
	}
}

// TestRunOnNodes breaks a healthy cluster: what its clients see is linearizable, and both methods say so.
func TestRunOnNodes(t *testing.T) {
	code, l, out := try(t, "--through", "nodes", "--nemesis", "mix-pause-kill")
	wantGood(t, code, l, out, "mix-pause-kill")
}

// TestRunThroughHAProxy: the same with HAProxy and a router in front, and those broken too.
func TestRunThroughHAProxy(t *testing.T) {
	if _, err := cluster.FindHAProxy(); err != nil {
		if os.Getenv("KVORUM_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip("haproxy is not installed (Debian package haproxy)")
	}
	code, l, out := try(t, "--through", "haproxy", "--nemesis", "mix-reload-kill")
	wantGood(t, code, l, out, "mix-reload-kill")
}

// TestBrokenProgramIsCaught: followers that answer reads by what they happen to know are found out.
func TestBrokenProgramIsCaught(t *testing.T) {
	code, l, out := try(t, "--through", "nodes", "--nemesis", "pause-one", "--kvorum", broken(t, "read-follower-own-index"))
	if code != exitViolation || l.Verdict != "violation" || len(l.Findings) > 0 {
		t.Errorf("code %d, %s; findings %v", code, l.Verdict, l.Findings)
	}
	if f := l.Nemeses["pause-one"]; f.Fired == 0 || f.Fired != f.Proved {
		t.Errorf("pause-one: fired %d times, proved %d", f.Fired, f.Proved)
	}
	if _, err := os.Stat(filepath.Join(out, "data", "s0n0")); err != nil {
		t.Errorf("the data is not there to be looked at: %v", err)
	}
}

// wholeMachine skips a test that cuts networks and disks where that can't be done.
func wholeMachine(t *testing.T) {
	t.Helper()
	if err := errors.Join(netns.Possible(), faultfs.Possible()); err != nil {
		if os.Getenv("KVORUM_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// TestRunWithCutsOfNetworkAndPower: nodes in networks of their own, one shard's data on disks that fail.
func TestRunWithCutsOfNetworkAndPower(t *testing.T) {
	wholeMachine(t)
	struck := []string{"partition-leader", "disk-power-cut-all", "disk-eio-read"}
	code, l, out := try(t, "--through", "nodes", "--time", "40s", "--nemesis", strings.Join(struck, ","))
	wantGood(t, code, l, out, struck...)
}

// TestLeaderThatIsAlone: one that answers reads without asking the others is found out when it can't notice that it is alone.
func TestLeaderThatIsAlone(t *testing.T) {
	wholeMachine(t)
	code, l, _ := try(t, "--through", "nodes", "--time", "25s", "--clients", "60", "--rate", "600", "--nemesis", "mix-stall-cut", "--kvorum", broken(t, "read-without-round"))
	if f := l.Nemeses["mix-stall-cut"]; code != exitViolation || l.Verdict != "violation" || len(l.Findings) > 0 || f.Fired == 0 || f.Fired != f.Proved {
		t.Errorf("code %d, %s; findings %v; mix-stall-cut %+v", code, l.Verdict, l.Findings, f)
	}
}

// holdAndKill are flags for mix-hold-kill: many writes are under way, a leader stays one while its followers stand still, also on a
// busy machine, and another is elected before the clients lose patience.
func holdAndKill(more ...string) []string {
	return append([]string{"--nemesis", "mix-hold-kill", "--clients", "60", "--rate", "600", "--time", "25s",
		"--serve-flag=--heartbeat-timeout=600ms", "--serve-flag=--election-timeout=600ms", "--serve-flag=--leader-lease-timeout=600ms"}, more...)
}

// TestRouterThatSendsAgain: a node that forwards a write a second time when the first leader has died under it is found out, since
// the first one is executed too. A plain kill of leaders leaves too few such writes.
func TestRouterThatSendsAgain(t *testing.T) {
	code, l, _ := tryWith(t, holdAndKill("--through", "nodes", "--kvorum", broken(t, "outcome-router-sends-again"))...)
	wantCaught(t, code, l)
}

// TestProxyThatSendsAgain: the program is healthy, HAProxy is told to send writes again that it had sent.
func TestProxyThatSendsAgain(t *testing.T) {
	if _, err := cluster.FindHAProxy(); err != nil {
		if os.Getenv("KVORUM_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip("haproxy is not installed (Debian package haproxy)")
	}
	code, l, _ := tryWith(t, holdAndKill("--through", "haproxy", "--haproxy", resending(t))...)
	wantCaught(t, code, l)
}

func wantCaught(t *testing.T, code int, l line) {
	t.Helper()
	f := l.Nemeses["mix-hold-kill"]
	if code != exitViolation || l.Verdict != "violation" || f.Fired == 0 || f.Fired != f.Proved || l.Caught.Seconds <= 0 || l.Caught.By == "" {
		t.Errorf("code %d, %s, mix-hold-kill %+v, caught %+v", code, l.Verdict, f, l.Caught)
	}
}

// resending is HAProxy's configuration with what must never be in it.
func resending(t *testing.T) (folder string) {
	t.Helper()
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, "haproxy"))); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(folder, "haproxy.cfg")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const guard, mode = "    http-request disable-l7-retry unless read\n", "    option http-server-close\n"
	changed := strings.Replace(strings.Replace(string(text), guard, "", 1), mode, mode+"    retry-on all-retryable-errors\n", 1)
	if strings.Count(changed, "\n") != strings.Count(string(text), "\n") || changed == string(text) {
		t.Fatal("haproxy.cfg does not hold what is to be changed")
	}
	if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
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
