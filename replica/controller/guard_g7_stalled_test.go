package controller

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// TestG7StalledDiskOnTheLeader: raft would stay leader for ever, because its heartbeats need no disk. The node goes silent,
// the others elect and serve, and it comes back by itself.
func TestG7StalledDiskOnTheLeader(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { cfg.Tuning.ProposalTimeout = time.Minute })
	s.lead(0)
	s.allReady()
	s.mustPut("before", "1")

	s.logs[0].hold()
	hanging := s.nodes[0].Start(put("hanging", "1"))
	eventually(t, "the disk to count as stalled", func() bool { return s.nodes[0].disk.state() == diskStalled })
	if reasons := strings.Join(s.nodes[0].NotReady(), ","); !strings.Contains(reasons, "disk stalled") {
		t.Fatalf("not ready because of %q", reasons)
	}
	next := s.leader(0)
	s.mustPutAt(next, "meanwhile", "2")
	if value, err := s.get(3-next, "meanwhile", wire.Linearizable); err != nil || value != "2" { // the third node
		t.Fatalf("read %q, %v", value, err)
	}
	if value, err := s.get(0, "before", wire.Linearizable); err == nil {
		t.Fatalf("the stalled leader answered a linearizable read with %q", value)
	}
	_, err := s.nodes[0].Propose(context.Background(), put("refused", "1"))
	if e, ok := err.(*Error); !ok || e.Outcome() != wire.NotApplied {
		t.Fatalf("a write at the stalled node: %v, want a proof of not-applied", err)
	}
	eventually(t, "the hanging write to end, long before its deadline", func() bool { return len(hanging.done) == 1 })
	if _, err := hanging.Wait(context.Background()); err == nil || err.(*Error).Outcome() != wire.Unknown {
		t.Fatalf("the hanging write ended as %v, want unknown", err)
	}
	s.logs[0].release()
	s.allReady()
	s.allSee("meanwhile", "2")
	s.lead(0)
	s.mustPutAt(0, "after", "3")
}

// TestG7StalledDiskIsSilent: nothing leaves a node whose log write hangs.
func TestG7StalledDiskIsSilent(t *testing.T) {
	s := newLinkedShard(t, 3, nil)
	s.lead(0)
	s.allReady()
	s.logs[0].hold()
	s.nodes[0].Start(put("hanging", "1"))
	eventually(t, "the disk to count as stalled", func() bool { return s.nodes[0].disk.state() == diskStalled })
	sent := func() uint64 {
		return s.links[0][1].moved[forward].Load() + s.links[0][2].moved[forward].Load()
	}
	quiet, since := sent(), time.Now()
	eventually(t, "silence", func() bool { // what was under way at that moment still goes out
		if now := sent(); now != quiet {
			quiet, since = now, time.Now()
		}
		return time.Since(since) > 2*fastTuning().HeartbeatTimeout
	})
	s.leader(0)
	for n := range 20 {
		s.mustPutAt(s.leader(0), "k", string(rune('a'+n)))
	}
	if now := sent(); now != quiet {
		t.Fatalf("the stalled node sent %d bytes", now-quiet)
	}
	s.logs[0].release()
	s.allReady()
}
