package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestConditions is the table of what each conditional write answers.
func TestConditions(t *testing.T) {
	// The key is absent, or present with revision 2 while its slot's revision is 3.
	tests := []struct {
		command  Command
		present  bool
		code     Code
		revision Revision
	}{
		{put("a", "v"), false, Created, 1},
		{put("a", "v"), true, Replaced, 4},
		{put("a", "v").when(IfAbsent, 0), false, Created, 1},
		{put("a", "v").when(IfAbsent, 0), true, PreconditionFailed, 2},
		{put("a", "v").when(IfPresent, 0), false, PreconditionFailed, 0},
		{put("a", "v").when(IfPresent, 0), true, Replaced, 4},
		{put("a", "v").when(IfRevision, 2), true, Replaced, 4},
		{put("a", "v").when(IfRevision, 3), true, PreconditionFailed, 2},
		{put("a", "v").when(IfRevision, 0), true, PreconditionFailed, 2},
		{put("a", "v").when(IfRevision, 0), false, PreconditionFailed, 0},
		{put("a", "v").when(IfRevision, 2), false, PreconditionFailed, 0},
		{del("a"), false, NotFound, 0},
		{del("a"), true, Deleted, 4},
		{del("a").when(IfAbsent, 0), false, NotFound, 0},
		{del("a").when(IfAbsent, 0), true, PreconditionFailed, 2},
		{del("a").when(IfPresent, 0), false, PreconditionFailed, 0},
		{del("a").when(IfPresent, 0), true, Deleted, 4},
		{del("a").when(IfRevision, 2), true, Deleted, 4},
		{del("a").when(IfRevision, 3), true, PreconditionFailed, 2},
		{del("a").when(IfRevision, 0), false, PreconditionFailed, 0},
	}
	for _, test := range tests {
		name := fmt.Sprintf("kind %d condition %d revision %d present %v", test.command.Kind, test.command.Condition, test.command.Revision, test.present)
		t.Run(name, func(t *testing.T) {
			m := started(t, identity(LastByte))
			if test.present {
				do(t, m, 1, put("a", "0"), put("a", "1"), put("other a", "1"))
			}
			want := Result{Code: test.code, Slot: 'a', Revision: test.revision, Epoch: 1}
			if got := do(t, m, 2, test.command)[0]; got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			_, present := m.View().Get([]byte("a"))
			if now := test.present && test.code != Deleted || test.code == Created; present != now {
				t.Errorf("present afterwards: %v", present)
			}
		})
	}
}

func TestInit(t *testing.T) {
	good := Identity{Cluster: "c", Shard: 1, ShardCount: 3, SlotFunction: LastByte}
	m := New()
	before := []Command{put("a", "v"), del("a"), {Kind: CommandTermStart, Node: "n"}, {Kind: CommandRegisterShard}}
	for i, r := range do(t, m, 5, before...) {
		if r != (Result{Code: Uninitialised}) {
			t.Errorf("command %d before init: %+v", i, r)
		}
	}
	bad := []Identity{
		{ShardCount: 1, SlotFunction: LastByte},
		{Cluster: "c", SlotFunction: LastByte},
		{Cluster: "c", ShardCount: 257, SlotFunction: LastByte},
		{Cluster: "c", Shard: 3, ShardCount: 3, SlotFunction: LastByte},
		{Cluster: "c", ShardCount: 3, SlotFunction: 9},
	}
	for _, id := range bad {
		if r := do(t, m, 5, Command{Kind: CommandInit, Identity: &id})[0]; r.Code != IdentityMismatch {
			t.Errorf("init with %+v: %v", id, r.Code)
		}
	}
	if r := do(t, m, 5, Command{Kind: CommandInit})[0]; r.Code != IdentityMismatch {
		t.Errorf("init with no identity: %v", r.Code)
	}
	if _, ok := m.View().Identity(); ok || m.View().Epoch() != 0 {
		t.Fatal("a refused init has left something")
	}
	init := Command{Kind: CommandInit, Identity: &good}
	for range 2 { // the second one is the same: fine
		if r := do(t, m, 5, init)[0]; r != (Result{Code: OK, Epoch: 1}) {
			t.Errorf("init: %+v", r)
		}
	}
	other := good
	other.IdempotencyBytes++
	if r := do(t, m, 5, Command{Kind: CommandInit, Identity: &other})[0]; r.Code != IdentityMismatch {
		t.Errorf("another init: %v", r.Code)
	}
	for s := range SlotCount {
		want := Ownership{}
		if s%3 == 1 {
			want = Ownership{Owned, 1}
		}
		if got := m.View().Ownership(Slot(s)); got != want {
			t.Errorf("slot %d: %+v", s, got)
		}
	}
	// 97 % 3 = 1, 98 % 3 = 2
	if a, b := do(t, m, 5, put("user:a", ""))[0], do(t, m, 5, put("user:b", ""))[0]; a.Code != Created || b.Code != NotOwner {
		t.Errorf("user:a %v, user:b %v", a.Code, b.Code)
	}
}

