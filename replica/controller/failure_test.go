package controller

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// TestFailedNodeAnswersNoRead: after an error that it can't go on from, a node's data may be anything.
func TestFailedNodeAnswersNoRead(t *testing.T) {
	s := newTestShard(t, 1, nil)
	s.leader()
	s.mustPut("k", "v")
	s.allReady()
	s.nodes[0].fail(errors.New("planted"))
	for _, consistency := range []wire.Consistency{wire.Linearizable, wire.Bounded, wire.Stale} {
		if value, err := s.get(0, "k", consistency); err == nil {
			t.Errorf("%s read of a failed node answered %q", consistency, value)
		}
	}
	if reasons := s.nodes[0].NotReady(); len(reasons) == 0 {
		t.Error("a failed node is ready")
	}
}

// TestReadThatWaitedMeetsTheFailure: the node fails while a read waits for its index.
func TestReadThatWaitedMeetsTheFailure(t *testing.T) {
	s := newLinkedShard(t, 3, func(i int, cfg *Config) {
		if i == 2 {
			patient(cfg)
		}
	})
	s.lead(0)
	s.allReady()
	s.cutBoth(2, 0, 1) // nobody tells it that the index is not there yet
	c := s.nodes[2]
	ended := make(chan error, 1)
	target := c.View().Index() + 2 // a failed machine still publishes what it had applied
	go func() {
		_, _, err := c.Read(context.Background(), ReadOptions{Consistency: wire.Stale, MinIndex: target})
		ended <- err
	}()
	s.mustPut("one", "1")
	c.fail(errors.New("planted"))
	c.fsm.machine.Advance(target, 1)
	c.fsm.machine.Publish()
	c.fsm.changed.fire()
	if err := <-ended; !errors.Is(err, newError(wire.CodeNotReady, "")) {
		t.Fatalf("the read ended with %v", err)
	}
}

// TestMachineOfOtherFlagsIsFatal: the first Init in the log wins; a node that was started with other flags must not serve.
func TestMachineOfOtherFlagsIsFatal(t *testing.T) {
	s := newTestShard(t, 1, nil)
	s.leader()
	c := s.nodes[0]
	f := &fsm{c: c, machine: store.New()}
	id := store.Identity{Cluster: "test", ShardCount: 2, SlotFunction: store.LastByte, IdempotencyBytes: 1}
	entry := store.AppendEntry(nil, store.Entry{Commands: []store.Command{{Kind: store.CommandInit, Identity: &id}}})
	f.ApplyBatch([]*raft.Log{{Index: 1, Term: 1, Type: raft.LogCommand, Data: entry}})
	select {
	case err := <-c.Fatal():
		t.Log(err)
	default:
		t.Fatal("the node goes on")
	}
}

// TestFreshnessIsOfTheRoundsBegin: a bounded read may use a round that began within the bound, not one that ended within it.
func TestFreshnessIsOfTheRoundsBegin(t *testing.T) {
	s := newTestShard(t, 1, nil)
	s.leader()
	s.allReady()
	c := s.nodes[0]
	rounds := 0
	inner := c.leaderReads.round
	c.leaderReads.round = func(ctx context.Context) (readPoint, *Error) {
		point, err := inner(ctx)
		rounds++
		point.started = time.Now().Add(-200 * time.Millisecond) // a round that took so long
		return point, err
	}
	c.freshAt.Store(0)
	eventually(t, "such a round to be possible since the start", func() bool { return time.Since(c.started) > time.Second })
	for range 2 {
		if _, _, err := c.Read(t.Context(), ReadOptions{Consistency: wire.Bounded, MaxStale: 190 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
	}
	if rounds != 2 {
		t.Fatalf("%d rounds: the second read went by a round that began before its bound", rounds)
	}
	if _, _, err := c.Read(t.Context(), ReadOptions{Consistency: wire.Bounded, MaxStale: 2 * time.Minute}); err != nil || rounds != 2 {
		t.Fatalf("%d rounds, %v: a round that began within the bound was not used", rounds, err)
	}
}

// TestTransferUnderLoadReplacesNothing: writes that a successful transfer refuses are no sign of a stuck one.
func TestTransferUnderLoadReplacesNothing(t *testing.T) {
	s := newTestShard(t, 3, nil)
	leader := s.leader()
	s.allReady()
	c := s.nodes[leader]
	before := c.group.Load()
	stop, done := writeBeside(c, 16)
	eventually(t, "a transfer that refuses a write", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if c.Leading() {
			_ = c.TransferLeadership(ctx, "")
		} else if leading := s.leader(); leading != leader {
			_ = s.nodes[leading].TransferLeadership(ctx, c.Node())
		}
		return c.transferring.last.Load() != 0 && !c.Leading()
	})
	close(stop)
	done.Wait()
	deadline := time.After(6 * c.cfg.Tuning.ElectionTimeout)
	for ended := false; !ended; {
		select {
		case <-deadline:
			ended = true
		case <-time.After(c.tick()):
		}
		if c.group.Load() != before {
			t.Fatal("raft was replaced")
		}
	}
}
