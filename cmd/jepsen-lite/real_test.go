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

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
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
	Seconds    float64
	Verdict    string
	DecidedBy  []string       `json:"decided_by"`
	Operations map[string]int `json:"operations"`
	Writes     int            `json:"writes_acknowledged"`
	Appends    int            `json:"list_appends_acknowledged"`
	WeakReads  int            `json:"weak_reads_judged"`
	Nemeses    map[string]struct{ Fired, Proved int }
	Longest    struct{ Seconds float64 } `json:"longest_without_service"`
	Outages    []outage                  `json:"time_without_service"`
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
	if l.Target != "processes" || l.Writes == 0 || l.Appends == 0 || l.WeakReads == 0 || l.Longest.Seconds <= 0 {
		t.Errorf("%+v", l)
	}
	wantCounts(t, l, out)
	wantOutages(t, l)
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
	for _, word := range append([]string{"leader shard", "in term", `href="../logs/s2n2.log"`}, struck...) {
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
	needHAProxy(t)
	code, l, out := try(t, "--through", "haproxy", "--nemesis", "mix-reload-kill")
	wantGood(t, code, l, out, "mix-reload-kill")
}

// wholeMachine skips a test that cuts networks and disks where that can't be done.
func wholeMachine(t *testing.T) {
	t.Helper()
	skipIf(t, errors.Join(netns.Possible(), faultfs.Possible()))
}

// needHAProxy skips a test where it is not installed.
func needHAProxy(t *testing.T) {
	t.Helper()
	_, err := cluster.FindHAProxy()
	skipIf(t, err)
}

// skipIf skips with a reason; in CI, where everything must run, it fails.
func skipIf(t *testing.T, reason error) {
	t.Helper()
	if reason == nil {
		return
	}
	if os.Getenv("KVORUM_CI") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// TestRunWithCutsOfNetworkAndPower: nodes in networks of their own, one shard's data on disks that fail.
func TestRunWithCutsOfNetworkAndPower(t *testing.T) {
	wholeMachine(t)
	struck := []string{"partition-leader", "disk-power-cut-all", "disk-eio-read"}
	code, l, out := try(t, "--through", "nodes", "--time", "40s", "--nemesis", strings.Join(struck, ","))
	wantGood(t, code, l, out, struck...)
}