func TestOwnershipStates(t *testing.T) {
	tests := []struct {
		state    State
		code     Code
		readable bool
	}{{NotOwned, NotOwner, false}, {Owned, Replaced, true}, {Frozen, SlotFrozen, true}, {Importing, NotOwner, false}}
	for _, test := range tests {
		t.Run(test.state.String(), func(t *testing.T) {
			m := started(t, identity(LastByte))
			do(t, m, 1, put("ka", "1"), put("kb", "1"))
			m.touch('a').ownership = Ownership{test.state, 7}
			do(t, m, 1)
			check := func(m *Machine) {
				v, rows := m.View(), 0
				_, found := v.Get([]byte("ka"))
				v.Scan(nil, nil, func([]byte, Row) bool { rows++; return true })
				if found != test.readable || (rows == 2) != test.readable || v.Ownership('a') != (Ownership{test.state, 7}) {
					t.Errorf("found %v, %d rows, %+v", found, rows, v.Ownership('a'))
				}
			}
			check(m)
			m = restored(t, snapshotOf(t, m.View()))
			check(m)
			r := do(t, m, 1, put("ka", "2").under("i"))[0]
			if r.Code != test.code {
				t.Errorf("put: %v", r.Code)
			}
			if known := len(m.View().Operation("i")) == 1; known != test.code.Applied() {
				t.Errorf("remembered: %v", known)
			}
		})
	}
}

func TestTable(t *testing.T) {
	id := Identity{Cluster: "c", ShardCount: 3, SlotFunction: Hash}
	m := started(t, id)
	table, ok := m.View().Table()
	if !ok || table.Epoch != 1 || table.Version != 1 || len(table.Shards) != 0 {
		t.Fatalf("table after init: %v %+v", ok, table)
	}
	for s, shard := range table.Slots {
		if int(shard) != s%3 {
			t.Errorf("slot %d is of shard %d", s, shard)
		}
	}
	register := func(shard Shard, version uint64, code Code, members ...Member) {
		t.Helper()
		r := do(t, m, 1, Command{Kind: CommandRegisterShard, Shard: shard, Members: members})[0]
		table, _ := m.View().Table()
		if r.Code != code || table.Version != version {
			t.Errorf("register: %v, version %d", r.Code, table.Version)
		}
	}
	first := m.View()
	register(2, 2, OK, Member{"s2n0", "a:1", "a:2"})
	register(2, 2, OK, Member{"s2n0", "a:1", "a:2"})
	register(2, 3, OK, Member{"s2n0", "b:1", "a:2"})
	register(0, 4, OK)
	register(3, 4, IdentityMismatch)
	table, _ = m.View().Table()
	if old, _ := first.Table(); len(old.Shards) != 0 {
		t.Error("S1: an old view's table has changed")
	}
	again, _ := restored(t, snapshotOf(t, m.View())).View().Table()
	if fmt.Sprint(again) != fmt.Sprint(table) || len(table.Shards) != 2 || table.Shards[2][0].PeerAddress != "b:1" {
		t.Errorf("table %+v, restored %+v", table.Shards, again.Shards)
	}

	id.Shard = 1
	m = started(t, id)
	if r := do(t, m, 1, Command{Kind: CommandRegisterShard})[0]; r.Code != NotOwner {
		t.Errorf("register at shard 1: %v", r.Code)
	}
	if _, ok := m.View().Table(); ok {
		t.Error("shard 1 has a table")
	}
}

