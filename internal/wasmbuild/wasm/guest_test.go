package wasm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// TestPatchedLog runs the patched bbolt and raft-boltdb for real, and lets the unpatched ones read what they wrote.
func TestPatchedLog(t *testing.T) {
	m := buildGuest(t)
	t.Run("thousands of transactions past the map's size", m.testGrowth)
	t.Run("same bytes as native", m.testSameBytes)
	t.Run("native and machine take turns", m.testTurns)
	t.Run("killed", m.testKilled)
	t.Run("failing writes", m.testFailingWrites)
	t.Run("locks", m.testLocks)
	t.Run("raft log", m.testRaftLog)
}

func (m *machines) testGrowth(t *testing.T) {
	const transactions = 4000
	d := newDisk(t)
	m.inside(t, d, "fill", "db", fmt.Sprint(transactions))
	info, err := os.Stat(filepath.Join(d.folder, "db"))
	if err != nil {
		t.Fatal(err)
	}
	if first := int64(32 << 10); info.Size() < 16*first {
		t.Errorf("the file has %d bytes: too few to outgrow the first map of %d several times", info.Size(), first)
	}
	if got := d.syncs.Load(); got < 2*transactions {
		t.Errorf("%d syncs reached the disk for %d transactions, want 2 each", got, transactions)
	}
	want := fmt.Sprint("verified ", transactions)
	if got := m.inside(t, d, "verify", "db", fmt.Sprint(transactions)); got != want {
		t.Errorf("reopened in a machine: %q, want %q", got, want)
	}
	if got := m.outside(t, d, "verify", "db", fmt.Sprint(transactions)); got != want {
		t.Errorf("reopened natively: %q, want %q", got, want)
	}
}

func (m *machines) testSameBytes(t *testing.T) {
	inside, outside := newDisk(t), newDisk(t)
	m.inside(t, inside, "fill", "db.array", "600")
	m.outside(t, outside, "fill", "db.array", "600")
	a, err := os.ReadFile(filepath.Join(inside.folder, "db.array"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(outside.folder, "db.array"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("a machine's file (%d bytes) differs from the native one (%d bytes)", len(a), len(b))
	}
}

func (m *machines) testTurns(t *testing.T) {
	d := newDisk(t)
	for n := 100; n <= 600; n += 200 {
		m.outside(t, d, "fill", "db", fmt.Sprint(n))
		m.inside(t, d, "fill", "db", fmt.Sprint(n+100))
	}
	m.inside(t, d, "verify", "db", "600")
	m.outside(t, d, "verify", "db", "600")
}

// testKilled drops the machine in the middle of its work, again and again. What it acknowledged is there.
func (m *machines) testKilled(t *testing.T) {
	d := newDisk(t)
	acknowledged := 0
	for _, kill := range []int{1, 40, 333} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &output{onLine: func(line string) {
			n, err := strconv.Atoi(line)
			if err != nil {
				t.Errorf("the guest said %q", line)
			}
			if acknowledged = n; n >= kill {
				cancel()
			}
		}}
		if err := m.run(ctx, d, out, "fill", "db", "1000000"); err == nil {
			t.Fatal("the guest came to its end")
		}
		cancel()
		if acknowledged < kill {
			t.Fatalf("the guest ended after %d transactions: %s", acknowledged, out.tail())
		}
		m.outside(t, d, "verify", "db", fmt.Sprint(acknowledged))
		m.inside(t, d, "verify", "db", fmt.Sprint(acknowledged))
	}
}

// testFailingWrites: after a failed write, whole, partial or of nothing, the map shows what the file has.
func (m *machines) testFailingWrites(t *testing.T) {
	for name, partial := range map[string]int{"nothing arrives": 0, "a part arrives": 40, "all arrives": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			d, failed := newDisk(t), 0
			d.fails = func(write int64) (int, sys.Errno) {
				if write > 100 && write%13 == 0 {
					failed++
					return partial, sys.EIO
				}
				return 0, 0
			}
			got := m.inside(t, d, "survive", "db", "400")
			if want := "verified 400"; got != want {
				t.Errorf("the guest said %q, want %q", got, want)
			}
			if failed < 20 {
				t.Errorf("only %d writes failed", failed)
			}
			m.outside(t, d, "verify", "db", "400")
		})
	}
}

func (m *machines) testLocks(t *testing.T) {
	for name, run := range map[string]func(*testing.T, *disk, ...string) string{"machine": m.inside, "native": m.outside} {
		if got := run(t, newDisk(t), "lock", "db"); got != "locked" {
			t.Errorf("%s: the guest said %q", name, got)
		}
	}
}

func (m *machines) testRaftLog(t *testing.T) {
	d := newDisk(t)
	m.inside(t, d, "raft-write", "in", "1500")
	m.outside(t, d, "raft-write", "out", "1500")
	for _, file := range []string{"in", "out"} {
		want := "read 1115" // of 1500, without the first quarter and the last ten
		if got := m.inside(t, d, "raft-read", file, "1500"); got != want {
			t.Errorf("%s read by a machine: %q, want %q", file, got, want)
		}
		if got := m.outside(t, d, "raft-read", file, "1500"); got != want {
			t.Errorf("%s read natively: %q, want %q", file, got, want)
		}
	}
}
