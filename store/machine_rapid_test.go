package store

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMachineAgainstModel drives the machine and the model with the same random log, restarts included, and compares all
// that a reader can see after each step, in the present view and in views held from before.
func TestMachineAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &rig{machine: New(), model: newModel()}
		t.Repeat(map[string]func(*rapid.T){
			"apply": r.apply, "apply more": r.apply, "again": r.again, "advance": r.advance, "restart": r.restart,
			"hold": r.hold, "own": r.own, "": r.check,
		})
	})
}

type rig struct {
	machine *Machine
	model   *model
	log     []logged
	held    []held
}

type logged struct {
	index, term uint64
	encoded     []byte
}

// held is a view from before, with what it must go on showing.
type held struct {
	view     *View
	model    *model
	snapshot []byte
}

var (
	genKey = rapid.Custom(func(t *rapid.T) []byte {
		last := rapid.SampledFrom([]byte{'a', 'a', 'a', 'b', 'c', 0, 0xff}).Draw(t, "last")
		return fmt.Appendf(nil, "%s%d%c", rapid.SampledFrom([]string{"", "k"}).Draw(t, "prefix"), rapid.IntRange(0, 9).Draw(t, "n"), last)
	})
	genIdentity = rapid.SampledFrom([]Identity{
		{Cluster: "c", ShardCount: 1, SlotFunction: LastByte, IdempotencyBytes: 5 * (OperationOverhead + 2)},
		{Cluster: "c", ShardCount: 1, SlotFunction: Hash, IdempotencyBytes: 3 * (OperationOverhead + 2)},
		{Cluster: "c", ShardCount: 3, SlotFunction: LastByte, IdempotencyBytes: 1 << 20},
		{Cluster: "c", ShardCount: 3, Shard: 1, SlotFunction: LastByte, IdempotencyBytes: 1000},
		{Cluster: "c", ShardCount: 3, Shard: 3, SlotFunction: LastByte},
	})
	genCommand = rapid.Custom(func(t *rapid.T) Command {
		// Duplicates are weights.
		kinds := []CommandKind{CommandPut, CommandPut, CommandPut, CommandPut, CommandPut, CommandDelete, CommandDelete,
			CommandPut, CommandDelete, CommandTermStart, CommandRegisterShard, CommandInit}
		c := Command{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		switch c.Kind {
		case CommandInit:
			id := genIdentity.Draw(t, "identity")
			c.Identity = &id
		case CommandRegisterShard:
			c.Shard = Shard(rapid.IntRange(0, 3).Draw(t, "shard"))
			for i := range rapid.IntRange(0, 2).Draw(t, "members") {
				c.Members = append(c.Members, Member{fmt.Sprint("n", i), "peer:1", rapid.SampledFrom([]string{"api:1", "api:2"}).Draw(t, "api")})
			}
		case CommandPut, CommandDelete:
			c.Key = genKey.Draw(t, "key")
			c.Condition = rapid.SampledFrom([]Condition{Always, Always, Always, IfAbsent, IfPresent, IfRevision}).Draw(t, "condition")
			if c.Condition == IfRevision {
				c.Revision = Revision(rapid.IntRange(0, 30).Draw(t, "revision"))
			}
			c.IdempotencyKey = rapid.SampledFrom([]string{"", "", "", "i0", "i1", "i2", "i3", "i4", "i5"}).Draw(t, "idempotency key")
			if c.Kind == CommandPut {
				c.Value = []byte(rapid.SampledFrom([]string{"", "1", "2", strings.Repeat("long", 30)}).Draw(t, "value"))
			}
		}
		return c
	})
)

func (r *rig) apply(t *rapid.T) {
	e := Entry{Time: r.model.time + rapid.SampledFrom([]uint64{0, 1, 1000, IdempotencyLifetime - 1, IdempotencyLifetime}).Draw(t, "passed")}
	if e.Time > 5 && rapid.Bool().Draw(t, "clock behind") {
		e.Time -= 5
	}
	if r.model.id == nil && rapid.IntRange(0, 3).Draw(t, "init first") > 0 {
		id := genIdentity.Draw(t, "identity")
		e.Commands = append(e.Commands, Command{Kind: CommandInit, Identity: &id})
	}
	e.Commands = append(e.Commands, rapid.SliceOfN(genCommand, 0, 40).Draw(t, "commands")...)
	l := logged{r.model.index + rapid.Uint64Range(1, 3).Draw(t, "gap"), r.model.term + rapid.Uint64Range(0, 1).Draw(t, "new term"), AppendEntry(nil, e)}
	r.log = append(r.log, l)
	buffer := bytes.Clone(l.encoded)
	got, err := r.machine.Apply(l.index, l.term, buffer)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	for i := range buffer {
		buffer[i] = 0xa5 // what aliases the entry shows from here on
	}
	want := r.model.apply(l.index, l.term, e)
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("command %d %+v:\n got %+v\nwant %+v", i, e.Commands[i], got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d results, want %d", len(got), len(want))
	}
}

// again applies entries that were applied before, as raft does after a restart.
func (r *rig) again(t *rapid.T) {
	if len(r.log) == 0 {
		t.Skip("nothing applied")
	}
	for _, l := range r.log[rapid.IntRange(0, len(r.log)-1).Draw(t, "from"):] {
		results, err := r.machine.Apply(l.index, l.term, l.encoded)
		if results != nil || err != nil {
			t.Fatalf("entry %d again: %v, %v", l.index, results, err)
		}
	}
}

func (r *rig) advance(t *rapid.T) {
	index := r.model.index + uint64(rapid.IntRange(0, 2).Draw(t, "gap"))
	r.machine.Advance(index, r.model.term+1)
	r.machine.Publish()
	if index > r.model.index {
		r.model.index, r.model.term = index, r.model.term+1
	}
}

// restart goes on with a machine made from a snapshot; an older snapshot must not undo anything.
func (r *rig) restart(t *rapid.T) {
	snapshot := snapshotOf(t, r.machine.View())
	m := New()
	if rapid.Bool().Draw(t, "in place") {
		m = r.machine
	}
	if err := m.Restore(bytes.NewReader(snapshot)); err != nil {
		t.Fatalf("restore: %v", err)
	}
	if !bytes.Equal(snapshotOf(t, m.View()), snapshot) {
		t.Fatalf("a restored machine writes another snapshot")
	}
	r.machine = m
	for _, h := range r.held {
		if h.model.index < r.model.index {
			if err := m.Restore(bytes.NewReader(h.snapshot)); err != nil {
				t.Fatalf("an older snapshot: %v", err)
			}
		}
	}
}

func (r *rig) hold(t *rapid.T) {
	v := r.machine.View()
	h := held{v, r.model.clone(), snapshotOf(t, v)}
	if len(r.held) == 4 {
		r.held = r.held[1:]
	}
	r.held = append(r.held, h)
}

// own sets the ownership of a slot, which no command does yet.
func (r *rig) own(t *rapid.T) {
	if r.model.id == nil {
		t.Skip("no slots yet")
	}
	s := Slot(rapid.SampledFrom([]byte{'a', 'b', 'c', 0, 0xff}).Draw(t, "slot"))
	o := Ownership{State(rapid.IntRange(0, 3).Draw(t, "state")), 1}
	if rapid.Bool().Draw(t, "back") {
		o.State = Owned
	}
	r.machine.touch(s).ownership = o
	r.machine.state.index++
	r.machine.publish()
	r.model.ownership[s] = o
	r.model.index++
}

func (r *rig) check(t *rapid.T) {
	compare(t, r.machine.View(), r.model)
	for _, h := range r.held {
		compare(t, h.view, h.model)
		if !bytes.Equal(snapshotOf(t, h.view), h.snapshot) {
			t.Fatalf("S1: the snapshot of a held view has changed")
		}
	}
}

// compare holds everything that a view shows against the model.
func compare(t *rapid.T, v *View, m *model) {
	equal := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
	equal("index", v.Index(), m.index)
	equal("term", v.Term(), m.term)
	equal("log time", v.LogTime(), m.time)
	equal("epoch", v.Epoch(), m.epoch())
	id, ok := v.Identity()
	equal("initialised", ok, m.id != nil)
	if m.id == nil {
		return
	}
	equal("identity", id, *m.id)
	equal("keys", v.Keys(), uint64(len(m.rows)))
	equal("data bytes", v.DataBytes(), m.dataBytes())
	equal("idempotency bytes", v.IdempotencyBytes(), m.operationBytes())
	equal("bytes", v.Bytes(), m.dataBytes()+m.operationBytes())
	equal("digest", v.Digest().String(), m.digest(-1))
	for _, s := range []Slot{'a', 'b', 0, 0xff} {
		equal("slot revision", v.SlotRevision(s), m.revisions[s])
		equal("slot digest", v.SlotDigest(s).String(), m.digest(int(s)))
		equal("ownership", v.Ownership(s), m.ownership[s])
	}
	for i := range 6 {
		key := fmt.Sprint("i", i)
		equal("operation "+key, v.Operation(key), m.operations(key))
	}
	table, ok := v.Table()
	equal("has table", ok, m.id.Shard == 0)
	if ok {
		equal("table version", table.Version, m.version)
		equal("members", fmt.Sprint(table.Shards), fmt.Sprint(m.members))
	}
	compareRows(t, v, m)
}

func compareRows(t *rapid.T, v *View, m *model) {
	keys := m.readable()
	i := 0
	v.Scan(nil, nil, func(key []byte, row Row) bool {
		if i == len(keys) || string(key) != keys[i] || !sameRow(row, m.rows[keys[i]]) {
			t.Fatalf("scan, row %d: %q %+v", i, key, row)
		}
		i++
		return true
	})
	if i != len(keys) {
		t.Fatalf("scan gave %d rows, want %d", i, len(keys))
	}
	for _, key := range keys {
		if row, ok := v.Get([]byte(key)); !ok || !sameRow(row, m.rows[key]) {
			t.Fatalf("get %q: %+v, %v", key, row, ok)
		}
	}
	if row, ok := v.Get([]byte("absent-a")); ok {
		t.Fatalf("get of an absent key: %+v", row)
	}
}

func sameRow(a, b Row) bool {
	return bytes.Equal(a.Value, b.Value) && a.Revision == b.Revision && a.Created == b.Created && a.Modified == b.Modified
}

// TestScanAgainstFilter compares Scan with a filter over all keys, for random prefixes, starts and limits.
func TestScanAgainstFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := identity(rapid.SampledFrom([]SlotFunction{LastByte, Hash}).Draw(t, "function"))
		m := started(t, id)
		text := rapid.StringMatching(`[ab\x00/]{0,4}`)
		all := map[string]bool{}
		var commands []Command
		for _, key := range rapid.SliceOfN(text, 0, 80).Draw(t, "keys") {
			commands = append(commands, put(key, "v"))
			all[key] = true
		}
		do(t, m, 1, commands...)
		prefix, limit := text.Draw(t, "prefix"), rapid.IntRange(1, 90).Draw(t, "limit")
		var after []byte
		if rapid.Bool().Draw(t, "has after") {
			after = []byte(text.Draw(t, "after"))
		}
		var want, got []string
		for _, key := range sorted(all) {
			if len(want) < limit && strings.HasPrefix(key, prefix) && (after == nil || key > string(after)) {
				want = append(want, key)
			}
		}
		m.View().Scan([]byte(prefix), after, func(key []byte, _ Row) bool {
			got = append(got, string(key))
			return len(got) < limit
		})
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("prefix %q after %q limit %d: got %q, want %q", prefix, after, limit, got, want)
		}
	})
}
