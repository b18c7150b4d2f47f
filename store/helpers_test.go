package store

import (
	"bytes"
	"maps"
	"slices"
)

// fataler is what testing.TB and *rapid.T have in common here.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// identity is of a cluster with one shard: the machine owns every slot and has the table.
func identity(f SlotFunction) Identity {
	return Identity{Cluster: "test", ShardCount: 1, SlotFunction: f, IdempotencyBytes: 1 << 30}
}

// started is a machine after its Init, at index 1.
func started(tb fataler, id Identity) *Machine {
	tb.Helper()
	m := New()
	if r := mustApply(tb, m, Entry{Commands: []Command{{Kind: CommandInit, Identity: &id}}}); r[0].Code != OK {
		tb.Fatalf("init: %v", r[0].Code)
	}
	return m
}

// mustApply applies an entry at the next index, in term 1. Its buffer is overwritten afterwards, so that a machine that
// keeps a piece of it shows.
func mustApply(tb fataler, m *Machine, e Entry) []Result {
	tb.Helper()
	encoded := AppendEntry(nil, e)
	results, err := m.Apply(m.View().Index()+1, 1, encoded)
	if err != nil {
		tb.Fatalf("apply: %v", err)
	}
	for i := range encoded {
		encoded[i] = 0xa5
	}
	return results
}

// do applies commands in one entry at log time now.
func do(tb fataler, m *Machine, now uint64, commands ...Command) []Result {
	tb.Helper()
	return mustApply(tb, m, Entry{Time: now, Commands: commands})
}

func put(key, value string) Command {
	return Command{Kind: CommandPut, Key: []byte(key), Value: []byte(value)}
}

func del(key string) Command { return Command{Kind: CommandDelete, Key: []byte(key)} }

func (c Command) when(condition Condition, revision Revision) Command {
	c.Condition, c.Revision = condition, revision
	return c
}

func (c Command) under(idempotencyKey string) Command {
	c.IdempotencyKey = idempotencyKey
	return c
}

func snapshotOf(tb fataler, v *View) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := v.WriteSnapshot(&b); err != nil {
		tb.Fatalf("write snapshot: %v", err)
	}
	return b.Bytes()
}

func restored(tb fataler, snapshot []byte) *Machine {
	tb.Helper()
	m := New()
	if err := m.Restore(bytes.NewReader(snapshot)); err != nil {
		tb.Fatalf("restore: %v", err)
	}
	return m
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
