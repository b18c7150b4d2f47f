package kvsim

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/schedule"
)

const (
	planted  = "../mutants/store-cas-ignores-revision.patch"
	harmless = "../mutants/harmless/renames-and-comments.patch"
)

// file writes one and gives its path.
func file(t *testing.T, folder, name, text string) string {
	t.Helper()
	name = filepath.Join(folder, name)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// folderOf makes the folder of a run of seed 1, without running it.
func folderOf(t *testing.T, patch *lab.Patch) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run")
	if err := lab.MakeFolder(path); err != nil {
		t.Fatal(err)
	}
	var s bytes.Buffer
	if err := lab.Draw(1, schedule.Defaults{}).Write(&s); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(lab.NewRecord(&sim.Result{Seed: 1, Verdict: sim.Good}, patch))
	if err != nil {
		t.Fatal(err)
	}
	file(t, path, lab.ScheduleFile, s.String())
	file(t, path, lab.ResultFile, string(b))
	return path
}

// TestOutIsNeverAStrangers: whatever a command would write, what kvsim did not write stays, and that is said before anything is built.
func TestOutIsNeverAStrangers(t *testing.T) {
	folder, run := t.TempDir(), folderOf(t, nil)
	precious := file(t, folder, "seed-3.json", "precious")
	for _, args := range [][]string{
		{"run", "--seed", "3", "--out", folder},
		{"campaign", "--seeds", "3", "--out", folder},
		{"replay", run, "--out", folder},
		{"mutants", "--only", "cas", "--out", folder},
		{"hunt", "--patch", planted, "--seeds", "3", "--out", precious},
		{"shrink", run, "--out", precious},
	} {
		code, _, err := told(t, "kvsim", args)
		if code != exitUsage || !strings.Contains(err, "--out") || strings.Contains(err, "building") {
			t.Errorf("kvsim %v: code %d\n%s", args, code, err)
		}
		if b, err := os.ReadFile(precious); err != nil || string(b) != "precious" {
			t.Fatalf("after kvsim %v the file says %q (%v)", args, b, err)
		}
	}
}

// TestEarlierRunStaysUntilTheNextCanBegin: a patch that is not there, or is none, destroys nothing.
func TestEarlierRunStaysUntilTheNextCanBegin(t *testing.T) {
	run := folderOf(t, nil)
	for _, patch := range []string{"no-such.patch", file(t, t.TempDir(), "empty.patch", "")} {
		if code, _, err := told(t, "kvsim", []string{"run", "--seed", "1", "--out", run, "--patch", patch}); code != exitUsage {
			t.Errorf("code %d\n%s", code, err)
		}
		if _, err := lab.ReadResult(run); err != nil {
			t.Fatalf("after --patch %s: %v", patch, err)
		}
		code, _, err := told(t, "kvsim", []string{"replay", run, "--out", run, "--patch", patch})
		if code != exitUsage || strings.Contains(err, "same run") {
			t.Errorf("a replay that did not take place: code %d\n%s", code, err)
		}
	}
}

// TestRunOfAPatchIsToldFromOthers: what is printed to be typed again has the patch, and a run is not taken for one of another program.
func TestRunOfAPatchIsToldFromOthers(t *testing.T) {
	text, err := os.ReadFile(planted)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := &program{t.Context(), "kvsim", nil, &out, &out}
	p.tell(lab.NewRecord(&sim.Result{Verdict: sim.Failed}, lab.PatchOf(planted, text)), "a-run")
	for _, want := range []string{"kvsim replay a-run --patch " + planted + "\n", "kvsim shrink a-run --patch " + planted + "\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	run := folderOf(t, lab.PatchOf(planted, text))
	for _, command := range []string{"replay", "shrink"} {
		if code, _, err := told(t, "kvsim", []string{command, run}); code != exitUsage || !strings.Contains(err, "--patch "+planted) || strings.Contains(err, "building") {
			t.Errorf("%s without the patch: code %d\n%s", command, code, err)
		}
	}
	for name, c := range map[string]struct{ made, given, want string }{
		"the same":  {planted, planted, ""},
		"another":   {planted, harmless, "another patch"},
		"none then": {"", planted, "without a patch"},
	} {
		var of *lab.Patch
		if c.made != "" {
			of = lab.PatchOf(c.made, text)
		}
		out.Reset()
		if _, err := (patched{c.given}).madeWith(p, folderOf(t, of)); err != nil || !strings.Contains(out.String(), c.want) || (c.want == "") != (out.Len() == 0) {
			t.Errorf("%s: %v, %q", name, err, out.String())
		}
	}
}
