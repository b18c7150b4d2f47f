package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// TestMemoryQuota: puts are refused beyond the quota; deletes and reads go on, and deletes make room.
func TestMemoryQuota(t *testing.T) {
	s := newTestShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg)
		cfg.MemoryQuota = 1 << 20
		cfg.Tuning.LogCacheBytes = 64 << 10
	})
	s.electFirst(0)
	c := s.nodes[0]
	ctx := context.Background()
	large := strings.Repeat("x", 32<<10)
	stored := 0
	var err error
	for ; stored < 100; stored++ {
		if _, err = c.Propose(ctx, put(fmt.Sprint("k", stored), large)); err != nil {
			break
		}
	}
	if !errors.Is(err, newError(wire.CodeMemoryQuota, "")) || err.(*Error).Outcome() != wire.NotApplied {
		t.Fatalf("after %d puts: %v", stored, err)
	}
	if stored < 20 || c.memoryUsed() > c.cfg.MemoryQuota+uint64(len(large))*2 {
		t.Fatalf("%d puts fitted, %d bytes used of %d", stored, c.memoryUsed(), c.cfg.MemoryQuota)
	}
	view, _, err := c.Read(ctx, ReadOptions{})
	if err != nil || value(view, "k0") != large {
		t.Fatalf("reads must go on: %v", err)
	}
	for n := range stored / 2 {
		if _, err := c.Propose(ctx, store.Command{Kind: store.CommandDelete, Key: []byte(fmt.Sprint("k", n))}); err != nil {
			t.Fatalf("deletes must go on: %v", err)
		}
	}
	if _, err := c.Propose(ctx, put("again", large)); err != nil {
		t.Fatalf("deletes made room: %v", err)
	}
}

// TestQuotaHoldsInBursts: writes that wait or are in flight have their room before anybody else gets it, so a burst ends
// within the quota, whatever the size of its values; what is refused only because of others may be sent again.
func TestQuotaHoldsInBursts(t *testing.T) {
	const quota = 1 << 20
	for name, size := range map[string]int{"large values": 64 << 10, "tiny values": 1} {
		t.Run(name, func(t *testing.T) {
			s := newHeldShard(t, func(cfg *Config) {
				cfg.MemoryQuota = quota
				cfg.Tuning.BatchesInFlight, cfg.Tuning.BatchBytes = 8, 512<<10
				cfg.Tuning.LogCacheBytes = 256 << 10
				cfg.Tuning.ProposalTimeout = time.Minute // the whole burst is stored in it, on a slow machine too
			})
			c := s.nodes[0]
			value := strings.Repeat("x", size)
			var burst []*Proposal
			for n := range 8000 {
				burst = append(burst, c.Start(put(fmt.Sprint("burst", n), value)))
				if used := c.memoryUsed(); used > quota {
					t.Fatalf("%d bytes are used of %d after %d writes", used, quota, n+1)
				}
			}
			if held := c.memoryHeld(); held > quota/2 {
				t.Fatalf("the log took %d bytes: the burst was not under way as a whole", held)
			}
			s.logs[0].release()
			stored := 0
			for n, p := range burst {
				switch _, err := p.Wait(context.Background()); {
				case err == nil:
					stored++
				case !errors.Is(err, newError(wire.CodeOverloaded, "")):
					t.Fatalf("write %d: %v", n, err)
				}
			}
			if used := c.memoryUsed(); stored == 0 || stored == len(burst) || used > quota {
				t.Errorf("%d of %d stored, %d bytes used of %d", stored, len(burst), used, quota)
			}
			eventually(t, "all reservations to be given back", func() bool { return c.writes.reserved.Load() == 0 })
			t.Logf("%d of %d stored, %d bytes held of %d", stored, len(burst), c.memoryHeld(), quota)
		})
	}
}

// TestReservationsAreGivenBack: by each way in which a write can end.
func TestReservationsAreGivenBack(t *testing.T) {
	s := newHeldShard(t, func(cfg *Config) { cfg.Tuning.QueueOperations = 2 })
	c := s.nodes[0]
	ctx, cancel := context.WithCancel(context.Background())
	cancelled := []*Proposal{c.Start(put("a", "1")), c.Start(store.Command{Kind: store.CommandDelete, Key: []byte("b"), IdempotencyKey: "i"})}
	before := c.writes.reserved.Load()
	if _, err := c.Start(put("c", "1")).Wait(context.Background()); !errors.Is(err, newError(wire.CodeOverloaded, "")) {
		t.Fatal(err)
	}
	if c.writes.reserved.Load() != before || before == 0 {
		t.Errorf("reserved %d, after a refusal by the queue %d", before, c.writes.reserved.Load())
	}
	cancel()
	for _, p := range cancelled {
		if _, err := p.Wait(ctx); !errors.Is(err, newError(wire.CodeOverloaded, "")) {
			t.Fatal(err)
		}
	}
	first := put("first", "takes the window")
	if got, want := c.writes.reserved.Load(), footprint(&first, first.EncodedSize()); got != want {
		t.Errorf("reserved %d when only the write in flight is left, want %d", got, want)
	}
	s.logs[0].release()
	eventually(t, "the write in flight to give its room back", func() bool { return c.writes.reserved.Load() == 0 })
}
