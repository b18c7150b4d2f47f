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
	s := newLinkedShard(t, 3, func(i int, cfg *Config) {
		if i != 0 {
			patient(cfg)
		}
	})
	s.lead(0)
	s.allReady()
	s.mustPut("before", "1")
	c := s.nodes[0]
	old := c.raft()
	s.cutBoth(1, 0)
	timeouts := 0
	eventually(t, "two transfers to wait for entries that can't be sent: the second for ever", func() bool {
		s.mustPutAt(0, "n1 lacks", "this")
		err := old.LeadershipTransferToServer("n1", "n1").Error()
		if err == nil {
			t.Fatal("leadership was handed to a node that is cut off")
		}
		if strings.Contains(err.Error(), "timeout") { // until the broken pipeline is noticed it fails otherwise
			timeouts++
		}
		return timeouts == 2
	})
	s.cutBoth(2, 0)
	eventually(t, "n0 to lose its leadership", func() bool { return old.State() != raft.Leader })
	s.heal()
	refused := false
	eventually(t, "writes to work again", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if r := c.raft(); r == old && r.State() == raft.Leader && !refused {
			err := r.ApplyLog(raft.Log{Data: store.AppendEntry(nil, store.Entry{Time: 1, Commands: []store.Command{put("probe", "1")}})}, time.Second).Error()
			refused = errors.Is(err, raft.ErrLeadershipTransferInProgress)
		}
		_, err := c.Propose(ctx, put("after", "2"))
		return err == nil
	})
	if !refused {
		t.Fatal("the elected leader never refused writes: raft has changed, and this guard may go")
	}
	if c.raft() == old {
		t.Fatal("writes work again without a repair")
	}
	s.allSee("after", "2")
	if value, err := s.get(0, "before", wire.Linearizable); err != nil || value != "1" {
		t.Fatalf("read %q, %v", value, err)
	}
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
// snapshot it needs, but of another term, refuses what follows and gets the snapshot again, for ever.
func TestG8SnapshotLivelockIsRepaired(t *testing.T) {
	s := newTestShard(t, 3, func(_ int, cfg *Config) {
		cfg.Tuning.TrailingLogs = 1
	})
	s.leader()
	s.mustPut("k", "first")
	s.allSee("k", "first")
	late := (s.leader() + 1) % 3
	s.stop(late)
	other := 3 - late - s.leader()
	s.lead(other) // later entries are of a later term than those that the late node makes up
	for n := range 30 {
		s.mustPut(fmt.Sprint("k", n), "acknowledged")
	}
	leader := s.leader()
	at, err := s.nodes[leader].Snapshot(context.Background())
	must(t, err)
	s.contradict(late, 60)
	s.start(late)
	node := s.nodes[late]
	eventually(t, "the late node to catch up", func() bool {
		value, err := s.get(late, "k29", wire.Linearizable)
		return err == nil && value == "acknowledged"
	})
	s.mustPut("k", "last")
	s.allSee("k", "last")
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
	var entry raft.Log
	last, err := node.stores.log.LastIndex()
	must(t, err)
	for i := at; i <= last; i++ {
		var theirs raft.Log
		if node.stores.log.GetLog(i, &entry) == nil && s.nodes[leader].stores.log.GetLog(i, &theirs) == nil && entry.Term != theirs.Term {
			t.Fatalf("entry %d has term %d at the late node and %d at the leader", i, entry.Term, theirs.Term)
		}
	}
}
