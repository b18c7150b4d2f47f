package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// TestOnlySchedulesAreReplaced: a file that kvsim did not write is never overwritten.
func TestOnlySchedulesAreReplaced(t *testing.T) {
	folder := t.TempDir()
	at := func(name, text string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	s := Draw(1, schedule.Defaults{})
	fresh := filepath.Join(folder, "fresh.json")
	for range 2 { // and again over itself
		if err := WriteSchedule(fresh, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteSchedule(at("empty.json", ""), s); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	for name, text := range map[string]string{"foreign.json": `{"mine": 1}`, "versioned.json": `{"version": 1}`, "notes.txt": "a day's work"} {
		file := at(name, text)
		if err := WriteSchedule(file, s); err == nil || !strings.Contains(err.Error(), "--out") {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(file); err != nil || string(b) != text {
			t.Errorf("%s is %q now (%v)", name, b, err)
		}
	}
	for _, name := range []string{folder, filepath.Join(folder, "none", "s.json")} {
		if err := MayWriteSchedule(name); err == nil || !strings.Contains(err.Error(), "--out") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRecordSaysThePatch: what a folder tells of its run comes back, with the patch.
func TestRecordSaysThePatch(t *testing.T) {
	path := t.TempDir()
	text, err := os.ReadFile("../mutants/store-cas-ignores-revision.patch")
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecord(&sim.Result{Seed: 7, Trace: "t"}, PatchOf("a.patch", text))
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, ResultFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
	back, err := ReadResult(path)
	if err != nil || back.Seed != 7 || back.Trace != "t" || back.Patch == nil || *back.Patch != *r.Patch || len(back.Patch.SHA256) != 64 {
		t.Errorf("%+v, %v", back, err)
	}
}
