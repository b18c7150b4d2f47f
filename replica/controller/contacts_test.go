package controller

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// sentHeartbeat hands the leader's transport a heartbeat for a follower, and reports whether it went out: one that is left
// out confirms nothing.
func (s *testShard) sentHeartbeat(leader, to int) bool {
	s.t.Helper()
	id := s.members[to].ID
	transport := s.nodes[leader].group.Load().transport
	var response raft.AppendEntriesResponse
	if err := transport.AppendEntries(raft.ServerID(id), raft.ServerAddress(id), s.heartbeat(leader, s.nodes[leader].raft().CurrentTerm()), &response); err != nil {
		s.t.Fatal(err)
	}
	return response.Success
}

// TestHeartbeatsAfterAnsweredMessages: a heartbeat is left out while the follower answers other messages, and only then.
func TestHeartbeatsAfterAnsweredMessages(t *testing.T) {
	for _, c := range []struct {
		name          string
		commitTimeout time.Duration // the pause between messages to an idle follower
		sent          bool
	}{
		{"messages flow", 5 * time.Millisecond, false},
		{"no messages", time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestShard(t, 3, func(_ int, cfg *Config) { cfg.Tuning.CommitTimeout = c.commitTimeout })
			leader := s.leader()
			s.mustPut("k", "v")
			term := s.nodes[leader].raft().CurrentTerm()
			for to := range s.nodes {
				if to != leader {
					eventually(t, "heartbeats to be as they should", func() bool { return s.sentHeartbeat(leader, to) == c.sent })
				}
			}
			if now := s.nodes[leader].raft().CurrentTerm(); now != term {
				t.Errorf("term %d became %d", term, now)
			}
		})
	}
}

// TestContactsCountForOneTerm: what a follower answered to the leader of another term, or long ago, leaves nothing out.
func TestContactsCountForOneTerm(t *testing.T) {
	c := newContacts(time.Hour)
	now := time.Now()
	if c.recent("a", 0) || c.recent("a", 7) {
		t.Error("recent before anything was answered")
	}
	c.answered("a", 7, now)
	c.answered("a", 6, now.Add(time.Minute)) // late
	if !c.recent("a", 7) || c.recent("a", 6) || c.recent("a", 8) || c.recent("b", 7) {
		t.Errorf("after an answer in term 7: %+v", c.last)
	}
	c.answered("a", 8, now.Add(-12*time.Minute))
	if c.recent("a", 7) || c.recent("a", 8) {
		t.Errorf("12 minutes are a fifth of the timeout, and yet recent: %+v", c.last)
	}
}
