package wasmtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
)

// TestSameWorlds: what an engine is, nothing in a world can tell. Crashes, restarts and clocks included, both engines give the same
// trace, and the same bytes in every machine's memory and disk at the end.
func TestSameWorlds(t *testing.T) {
	root, err := lab.Root()
	if err != nil {
		t.Fatal(err)
	}
	d := schedule.Defaults{Shards: 1, Replicas: 3, Clients: 5, Duration: 8 * time.Second}
	var labs []*lab.Lab
	for _, engine := range []lab.NewEngine{machine.NewWazero, New} {
		l, err := lab.New(t.Context(), lab.Config{Build: build.Config{Root: root}, Engine: engine})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		labs = append(labs, l)
	}
	for _, seed := range []uint64{1, 2, 3} {
		s := lab.Draw(seed, d)
		s.Faults = append(s.Faults, schedule.Fault{ID: "kill", At: schedule.Duration(4 * time.Second), For: schedule.Duration(time.Second), Nodes: []string{"leader:0"}})
		wazero, wasmtime := labs[0].Run(t.Context(), s, sim.Options{}), labs[1].Run(t.Context(), s, sim.Options{})
		if wazero.Fired["kill"] == 0 {
			t.Errorf("seed %d: nobody was killed", seed)
		}
		if wazero.Records < 10_000 || wazero.Trace != wasmtime.Trace || wazero.Memory != wasmtime.Memory {
			t.Errorf("seed %d: wazero %d records, trace %s, memory %s; wasmtime %d, %s, %s", seed, wazero.Records, wazero.Trace, wazero.Memory, wasmtime.Records, wasmtime.Trace, wasmtime.Memory)
		}
	}
}

// TestRefused: what is no program says why.
func TestRefused(t *testing.T) {
	e, err := New(t.Context(), machine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	if _, err := e.Load(t.Context(), []byte("no program")); err == nil || !strings.Contains(err.Error(), "magic") {
		t.Errorf("got %v", err)
	}
	if _, err := New(t.Context(), machine.Options{Interpreter: true}); err == nil {
		t.Error("an interpreter?")
	}
}

// empty is a module that exports nothing, in WebAssembly's binary format: its magic number and version.
const empty = "\x00asm\x01\x00\x00\x00"

// TestCache: compiled code is kept and used again; a damaged file is made anew.
func TestCache(t *testing.T) {
	folder := t.TempDir()
	e, err := New(t.Context(), machine.Options{Cache: folder})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	load := func() string {
		t.Helper()
		p, err := e.Load(t.Context(), []byte(empty))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context(), nil); err == nil || errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "_start") {
			t.Fatalf("a program without a start ended with %v", err)
		}
		kept, err := filepath.Glob(filepath.Join(folder, version, "*"))
		if err != nil || len(kept) != 1 {
			t.Fatalf("kept: %v %v", kept, err)
		}
		return kept[0]
	}
	kept := load()
	before, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, before[:len(before)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	load()
	if after, err := os.ReadFile(kept); err != nil || len(after) != len(before) {
		t.Errorf("the damaged file stays: %d bytes of %d, %v", len(after), len(before), err)
	}
}
