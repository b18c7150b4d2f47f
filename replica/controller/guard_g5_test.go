package controller

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/store"
)

// installSnapshot sends view to node i as its leader (or one that takes itself for that) would.
func (s *testShard) installSnapshot(from, to int, term uint64, view *store.View, content []byte) (raft.InstallSnapshotResponse, error) {
	s.t.Helper()
	configuration := s.nodes[to].raft().GetConfiguration().Configuration()
	var response raft.InstallSnapshotResponse
	err := s.impostor(from).InstallSnapshot(raft.ServerID(s.members[to].ID), raft.ServerAddress(s.members[to].ID), &raft.InstallSnapshotRequest{
		RPCHeader: s.header(from), SnapshotVersion: raft.SnapshotVersionMax, Term: term, LastLogIndex: view.Index(), LastLogTerm: view.Term(),
		Configuration: raft.EncodeConfiguration(configuration), ConfigurationIndex: 1, Size: int64(len(content)),
	}, &response, bytes.NewReader(content))
	return response, err
}

func snapshotBytes(t *testing.T, v *store.View) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, v.WriteSnapshot(&b))
	return b.Bytes()
}

// TestG5LateSnapshotChangesNothing: an InstallSnapshot that was under way for long is answered, and rolls nothing back:
// neither the machine nor raft's own indexes.
func TestG5LateSnapshotChangesNothing(t *testing.T) {
	s := newLinkedShard(t, 3, nil)
	s.lead(0)
	s.allReady()
	s.mustPut("large", string(make([]byte, 300<<10))) // more than a socket's buffer: whoever answers must read it all
	s.mustPut("x", "1")
	s.allSee("x", "1")
	follower := s.nodes[1]
	old := follower.View()
	for n := range 20 {
		s.mustPut("x", fmt.Sprint("later", n))
	}
	s.allSee("x", "later19")
	now, r := follower.View(), follower.raft()
	commit := r.CommitIndex()
	term := r.CurrentTerm()
	content := snapshotBytes(t, old)
	for range 3 {
		response, err := s.installSnapshot(0, 1, term, old, content)
		must(t, err)
		if !response.Success || response.Term != term {
			t.Fatalf("a late snapshot was answered %+v: its leader would send it for ever", response)
		}
		if at := r.AppliedIndex(); at < commit {
			t.Fatalf("raft's applied index went back from %d to %d", commit, at)
		}
		if v := follower.View(); v.Index() < now.Index() {
			t.Fatalf("the machine went back from %d to %d", now.Index(), v.Index())
		}
	}
	stale, err := s.installSnapshot(2, 1, term-1, old, content)
	must(t, err)
	if stale.Success || stale.Term != term {
		t.Fatalf("a leader of an earlier term got %+v", stale)
	}
	s.mustPut("x", "after")
	s.allSee("x", "after")
}

// TestG5MachineIgnoresAnOlderSnapshot: the second line of defence, and what makes replacing raft (guard G8) harmless.
func TestG5MachineIgnoresAnOlderSnapshot(t *testing.T) {
	f := newTestFSM(t)
	f.Apply(command(1, store.Command{Kind: store.CommandInit, Identity: testIdentity()}))
	f.Apply(command(2, put("x", "1")))
	old := snapshotBytes(t, f.machine.View())
	f.Apply(command(3, put("x", "2")))
	must(t, f.Restore(io.NopCloser(bytes.NewReader(old))))
	if v := f.machine.View(); v.Index() != 3 || value(v, "x") != "2" {
		t.Fatalf("rolled back to %d, x=%s", v.Index(), value(v, "x"))
	}
}

// TestG6RestoreIsAllOrNothing: a snapshot with any damage leaves the machine as it was.
func TestG6RestoreIsAllOrNothing(t *testing.T) {
	f := newTestFSM(t)
	f.Apply(command(1, store.Command{Kind: store.CommandInit, Identity: testIdentity()}))
	f.Apply(command(2, put("x", "1")))
	source := newTestFSM(t)
	source.Apply(command(1, store.Command{Kind: store.CommandInit, Identity: testIdentity()}))
	for i := range uint64(30) {
		source.Apply(command(i+2, put(fmt.Sprint("k", i), "v")))
	}
	good := snapshotBytes(t, source.machine.View())
	before := f.machine.View().Digest()
	for at := 0; at < len(good); at += max(len(good)/200, 1) {
		flipped := bytes.Clone(good)
		flipped[at] ^= 0x20
		for what, content := range map[string][]byte{"a flipped bit": flipped, "a cut": good[:at]} {
			if err := f.Restore(io.NopCloser(bytes.NewReader(content))); err == nil {
				t.Fatalf("restored from a snapshot with %s at %d of %d", what, at, len(good))
			}
			if v := f.machine.View(); v.Digest() != before || v.Index() != 2 {
				t.Fatalf("%s at %d: the machine is at %d, half restored", what, at, v.Index())
			}
		}
	}
	if f.c.restores.Load() != 0 {
		t.Fatal("failed restores were counted as restores")
	}
	must(t, f.Restore(io.NopCloser(bytes.NewReader(good))))
	if f.machine.View().Digest() != source.machine.View().Digest() {
		t.Fatal("the good snapshot gives another state")
	}
}

// newTestFSM is the machine under raft's interface, without raft.
func newTestFSM(t *testing.T) *fsm {
	t.Helper()
	s := testShard{t: t, members: testMembers(1), folders: []string{t.TempDir()}}
	c := &Controller{cfg: s.config(0), fatal: make(chan error, 1)}
	c.log = c.cfg.Logger
	c.metrics = newMetrics(c, nil)
	c.fsm = &fsm{c: c, machine: store.New()}
	return c.fsm
}

func testIdentity() *store.Identity {
	return &store.Identity{Cluster: "test", ShardCount: 1, SlotFunction: store.LastByte, IdempotencyBytes: 1 << 20}
}

func command(index uint64, c store.Command) *raft.Log {
	return &raft.Log{Index: index, Term: 1, Type: raft.LogCommand, Data: store.AppendEntry(nil, store.Entry{Time: index, Commands: []store.Command{c}})}
}

func value(v *store.View, key string) string {
	row, _ := v.Get([]byte(key))
	return string(row.Value)
}
