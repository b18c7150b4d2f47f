package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// TestTransferLeadership: to a named node, to one that is chosen, to itself; an unknown and a dead node are refused.
func TestTransferLeadership(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) }) // leadership moves by transfers only
	s.electFirst(0)
	s.allReady()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conflict := newError(wire.CodeConflict, "")
	if err := s.nodes[0].TransferLeadership(ctx, "n0"); err != nil {
		t.Fatalf("to itself: %v", err)
	}
	if err := s.nodes[0].TransferLeadership(ctx, "nobody"); !errors.Is(err, conflict) {
		t.Fatalf("to an unknown node: %v", err)
	}
	must(t, s.nodes[0].TransferLeadership(ctx, "n1"))
	eventually(t, "n1 to lead", s.nodes[1].Leading)
	if err := s.nodes[0].TransferLeadership(ctx, "n1"); err != nil {
		t.Fatalf("to the present leader: %v", err)
	}
	if err := s.nodes[0].TransferLeadership(ctx, ""); !errors.Is(err, newError(wire.CodeMisdirected, "")) {
		t.Fatalf("asked of a follower: %v", err)
	}
	s.nodes[2].StartDraining()
	must(t, s.nodes[1].TransferLeadership(ctx, "")) // n2 is leaving: only n0 is fit
	eventually(t, "n0 to lead", s.nodes[0].Leading)

	s.stop(2)
	for range 3 {
		err := s.nodes[0].TransferLeadership(ctx, "n2")
		if !errors.Is(err, conflict) || !strings.Contains(err.Error(), "not up or not fit") { // refused before raft tried
			t.Fatalf("to a node that is down: %v", err)
		}
	}
	s.mustPutAt(0, "writes", "go on") // raft can come to refuse them after two such transfers
}

// TestRefusedFollowerIsNotBackedOff: raft waits twice as long after each refusal of a follower that could not store, up to
// 10 s. The transport tries again itself, so the follower gets its entries as soon as it is well.
func TestRefusedFollowerIsNotBackedOff(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.allReady()
	s.logs[2].fail(syscall.ENOSPC)
	s.mustPutAt(0, "k", "v")
	since := time.Now()
	eventually(t, "14 refusals", func() bool { return s.logs[2].refused.Load() >= 14 })
	if took := time.Since(since); took > 8*time.Second { // raft's own waits would add up to more than 10 s
		t.Errorf("14 refusals took %v", took)
	}
	s.logs[2].fail(nil)
	s.allSee("k", "v")
}

// TestUnreachableFollowerIsNotBackedOff: the same for one that was cut off.
func TestUnreachableFollowerIsNotBackedOff(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.allReady()
	s.cutBoth(2, 0, 1)
	until := time.Now().Add(2500 * time.Millisecond) // by then raft would wait for more than a second
	for n := 0; time.Now().Before(until); n++ {
		s.mustPutAt(0, "k", fmt.Sprint(n))
	}
	s.mustPutAt(0, "k", "last")
	s.heal()
	healed := time.Now()
	s.allSee("k", "last")
	if took := time.Since(healed); took > time.Second {
		t.Errorf("caught up %v after it was reachable again", took)
	}
}
