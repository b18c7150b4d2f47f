package trial

import (
	"encoding/json"
	"hash/crc64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/audit"
)

// TestReplicasThatDiffer at the same index are found without their logs.
func TestReplicasThatDiffer(t *testing.T) {
	all := []shown{{"s0n0", 0, 7, "x"}, {"s0n1", 0, 8, "y"}, {"s0n2", 0, 7, "x"}, {"s1n0", 1, 7, "z"}}
	if found := disagreeing(all); len(found) > 0 {
		t.Errorf("%q", found)
	}
	all[2].digest = "other"
	found := readOrder(2, all, nil).findings // no disks either
	if len(found) == 0 || !strings.Contains(found[0], "s0n2 holds the state other and s0n0") {
		t.Errorf("%q", found)
	}
}

// TestLogsThatDiffer: logs are compared where both have entries, wherever they begin.
func TestLogsThatDiffer(t *testing.T) {
	log := func(first uint64, terms ...uint64) (all []audit.Entry) {
		for i, term := range terms {
			all = append(all, audit.Entry{Index: first + uint64(i), Term: term})
		}
		return all
	}
	for name, c := range map[string]struct {
		a, b []audit.Entry
		want uint64
	}{
		"equal":                {log(1, 1, 1, 2), log(1, 1, 1, 2), 0},
		"one is shorter":       {log(1, 1, 1, 2), log(1, 1, 1), 0},
		"one was cut off":      {log(1, 1, 1, 2), log(3, 2, 2), 0},
		"nothing in common":    {log(1, 1), log(7, 2), 0},
		"the second differs":   {log(1, 1, 1, 2), log(1, 1, 2, 2), 2},
		"differs behind a cut": {log(1, 1, 1, 2, 2), log(3, 2, 3), 4},
	} {
		if got := differ(c.a, c.b); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestLogsAreJoined: of a node whose log a snapshot has cut off, and of one that has it whole.
func TestLogsAreJoined(t *testing.T) {
	node := func(name string, applied, first, last, snapshot uint64) disk {
		d := disk{shown: shown{name: name, applied: applied}, image: audit.Image{First: first, Last: last}}
		for i := first; i <= last; i++ {
			d.image.Entries = append(d.image.Entries, audit.Entry{Index: i, Term: 1})
		}
		if snapshot > 0 {
			d.image.Snapshots = []audit.Snapshot{{Index: snapshot, Term: 1, Good: true}}
		}
		return d
	}
	for name, c := range map[string]struct {
		disks   []disk
		want    int // entries, 0: the order is not known
		finding string
	}{
		"all whole":           {[]disk{node("a", 9, 1, 9, 0), node("b", 8, 1, 9, 0)}, 9, ""},
		"not all is executed": {[]disk{node("a", 7, 1, 9, 0), node("b", 8, 1, 9, 0)}, 8, ""},
		"one was cut off":     {[]disk{node("a", 9, 4, 9, 5), node("b", 9, 1, 9, 0)}, 9, ""},
		"and went on further": {[]disk{node("a", 9, 4, 9, 5), node("b", 6, 1, 6, 0)}, 9, ""},
		"all were cut off":    {[]disk{node("a", 9, 4, 9, 5), node("b", 9, 3, 9, 5)}, 0, ""},
		"too early to join":   {[]disk{node("a", 9, 8, 9, 8), node("b", 6, 1, 6, 0)}, 0, ""},
		"not on the disk":     {[]disk{node("a", 9, 1, 9, 0), node("b", 9, 1, 3, 0)}, 9, "b has executed entries up to 9, and its disk has them up to 3"},
	} {
		var o order
		log, why := o.join(c.disks)
		if len(log) != c.want || (why == "") != (c.want > 0) {
			t.Errorf("%s: %d entries, want %d; %s", name, len(log), c.want, why)
		}
		for i, e := range log {
			if e.Index != uint64(i+1) {
				t.Errorf("%s: entry %d stands at %d", name, e.Index, i+1)
			}
		}
		if found := strings.Join(o.findings, "; "); found != c.finding {
			t.Errorf("%s: found %q, want %q", name, found, c.finding)
		}
	}
}

// TestSnapshotsAreRead: without them a log that was cut off would have a hole.
func TestSnapshotsAreRead(t *testing.T) {
	folder := t.TempDir()
	state := []byte("state")
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	sum.Write(state)
	meta, err := json.Marshal(map[string]any{"ID": "1-5-1", "Index": 5, "Term": 1, "CRC": sum.Sum(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(folder, "snapshots", "1-5-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"identity.json": []byte("{}"), "raft.db": nil, "snapshots/1-5-1/meta.json": meta, "snapshots/1-5-1/state.bin": state} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image, err := readDisk(folder)
	if err != nil || image.SnapshotIndex() != 5 {
		t.Errorf("%+v, %v", image, err)
	}
}
