package commits

import (
	"context"
	"strings"
	"testing"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/tap"
	"github.com/kvorum/kvorum/store"
)

// log makes entries of one command each, after the one that gives the machine its identity.
func log(commands ...store.Command) []tap.Entry {
	init := store.Command{Kind: store.CommandInit, Identity: &store.Identity{Cluster: "c", ShardCount: 1, SlotFunction: store.LastByte, IdempotencyBytes: 1 << 20}}
	list := []tap.Entry{{Index: 2, Term: 1, Type: 1, Data: []byte("raft's own")}}
	for i, c := range append([]store.Command{init}, commands...) {
		list = append(list, tap.Entry{Index: uint64(3 + i), Term: 1, Data: store.AppendEntry(nil, store.Entry{Time: 1, Commands: []store.Command{c}})})
	}
	return list
}

func put(key, value string, c store.Command) store.Command {
	c.Kind, c.Key, c.Value = store.CommandPut, []byte(key), []byte(value)
	return c
}

func remove(key string, c store.Command) store.Command {
	c.Kind, c.Key = store.CommandDelete, []byte(key)
	return c
}

func TestCommits(t *testing.T) {
	r, err := Commits(7, log(
		put("a", "1", store.Command{}),
		put("a", "2", store.Command{Condition: store.IfAbsent}),
		put("a", "3", store.Command{Condition: store.IfPresent, IdempotencyKey: "q"}),
		put("a", "3", store.Command{Condition: store.IfPresent, IdempotencyKey: "q"}),
		put("a", "4", store.Command{Condition: store.IfPresent, IdempotencyKey: "q"}),
		put("a", "5", store.Command{Condition: store.IfRevision, Revision: 2}),
		remove("a", store.Command{Condition: store.IfRevision, Revision: 1}),
		remove("a", store.Command{}),
		remove("a", store.Command{}),
		remove("a", store.Command{Condition: store.IfPresent}),
	))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`7/4.0 put("1")`, `7/5.0 create("2")`, `7/6.0 update("3"`, `7/7.0 update("3"`, `7/8.0 update("4"`, `7/9.0 cas("5" at 2)`,
		`7/10.0 delete(at 1)`, `7/11.0 delete(`, `7/12.0 delete(`, `7/13.0 delete(`,
	}
	results := []lin.Output{
		{Result: lin.OK, Revision: 1}, {Result: lin.PreconditionFailed, Revision: 1}, {Result: lin.OK, Revision: 2}, {Result: lin.OK, Revision: 2}, {},
		{Result: lin.OK, Revision: 3}, {Result: lin.PreconditionFailed, Revision: 3}, {Result: lin.OK, Revision: 4}, {Result: lin.Absent}, {Result: lin.Absent},
	}
	if len(r.Commits) != len(want) {
		t.Fatalf("%d commits: %v", len(r.Commits), r.Commits)
	}
	for i := range r.Commits {
		c := &r.Commits[i]
		if !strings.HasPrefix(strings.ReplaceAll(c.String(), "( at", "(at"), want[i]) || c.Output != results[i] || c.Replayed != (i == 3) || c.Key != "a" || c.Epoch != 1 {
			t.Errorf("commit %d is %s %+v, want %s %+v", i, c, c.Output, want[i], results[i])
		}
	}
	if r.Machine.View().Index() != 13 || r.DigestAt(2) != "" || r.DigestAt(4) == r.DigestAt(3) || r.DigestAt(5) != r.DigestAt(4) || r.DigestAt(99) != r.Machine.View().Digest().String() {
		t.Errorf("digests %v", r.digests)
	}
}

// TestUnmasks: a reply that a machine gave against the log is a violation.
func TestUnmasks(t *testing.T) {
	r, err := Commits(0, log(put("a", "1", store.Command{}), put("a", "2", store.Command{Condition: store.IfAbsent})))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		second lin.Output
		want   lin.Verdict
	}{
		{lin.Output{Result: lin.PreconditionFailed, Revision: 1}, lin.Linearizable},
		{lin.Output{Result: lin.OK, Revision: 2}, lin.Violation},
	} {
		o := lin.Operation{Kind: lin.Create, Key: "a", Input: lin.Input{Value: "2"}, Output: c.second, Outcome: lin.NotApplied, Call: 3, Return: 4}
		if c.second.Result == lin.OK {
			o.Outcome = lin.Applied
		}
		history := []lin.Operation{{Kind: lin.Put, Key: "a", Input: lin.Input{Value: "1"}, Output: lin.Output{Result: lin.OK, Revision: 1}, Outcome: lin.Applied, Call: 1, Return: 2}, o}
		if got := lin.Check(context.Background(), history, lin.Options{Commits: r.Commits}).Verdict; got != c.want {
			t.Errorf("%v: %s, want %s", c.second, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	entries := log(put("a", "1", store.Command{}))
	entries[2].Data = entries[2].Data[:5]
	if _, err := Commits(0, entries); err == nil {
		t.Error("a damaged entry was applied")
	}
	entries = log(put("a", "1", store.Command{}))
	entries[2].Index = 1
	if _, err := Commits(0, entries); err == nil {
		t.Error("entries out of order were applied")
	}
}