func TestSlotFunctions(t *testing.T) {
	tests := []struct {
		name string
		key  string
		slot Slot
	}{
		{"last-byte", "user:a", 97}, {"last-byte", "\x00", 0}, {"last-byte", "a\xff", 255}, {"last-byte", "", 0},
		{"hash", "abc", 0xba}, {"hash", "", 0xe3}, // the first bytes of the well-known SHA-256 test vectors
	}
	for _, test := range tests {
		f, err := ParseSlotFunction(test.name)
		if err != nil || f.String() != test.name || f.Slot([]byte(test.key)) != test.slot {
			t.Errorf("%s of %q: %d, %v", test.name, test.key, f.Slot([]byte(test.key)), err)
		}
	}
	if _, err := ParseSlotFunction("lastbyte"); err == nil {
		t.Error("lastbyte was understood")
	}
}

// TestPosition: log time never goes back, indexes neither (S5), and a broken entry changes nothing.
func TestPosition(t *testing.T) {
	m := started(t, identity(LastByte))
	do(t, m, 100, put("a", "1"))
	do(t, m, 50, put("b", "1"))
	if row, _ := m.View().Get([]byte("b")); row.Modified != 100 || m.View().LogTime() != 100 {
		t.Errorf("log time went back to %d", row.Modified)
	}
	entry := AppendEntry(nil, Entry{Time: 200, Commands: []Command{put("c", "1"), put("d", "1")}})
	for _, index := range []uint64{0, 1, 3} {
		if r, err := m.Apply(index, 9, entry); r != nil || err != nil {
			t.Errorf("apply at %d: %v, %v", index, r, err)
		}
		m.Advance(index, 9)
		m.Publish()
	}
	before := m.View()
	for cut := range entry {
		if _, err := m.Apply(10, 2, entry[:cut]); !errors.Is(err, ErrEntry) {
			t.Fatalf("entry cut at %d: %v", cut, err)
		}
	}
	if m.View() != before || m.state.index != 3 {
		t.Error("something changed")
	}
	if r, err := m.Apply(10, 2, entry); len(r) != 2 || err != nil || m.View().Index() != 10 || m.View().Term() != 2 {
		t.Errorf("apply: %v, %v", r, err)
	}
	m.Advance(12, 3)
	m.Publish()
	if v := m.View(); v.Index() != 12 || v.Term() != 3 || v.Keys() != 4 {
		t.Errorf("after advance: %d %d", v.Index(), v.Term())
	}
}

// TestNothingAliasesTheEntry: S2, for everything that an entry can bring.
func TestNothingAliasesTheEntry(t *testing.T) {
	m := New()
	id := identity(LastByte)
	do(t, m, 1, Command{Kind: CommandInit, Identity: &id}) // do overwrites the buffer
	do(t, m, 1, put("key", "value").under("request"), Command{Kind: CommandRegisterShard, Members: []Member{{"id", "peer", "api"}}})
	v := m.View()
	row, ok := v.Get([]byte("key"))
	if !ok || string(row.Value) != "value" || cap(row.Value) != len(row.Value) {
		t.Errorf("row: %v %q, capacity %d", ok, row.Value, cap(row.Value))
	}
	if len(v.Operation("request")) != 1 || v.Operation("request")[0].Result.Code != Created {
		t.Error("operation is lost")
	}
	if got, _ := v.Identity(); got != id {
		t.Errorf("identity: %+v", got)
	}
	if table, _ := v.Table(); table.Shards[0][0] != (Member{"id", "peer", "api"}) {
		t.Errorf("members: %+v", table.Shards[0])
	}
	v.Scan(nil, nil, func(key []byte, _ Row) bool { key[0] = 'X'; return true }) // the key is the caller's
	if _, ok := v.Get([]byte("key")); !ok {
		t.Error("Scan gave away the machine's own key")
	}
	for _, c := range m.commands[:cap(m.commands)] {
		if c.Key != nil || c.Value != nil {
			t.Fatal("the machine holds on to an entry buffer")
		}
	}
}

