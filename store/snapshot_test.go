package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// variedIdentity has many shards: few slots, so small snapshots.
func variedIdentity() Identity {
	id := identity(LastByte)
	id.ShardCount = 64
	return id
}

// varied is a machine with something of everything: all ownership states, a table, both kinds of rows, empty and large
// values, frames that are full.
func varied(tb fataler, large bool) *Machine {
	m := started(tb, variedIdentity())
	for _, s := range []Slot{'b', 'e', 'f', 'z'} {
		m.touch(s).ownership = Ownership{Owned, 2}
	}
	do(tb, m, 1000, Command{Kind: CommandRegisterShard, Shard: 1, Members: []Member{{"n", "p:1", "a:1"}, {"o", "p:2", "a:2"}}},
		put("b", "").under("i1"), put("xb", "value"), put("b", "two").under("i2"), del("absent b").under("i3"), put("\x00", "\x00"))
	m.touch('b').ownership = Ownership{Frozen, 3}
	m.touch('c').ownership = Ownership{Importing, 4}
	m.touch('d').ownership = Ownership{}
	do(tb, m, 1001, del("xb"), put("f", strings.Repeat("f", 200)))
	if large {
		var commands []Command
		for i := range 3000 {
			commands = append(commands, put(fmt.Sprintf("%04dz", i), strings.Repeat("x", i%100)).under(fmt.Sprint("k", i)))
		}
		do(tb, m, 1002, append(commands, put("bigz", strings.Repeat("big", 1<<20)))...)
	}
	return m
}

func TestSnapshotRoundTrip(t *testing.T) {
	machines := map[string]*Machine{
		"new": New(), "initialised": started(t, identity(Hash)), "varied": varied(t, false), "large": varied(t, true),
	}
	uninitialised := New()
	do(t, uninitialised, 77, put("a", "1"))
	machines["uninitialised"] = uninitialised
	for name, m := range machines {
		t.Run(name, func(t *testing.T) {
			snapshot := snapshotOf(t, m.View())
			again := New()
			if err := again.Restore(iotest.HalfReader(bytes.NewReader(snapshot))); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(snapshotOf(t, again.View()), snapshot) {
				t.Error("S4: restore and write do not give the same bytes")
			}
			v, w := m.View(), again.View()
			if v.Digest() != w.Digest() || v.Bytes() != w.Bytes() || v.Keys() != w.Keys() || v.Index() != w.Index() || v.LogTime() != w.LogTime() {
				t.Errorf("restored %+v, was %+v", w.totals, v.totals)
			}
			for s := range SlotCount {
				if v.Ownership(Slot(s)) != w.Ownership(Slot(s)) || v.SlotRevision(Slot(s)) != w.SlotRevision(Slot(s)) {
					t.Errorf("slot %d differs", s)
				}
			}
			// Both go on alike.
			r, q := do(t, m, 1e9, put("e", "1").under("i9"), del("f")), do(t, again, 1e9, put("e", "1").under("i9"), del("f"))
			if fmt.Sprint(r) != fmt.Sprint(q) || !bytes.Equal(snapshotOf(t, m.View()), snapshotOf(t, again.View())) {
				t.Error("the restored machine goes on differently")
			}
		})
	}
}

// TestDamagedSnapshots: cut anywhere, changed anywhere or with something behind it, a snapshot is refused and the machine
// is as before.
func TestDamagedSnapshots(t *testing.T) {
	snapshot := snapshotOf(t, varied(t, false).View())
	m, twin := started(t, variedIdentity()), started(t, variedIdentity())
	before := m.View()
	refused := func(what string, at int, b []byte) {
		t.Helper()
		if err := m.Restore(bytes.NewReader(b)); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("%s at %d of %d: %v", what, at, len(snapshot), err)
		}
		if m.View() != before {
			t.Fatalf("%s at %d: the machine has changed", what, at)
		}
	}
	damaged := bytes.Clone(snapshot)
	for i := range snapshot {
		refused("cut", i, snapshot[:i])
		flip := byte(1) << (i % 8)
		damaged[i] ^= flip
		refused("flipped", i, damaged)
		damaged[i] ^= flip
	}
	refused("longer", len(snapshot), append(bytes.Clone(snapshot), 0))
	refused("twice", len(snapshot), append(bytes.Clone(snapshot), snapshot...))
	for _, m := range []*Machine{m, twin} {
		do(t, m, 1, put("@", "1"))
	}
	if !bytes.Equal(snapshotOf(t, m.View()), snapshotOf(t, twin.View())) {
		t.Error("the machine has changed behind its view")
	}
	if err := m.Restore(bytes.NewReader(snapshot)); err != nil {
		t.Errorf("the undamaged snapshot: %v", err)
	}
}

