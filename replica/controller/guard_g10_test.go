package controller

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// silentFuture is what raft leaves behind when it shuts down with entries in its buffers.
type silentFuture struct{ never chan struct{} }

func (f silentFuture) Error() error { <-f.never; return nil }

// TestG10SilentFutureHasADeadline: waiting for a future ends, whatever raft does.
func TestG10SilentFutureHasADeadline(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	c := &Controller{closed: make(chan struct{})}
	within(t, time.Second, "await to give up", func() {
		if err := c.await(silentFuture{never}, 30*time.Millisecond); !errors.Is(err, errDeadline) {
			t.Errorf("got %v", err)
		}
	})
	close(c.closed)
	within(t, time.Second, "await to end with the controller", func() {
		if err := c.await(silentFuture{never}, time.Hour); !errors.Is(err, raft.ErrRaftShutdown) {
			t.Errorf("got %v", err)
		}
	})
}

// within fails the test if f takes longer than limit.
func within(t *testing.T, limit time.Duration, what string, f func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() { defer close(ended); f() }()
	select {
	case <-ended:
	case <-time.After(limit):
		t.Fatalf("timed out waiting for %s", what)
	}
}

// TestG10HangingEntryIsUnknown: an entry that does not get through is reported as unknown when its time is up, and the
// window it took is free again.
func TestG10HangingEntryIsUnknown(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg)
		cfg.Tuning.ProposalTimeout = 300 * time.Millisecond
		cfg.Tuning.DiskStallTimeout = time.Minute
		cfg.Tuning.BatchesInFlight = 1
	})
	s.electFirst(0)
	s.allReady()
	s.logs[0].hold()
	for n := range 2 { // the second gets through to raft only if the first gave its place back
		var err error
		within(t, 5*time.Second, "the write to end", func() { _, err = s.nodes[0].Propose(context.Background(), put("k", fmt.Sprint(n))) })
		if e, ok := err.(*Error); !ok || e.Outcome() != wire.Unknown {
			t.Fatalf("write %d ended as %v, want unknown", n, err)
		}
	}
	s.logs[0].release()
	s.allSee("k", "1") // unknown was right: they took effect
}

// TestG10CloseEndsWhatIsUnderWay: Close keeps its deadline while a disk hangs, and every write ends: what raft had as
// unknown, what waited as not applied.
func TestG10CloseEndsWhatIsUnderWay(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg)
		cfg.Tuning.DiskStallTimeout = time.Minute
		cfg.Tuning.BatchesInFlight, cfg.Tuning.BatchOperations = 2, 1
	})
	s.electFirst(0)
	s.allReady()
	c := s.nodes[0]
	s.logs[0].hold()
	var writes []*Proposal
	for n := range 10 {
		writes = append(writes, c.Start(put(fmt.Sprint("k", n), "v")))
	}
	eventually(t, "the window to be full", func() bool { return c.proposer.inFlight() == 2 && s.logs[0].waiting.Load() > 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	within(t, 3*time.Second, "Close to keep its deadline", func() {
		if err := c.Close(ctx); err == nil {
			t.Error("Close says that all ended, while a log write hangs")
		}
	})
	count := map[wire.Outcome]int{}
	within(t, time.Second, "all writes to end", func() {
		for _, p := range writes {
			_, err := p.Wait(context.Background())
			if e, ok := err.(*Error); ok {
				count[e.Outcome()]++
			} else {
				t.Errorf("a write ended as %v", err)
			}
		}
	})
	if count[wire.Unknown] != 2 || count[wire.NotApplied] != 8 {
		t.Fatalf("outcomes %v, want 2 unknown (proposed) and 8 not applied", count)
	}
	s.logs[0].release()
	eventually(t, "raft to end", func() bool { return c.group.Load().raft().State() == raft.Shutdown })
	s.nodes[0] = nil
}