// TestHeldViews holds views of deep trees while every row of them is replaced or deleted (S1).
func TestHeldViews(t *testing.T) {
	const rows = 20_000
	random := rand.New(rand.NewPCG(1, 2))
	m := started(t, identity(LastByte))
	type snapshot struct {
		view  *View
		bytes []byte
	}
	var held []snapshot
	for round := range 60 {
		var commands []Command
		for range rows / 20 {
			c := put(fmt.Sprintf("%d%c", random.IntN(rows), 'a'+random.IntN(2)), fmt.Sprint(round))
			if random.IntN(10) < round/10*2 { // ever more deletes: trees grow, then shrink
				c = del(string(c.Key))
			}
			commands = append(commands, c)
		}
		do(t, m, uint64(round), commands...)
		held = append(held, snapshot{m.View(), snapshotOf(t, m.View())})
	}
	for i, h := range held {
		if !bytes.Equal(snapshotOf(t, h.view), h.bytes) {
			t.Fatalf("view %d has changed", i)
		}
		if got := restored(t, h.bytes).View(); got.Digest() != h.view.Digest() {
			t.Fatalf("view %d: digest %v is not that of its rows", i, h.view.Digest())
		}
	}
}

// TestViewsAreWhole: whoever looks while entries are applied sees all of an entry or nothing of it (S1).
func TestViewsAreWhole(t *testing.T) {
	const keys, entries = 200, 400
	m := started(t, identity(LastByte))
	write := func(i int) {
		var commands []Command
		for k := range keys {
			commands = append(commands, put(fmt.Sprintf("key%d%c", k, k), fmt.Sprint(i)))
		}
		do(t, m, uint64(i), commands...)
	}
	write(0)
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				v := m.View()
				want := fmt.Sprint(v.Index() - 2)
				n := 0
				v.Scan(nil, nil, func(key []byte, row Row) bool {
					n++
					if string(row.Value) != want || fmt.Sprint(row.Modified) != want {
						t.Errorf("index %d shows %s of entry %s", v.Index(), key, row.Value)
						return false
					}
					return true
				})
				if n != keys {
					t.Errorf("%d rows at index %d", n, v.Index())
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := 1; i < entries; i++ {
		write(i)
	}
	close(done)
	readers.Wait()
}

// TestStepsShareAView: entries applied by Step show together with Publish, and not before.
func TestStepsShareAView(t *testing.T) {
	m := started(t, identity(LastByte))
	before := m.View()
	for n, key := range []string{"a", "b"} {
		entry := AppendEntry(nil, Entry{Time: 1, Commands: []Command{put(key, "v")}})
		if _, err := m.Step(before.Index()+1+uint64(n), 1, entry); err != nil {
			t.Fatal(err)
		}
	}
	if v := m.View(); v != before {
		t.Fatalf("a view at index %d shows before Publish", v.Index())
	}
	m.Publish()
	v := m.View()
	_, a := v.Get([]byte("a"))
	_, b := v.Get([]byte("b"))
	if v.Index() != before.Index()+2 || !a || !b {
		t.Fatalf("index %d, a %v, b %v", v.Index(), a, b)
	}
	m.Publish()
	if m.View() != v {
		t.Fatal("a view without anything new was published")
	}
}
