package controller

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// TestG7SuccessorIsSummoned: a leader whose disk stalls or fails tells the fit one of the others to take over. With timeouts of a
// minute nobody finds out by its silence.
func TestG7SuccessorIsSummoned(t *testing.T) {
	for name, breakDisk := range map[string]func(l *gate){
		"stalled": func(l *gate) { l.hold() },
		"failed":  func(l *gate) { l.fail(syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
			s.electFirst(0)
			s.allReady()
			s.mustPut("before", "1")
			s.nodes[1].StartDraining() // unfit
			eventually(t, "the leader to have led for long enough", func() bool { return s.nodes[0].ledFor() > 2*s.nodes[0].cfg.Tuning.DiskStallTimeout })
			breakDisk(s.logs[0])
			lost := s.nodes[0].Start(put("lost", "1"))
			eventually(t, "the fit node to lead", func() bool { return s.nodes[2].Leading() })
			s.mustPutAt(2, "meanwhile", "2")
			if value, err := s.get(2, "before", wire.Linearizable); err != nil || value != "1" {
				t.Fatalf("read %q, %v", value, err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if _, err := lost.Wait(ctx); err == nil || err.(*Error).Outcome() != wire.Unknown {
				t.Errorf("the write that met the disk ended as %v, want unknown", err)
			}
			s.logs[0].release()
			s.logs[0].fail(nil)
			s.allSee("meanwhile", "2")
		})
	}
}

// TestG7NobodyButTheLeaderSummons: a word that comes late, of a leader of an earlier term, deposes nobody, and makes no follower stand.
func TestG7NobodyButTheLeaderSummons(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.allReady()
	term := s.nodes[0].raft().CurrentTerm()
	for _, to := range []int{0, 2} {
		id := s.members[to].ID
		err := s.impostor(1).TimeoutNow(raft.ServerID(id), raft.ServerAddress(id), &raft.TimeoutNowRequest{RPCHeader: s.header(1)}, &raft.TimeoutNowResponse{})
		if err == nil || !strings.Contains(err.Error(), errNotLeader.Error()) {
			t.Errorf("%s, told by a follower to stand: %v", id, err)
		}
	}
	s.mustPutAt(0, "k", "v")
	for i, c := range s.nodes {
		if now := c.raft().CurrentTerm(); now != term {
			t.Errorf("n%d is of term %d, was %d", i, now, term)
		}
	}
}

// TestG7SummonsOnceATerm: and only in a term that has brought something on, and who is of it.
func TestG7SummonsOnceATerm(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.allReady()
	c, r := s.nodes[0], s.nodes[0].raft()
	term := r.CurrentTerm()
	if to, err := c.fittest(t.Context(), r, term-1); err == nil {
		t.Errorf("a leader of an earlier term calls up %s of a later one", to)
	}
	if _, err := c.fittest(t.Context(), r, term+1); err == nil {
		t.Error("a voter that is not of the leader's term was called up")
	}
	if to, err := c.fittest(t.Context(), r, term); err != nil {
		t.Errorf("nobody is fit: %v, %v", to, err)
	}
	c.readyTerm.Store(term - 1)
	c.summonSuccessor()
	if told := c.summonedIn.Load(); told != 0 {
		t.Errorf("a leader that has applied nothing in its term called up another")
	}
	c.readyTerm.Store(term)
	c.summonSuccessor()
	c.summonSuccessor()
	eventually(t, "another to lead", func() bool { return s.nodes[1].Leading() || s.nodes[2].Leading() })
	for _, c := range s.nodes {
		if now := c.raft().CurrentTerm(); now != term+1 {
			t.Errorf("%s is of term %d after one election, was %d", c.Node(), now, term)
		}
	}
}