// TestForgedSnapshots have right checksums but wrong contents.
func TestForgedSnapshots(t *testing.T) {
	forge := map[string]func(m *Machine){
		"row in the wrong slot": func(m *Machine) { forgeRow(m, "xa", 1, 1) },
		"row newer than slot":   func(m *Machine) { forgeRow(m, "xb", 9, 1) },
		"row with no revision":  func(m *Machine) { forgeRow(m, "xb", 0, 0) },
		"created after written": func(m *Machine) { forgeRow(m, "xb", 1, 2) },
		"row not in the digest": func(m *Machine) { addRow(m, "xb", 1, 1) },
		"digest of a slot":      func(m *Machine) { m.state.slots['b'].digest.low++ },
		"keys":                  func(m *Machine) { m.state.keys++ },
		"data bytes":            func(m *Machine) { m.state.dataBytes++ },
		"idempotency bytes":     func(m *Machine) { m.state.operationBytes-- },
		"sequence":              func(m *Machine) { m.state.sequence = 1 },
		"ownership state":       func(m *Machine) { m.state.slots['b'].ownership.State = 4 },
		"no identity":           func(m *Machine) { m.state.identity, m.state.table = nil, nil },
		"bad identity": func(m *Machine) {
			m.state.identity = &Identity{Cluster: "c", ShardCount: 2, SlotFunction: 7}
		},
		"sequence twice": func(m *Machine) {
			o, _ := m.state.slots['b'].operations.Get("i1")
			o.sequence = 2
		},
	}
	for name, damage := range forge {
		t.Run(name, func(t *testing.T) {
			m := varied(t, false)
			damage(m)
			for s := range SlotCount {
				m.touch(Slot(s))
			}
			m.publish()
			if err := New().Restore(bytes.NewReader(snapshotOf(t, m.View()))); !errors.Is(err, ErrSnapshot) {
				t.Errorf("restore: %v", err)
			}
		})
	}
}

// forgeRow puts a row into slot b, with everything that is computed from it right.
func forgeRow(m *Machine, key string, revision, created Revision) {
	m.state.count(&m.state.slots['b'], addRow(m, key, revision, created))
}

func addRow(m *Machine, key string, revision, created Revision) row {
	r := newRow([]byte(key), nil, revision, created, 0)
	*m.state.slots['b'].rows.place([]byte(key)) = r
	return r
}

// TestOlderSnapshots: S5, guard G5.
func TestOlderSnapshots(t *testing.T) {
	m := varied(t, false)
	old := snapshotOf(t, m.View())
	if err := m.Restore(bytes.NewReader(old)); err != nil {
		t.Errorf("a snapshot of the same index: %v", err)
	}
	do(t, m, 2000, put("f", "newer"))
	before := m.View()
	if err := m.Restore(bytes.NewReader(old)); err != nil {
		t.Errorf("an older snapshot: %v", err)
	}
	if m.View() != before || do(t, m, 2000, put("f", "x"))[0].Revision != 3 {
		t.Error("an older snapshot was installed")
	}
	if err := m.Restore(bytes.NewReader(old[:len(old)-1])); !errors.Is(err, ErrSnapshot) {
		t.Errorf("an older, damaged snapshot: %v", err)
	}
	do(t, m, 2000, put("gone", "soon"))
	behind := restored(t, snapshotOf(t, m.View()))
	do(t, m, 2000, del("gone")) // what the newer one lacks, a restore must take away
	newer := snapshotOf(t, m.View())
	if err := behind.Restore(bytes.NewReader(newer)); err != nil || !bytes.Equal(snapshotOf(t, behind.View()), newer) {
		t.Errorf("a newer snapshot: %v", err)
	}
}

func TestSnapshotOfAnotherShard(t *testing.T) {
	id := variedIdentity()
	id.Shard = 1
	m := started(t, id)
	before := m.View()
	if err := m.Restore(bytes.NewReader(snapshotOf(t, varied(t, false).View()))); !errors.Is(err, ErrSnapshot) || m.View() != before {
		t.Errorf("restore: %v", err)
	}
}

