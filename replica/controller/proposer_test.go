package controller

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// newHeldShard is led by n0, whose log takes nothing until released, and whose window holds one entry.
func newHeldShard(t *testing.T, change func(cfg *Config)) *linkedShard {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg)
		cfg.Tuning.DiskStallTimeout = time.Minute
		cfg.Tuning.BatchesInFlight = 1
		if change != nil {
			change(cfg)
		}
	})
	s.electFirst(0)
	s.allReady()
	s.logs[0].hold()
	s.nodes[0].Start(put("first", "takes the window"))
	eventually(t, "the window to be full", func() bool { return s.logs[0].waiting.Load() > 0 })
	return s
}

// TestProposerKeepsOrder: writes started one after the other are applied in that order, over many batches in flight.
func TestProposerKeepsOrder(t *testing.T) {
	s := newTestShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg)
		cfg.Tuning.BatchOperations = 7
	})
	s.electFirst(0)
	c := s.nodes[0]
	var writes []*Proposal
	for n := range 500 {
		writes = append(writes, c.Start(put("k", fmt.Sprint(n))))
	}
	var last store.Revision
	for n, p := range writes {
		a, err := p.Wait(context.Background())
		if err != nil {
			t.Fatalf("write %d: %v", n, err)
		}
		if a.Result.Revision <= last {
			t.Fatalf("write %d has revision %d, the one before it %d", n, a.Result.Revision, last)
		}
		last = a.Result.Revision
	}
	if got := value(c.View(), "k"); got != "499" {
		t.Fatalf("the last write does not stand: %q", got)
	}
}

// TestCancelledWriteNeverHappens: not-applied after a deadline is a proof.
func TestCancelledWriteNeverHappens(t *testing.T) {
	s := newHeldShard(t, nil)
	c := s.nodes[0]
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Propose(ctx, put("cancelled", "1"))
	if e, ok := err.(*Error); !ok || e.Outcome() != wire.NotApplied {
		t.Fatalf("got %v, want not-applied: the write had not been proposed", err)
	}
	s.logs[0].release()
	s.mustPutAt(0, "after", "1") // the queue is in order: by now the cancelled one would be through
	s.allSee("after", "1")
	for i := range s.nodes {
		if value(s.nodes[i].View(), "cancelled") != "" {
			t.Fatalf("n%d has applied a write that was reported as not applied", i)
		}
	}
}

// TestWriteUnderWayIsUnknown: after it was proposed, a write whose time is up may still take effect, and here it does.
func TestWriteUnderWayIsUnknown(t *testing.T) {
	s := newHeldShard(t, func(cfg *Config) { cfg.Tuning.BatchesInFlight = 2 })
	c := s.nodes[0]
	p := c.Start(put("under way", "1"))
	eventually(t, "the write to be proposed", func() bool { return p.state.Load() == proposalProposed })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, newError(wire.CodeUnknownOutcome, "")) {
		t.Fatalf("got %v", err)
	}
	s.logs[0].release()
	s.allSee("under way", "1")
}

// TestQueueBounds: what does not fit is refused at once, and room comes back.
func TestQueueBounds(t *testing.T) {
	for name, change := range map[string]func(cfg *Config){
		"operations": func(cfg *Config) { cfg.Tuning.QueueOperations = 10 },
		"bytes": func(cfg *Config) {
			command := put("k0", "v")
			cfg.Tuning.QueueBytes = 10 * command.EncodedSize()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHeldShard(t, change)
			c := s.nodes[0]
			var writes []*Proposal
			for n := range 15 {
				writes = append(writes, c.Start(put(fmt.Sprint("k", n%10), "v")))
			}
			for n, p := range writes[10:] {
				select {
				case <-p.done:
				default:
					t.Fatalf("write %d was queued beyond the bound", n+10)
				}
				if !errors.Is(p.err, newError(wire.CodeOverloaded, "")) || p.err.Outcome() != wire.NotApplied {
					t.Fatalf("write %d: %v", n+10, p.err)
				}
			}
			s.logs[0].release()
			for n, p := range writes[:10] {
				if _, err := p.Wait(context.Background()); err != nil {
					t.Fatalf("write %d: %v", n, err)
				}
			}
			if operations, bytes := c.proposer.queued(); operations != 0 || bytes != 0 {
				t.Fatalf("%d operations, %d bytes stay accounted", operations, bytes)
			}
			s.mustPutAt(0, "again", "room")
		})
	}
}

// TestBatchBounds: one entry holds no more than its bounds, except for a single write that is larger.
func TestBatchBounds(t *testing.T) {
	tuning := DefaultTuning()
	tuning.BatchOperations, tuning.BatchBytes = 5, 1000
	b := newProposer(&Controller{cfg: Config{Tuning: tuning}})
	sizes := []int{100, 100, 100, 100, 100, 100, 900, 5000, 10, 990, 1, 1}
	for _, size := range sizes {
		b.enqueue(&Proposal{size: size, done: make(chan struct{})})
	}
	b.mu.queue[1].state.Store(proposalCancelled)
	var got [][]int
	for batch := b.take(); len(batch) > 0; batch = b.take() {
		var one []int
		for _, p := range batch {
			one = append(one, p.size)
			if p.state.Load() != proposalProposed {
				t.Fatal("taken, but may still be cancelled")
			}
		}
		got = append(got, one)
		b.landed()
	}
	if want := "[[100 100 100 100 100] [900] [5000] [10 990] [1 1]]"; fmt.Sprint(got) != want {
		t.Fatalf("batches %v, want %v", got, want)
	}
	if operations, bytes := b.queued(); operations != 0 || bytes != 0 {
		t.Fatalf("%d operations, %d bytes left", operations, bytes)
	}
}

// TestRaftErrorOutcomes: only what raft says before it queues an entry, or documents as definite, proves that nothing
// happened (field knowledge: hashicorp/raft#561).
func TestRaftErrorOutcomes(t *testing.T) {
	c := &Controller{cfg: Config{Node: "n0"}, shardText: "0"}
	for _, row := range []struct {
		err  error
		code wire.Code
		want wire.Outcome
	}{
		{raft.ErrNotLeader, wire.CodeMisdirected, wire.NotApplied},
		{raft.ErrLeadershipTransferInProgress, wire.CodeMisdirected, wire.NotApplied},
		{raft.ErrEnqueueTimeout, wire.CodeOverloaded, wire.NotApplied},
		{raft.ErrAbortedByRestore, wire.CodeUnknownOutcome, wire.Unknown},
		{raft.ErrLeadershipLost, wire.CodeUnknownOutcome, wire.Unknown},
		{raft.ErrRaftShutdown, wire.CodeUnknownOutcome, wire.Unknown},
		{errDeadline, wire.CodeUnknownOutcome, wire.Unknown},
		{errors.New("any error of the log"), wire.CodeUnknownOutcome, wire.Unknown},
	} {
		if got := c.proposalError(row.err); got.Code != row.code || got.Outcome() != row.want {
			t.Errorf("%v: %s (%v), want %s (%v)", row.err, got.Code, got.Outcome(), row.code, row.want)
		}
	}
}
