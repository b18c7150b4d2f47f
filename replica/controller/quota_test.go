package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

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