func TestSnapshotErrors(t *testing.T) {
	broken := errors.New("broken pipe")
	v := varied(t, false).View()
	snapshot := snapshotOf(t, v)
	if err := New().Restore(io.MultiReader(bytes.NewReader(snapshot[:100]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("restore: %v", err)
	}
	if err := New().Restore(io.MultiReader(bytes.NewReader(snapshot), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("restore, error in place of the end: %v", err)
	}
	for n := 0; n < len(snapshot); n += 97 {
		if err := v.WriteSnapshot(&limitedWriter{n, broken}); !errors.Is(err, broken) {
			t.Fatalf("write, error after %d bytes: %v", n, err)
		}
	}
	// A frame that says it is 4 GiB long costs what is there, not what it says.
	lie := append(bytes.Clone(snapshot[:len(snapshotMagic)]), frameHeader, 0xff, 0xff, 0xff, 0xff)
	f := newFrameReader(bytes.NewReader(lie))
	if err := f.magic(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.frame(frameHeader); !errors.Is(err, ErrSnapshot) || cap(f.b) > 4<<20 {
		t.Errorf("error %v, %d bytes taken", err, cap(f.b))
	}
}

type limitedWriter struct {
	left int
	err  error
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, w.err
	}
	return len(b), nil
}

// TestSameRowsSameDigest: S3. The same rows by different ways have the same digest, slot by slot.
func TestSameRowsSameDigest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Per slot the order of writes is history that rows remember (revisions). So: the same writes per slot, but
		// slots interleaved differently, cut into entries differently, at the same log time, with noise that leaves no
		// row; one of the machines goes through a snapshot.
		lanes := map[byte][]Command{}
		for _, last := range []byte{'a', 'b', 'c', 'd'} {
			for range rapid.IntRange(1, 20).Draw(t, "writes") {
				key := fmt.Sprintf("%d%c", rapid.IntRange(0, 5).Draw(t, "key"), last)
				c := put(key, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "value"))
				if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
					c = del(key)
				}
				lanes[last] = append(lanes[last], c)
			}
		}
		one := interleaved(t, lanes, rapid.Uint64().Draw(t, "order 1"))
		two := interleaved(t, lanes, rapid.Uint64().Draw(t, "order 2"))
		two = restored(t, snapshotOf(t, two.View()))
		if one.View().Digest() != two.View().Digest() {
			t.Fatalf("%v and %v", one.View().Digest(), two.View().Digest())
		}
		for s := range SlotCount {
			if one.View().SlotDigest(Slot(s)) != two.View().SlotDigest(Slot(s)) {
				t.Fatalf("slot %d differs", s)
			}
		}
		do(t, two, 5, put("extra a", ""))
		if one.View().Digest() == two.View().Digest() || one.View().SlotDigest('a') == two.View().SlotDigest('a') {
			t.Fatal("different rows, equal digests")
		}
		do(t, two, 5, del("extra a"))
		if one.View().Digest() != two.View().Digest() {
			t.Fatal("a row put and deleted has left something in the digest")
		}
	})
}

func interleaved(tb fataler, lanes map[byte][]Command, seed uint64) *Machine {
	random := rand.New(rand.NewPCG(seed, 0))
	m := started(tb, identity(LastByte))
	at := map[byte]int{}
	var entry []Command
	for {
		var open []byte
		for _, last := range []byte{'a', 'b', 'c', 'd'} {
			if at[last] < len(lanes[last]) {
				open = append(open, last)
			}
		}
		if len(open) == 0 {
			break
		}
		last := open[random.IntN(len(open))]
		entry = append(entry, lanes[last][at[last]])
		at[last]++
		switch random.IntN(5) {
		case 0:
			entry = append(entry, del("nothing "+string(last)), put("never", "").when(IfPresent, 0))
		case 1:
			do(tb, m, 5, entry...)
			entry = nil
		}
	}
	do(tb, m, 5, entry...)
	return m
}

// TestDeterminism: equal entries make byte-identical snapshots, whatever the machines were used for or read by.
func TestDeterminism(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, two := New(), New()
		id := identity(Hash)
		id.IdempotencyBytes = 4 * (OperationOverhead + 2)
		for i, commands := range rapid.SliceOfN(rapid.SliceOfN(genCommand, 0, 20), 1, 8).Draw(t, "entries") {
			if i == 0 {
				commands = append([]Command{{Kind: CommandInit, Identity: &id}}, commands...)
			}
			e := AppendEntry(nil, Entry{Time: uint64(i) * IdempotencyLifetime / 2, Commands: commands})
			r, _ := one.Apply(uint64(i+1), 1, e)
			held := two.View()
			q, _ := two.Apply(uint64(i+1), 1, bytes.Clone(e))
			if rapid.Bool().Draw(t, "restart") {
				two = restored(t, snapshotOf(t, two.View()))
			}
			if fmt.Sprint(r) != fmt.Sprint(q) || held == two.View() {
				t.Fatalf("entry %d: %v and %v", i, r, q)
			}
			if !bytes.Equal(snapshotOf(t, one.View()), snapshotOf(t, two.View())) {
				t.Fatalf("entry %d: snapshots differ", i)
			}
		}
	})
}

// TestForgedSum: the last frame covers what the checksums of frames cannot: frames left out, doubled or of another snapshot.
func TestForgedSum(t *testing.T) {
	snapshot := snapshotOf(t, varied(t, false).View())
	end := len(snapshot) - frameHead - sha256.Size - checksumBytes
	snapshot[end+frameHead]++
	binary.BigEndian.PutUint32(snapshot[len(snapshot)-checksumBytes:], checksum(snapshot[end:len(snapshot)-checksumBytes]))
	if err := New().Restore(bytes.NewReader(snapshot)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("restore: %v", err)
	}
}
