package controller

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// TestG8StuckTransferIsRepaired makes hashicorp/raft#696 happen: leadership is lost during a transfer whose goroutine waits
// for a replication that has ended, so raft's flag stays set, and the node, elected again, refuses every write.
func TestG8StuckTransferIsRepaired(t *testing.T) {
	// A first try succeeds every other time, further ones on the same shard hardly ever: what its goroutines are at has
	// settled by then. So each try has a shard of its own.
	var s *linkedShard
	var old *raft.Raft
	for left := 12; ; left-- {
		s = newLinkedShard(t, 3, func(i int, cfg *Config) {
			if i != 0 {
				patient(cfg)
			}
		})
		s.lead(0)
		s.allReady()
		s.mustPut("before", "1")
		if old = s.nodes[0].raft(); s.leaveTransferBehind(old) {
			break
		}
		if left == 0 {
			t.Fatal("the flag was never left behind")
		}
		for i := range s.nodes {
			s.stop(i)
		}
	}
	c := s.nodes[0]
	eventually(t, "writes to work again", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := c.Propose(ctx, put("after", "2"))
		return err == nil
	})
	if c.raft() == old {
		t.Fatal("writes work again without a repair")
	}
	s.allSee("after", "2")
	if value, err := s.get(0, "before", wire.Linearizable); err != nil || value != "1" {
		t.Fatalf("read %q, %v", value, err)
	}
}

// leaveTransferBehind lets the leader n0 lose its leadership during a transfer and be elected again. It reports whether the
// raft instance refuses writes then: that takes some luck with what its goroutines are at.
func (s *linkedShard) leaveTransferBehind(r *raft.Raft) bool {
	s.t.Helper()
	s.cutBoth(1, 0)
	timeouts := 0
	eventually(s.t, "two transfers to wait for entries that can't be sent: the second for ever", func() bool {
		s.mustPutAt(0, "n1 lacks", "this")
		err := r.LeadershipTransferToServer("n1", "n1").Error()
		if err == nil {
			s.t.Fatal("leadership was handed to a node that is cut off")
		}
		if strings.Contains(err.Error(), "timeout") { // until the broken pipeline is noticed it fails otherwise
			timeouts++
		}
		return timeouts == 2
	})
	s.cutBoth(2, 0)
	eventually(s.t, "n0 to lose its leadership", func() bool { return r.State() != raft.Leader })
	s.heal()
	eventually(s.t, "n0 to be elected", func() bool { return r.State() == raft.Leader })
	probe := store.AppendEntry(nil, store.Entry{Time: 1, Commands: []store.Command{put("probe", "1")}})
	return errors.Is(r.ApplyLog(raft.Log{Data: probe}, time.Second).Error(), raft.ErrLeadershipTransferInProgress)
}

// contradict gives the stopped node i what it would have if it had led, alone, in the term of its last entry: n more
// entries, which nobody else has.
func (s *testShard) contradict(i, n int) {
	s.t.Helper()
	b, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(s.folders[i], logFile)})
	if err != nil {
		s.t.Fatal(err)
	}
	defer b.Close()
	last, err := b.LastIndex()
	if err != nil {
		s.t.Fatal(err)
	}
	var tail raft.Log
	if err := b.GetLog(last, &tail); err != nil {
		s.t.Fatal(err)
	}
	var entries []*raft.Log
	for k := range n {
		entries = append(entries, seal(&raft.Log{Index: last + 1 + uint64(k), Term: tail.Term, Type: raft.LogCommand,
			Data: store.AppendEntry(nil, store.Entry{Time: 1, Commands: []store.Command{put("never", "acknowledged")}})}))
	}
	if err := b.StoreLogs(entries); err != nil {
		s.t.Fatal(err)
	}
}

// TestG8SnapshotLivelockIsRepaired makes hashicorp/raft#697 happen: a follower whose log holds the last entry of the
// snapshot it needs, but of another term, refuses what follows and gets the snapshot again, for ever. With few trailing
// logs raft would even drop that entry and keep what is behind it.
func TestG8SnapshotLivelockIsRepaired(t *testing.T) {
	for _, trailing := range []uint64{1, 10240} {
		t.Run(fmt.Sprint("trailing-logs=", trailing), func(t *testing.T) { testSnapshotLivelock(t, trailing) })
	}
}

func testSnapshotLivelock(t *testing.T, trailing uint64) {
	const late = 2
	s := newTestShard(t, 3, func(i int, cfg *Config) {
		cfg.Tuning.TrailingLogs = 1
		if i == late {
			cfg.Tuning.TrailingLogs = trailing
		}
	})
	s.lead(0)
	s.mustPut("k", "first")
	s.allSee("k", "first")
	s.stop(late)
	s.lead(1) // later entries are of a later term than those that the late node makes up
	for n := range 30 {
		s.mustPut(fmt.Sprint("k", n), "acknowledged")
	}
	s.allSee("k29", "acknowledged")
	var at uint64
	for i := range late { // whoever leads later has it
		index, err := s.nodes[i].Snapshot(context.Background())
		must(t, err)
		at = max(at, index)
	}
	s.contradict(late, 60)
	s.start(late)
	node := s.nodes[late]
	s.allSee("k29", "acknowledged")
	s.mustPut("k", "last")
	s.allSee("k", "last")
	if got, err := s.get(late, "k", wire.Linearizable); err != nil || got != "last" {
		t.Fatalf("the late node reads %q, %v", got, err)
	}
	if value(node.View(), "never") != "" {
		t.Fatal("the late node applied what was never committed")
	}
	for n := range 30 {
		if got := value(node.View(), fmt.Sprint("k", n)); got != "acknowledged" {
			t.Fatalf("k%d is %q at the late node", n, got)
		}
	}
	if node.restores.Load() == 0 {
		t.Fatalf("the late node caught up without the snapshot at %d: nothing to see", at)
	}
	s.sameLogs(s.leader(), late, at)
}

// sameLogs compares the terms of what two nodes hold in their logs from index on.
func (s *testShard) sameLogs(a, b int, index uint64) {
	s.t.Helper()
	last, err := s.nodes[b].stores.log.LastIndex()
	if err != nil {
		s.t.Fatal(err)
	}
	for i := index; i <= last; i++ {
		var one, other raft.Log
		if s.nodes[a].stores.log.GetLog(i, &one) == nil && s.nodes[b].stores.log.GetLog(i, &other) == nil && one.Term != other.Term {
			s.t.Fatalf("entry %d has term %d at n%d and %d at n%d", i, one.Term, a, other.Term, b)
		}
	}
}
