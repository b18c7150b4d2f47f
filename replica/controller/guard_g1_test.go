package controller

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/store"
)

// heartbeat is what raft's transport would recognise as one and hand to the fast path.
func (s *testShard) heartbeat(from int, term uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{RPCHeader: s.header(from), Term: term}
}

// TestG1HeartbeatWaitsForTheMainLoop: while the main loop is in a log write, a heartbeat of a later term changes nothing.
func TestG1HeartbeatWaitsForTheMainLoop(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { cfg.Tuning.DiskStallTimeout = time.Minute })
	leader := s.leader()
	s.allReady()
	other := (leader + 1) % 3
	r := s.nodes[leader].raft()
	term := r.CurrentTerm()

	s.logs[leader].hold()
	write := s.nodes[leader].Start(put("k", "v"))
	eventually(t, "the write to hang in the log", func() bool { return s.logs[leader].waiting.Load() > 0 })

	answered := make(chan error, 1)
	var response raft.AppendEntriesResponse
	impostor := s.impostor(other)
	go func() {
		answered <- impostor.AppendEntries(raft.ServerID(s.members[leader].ID), raft.ServerAddress(s.members[leader].ID), s.heartbeat(other, term+5), &response)
	}()
	select {
	case err := <-answered:
		t.Fatalf("the heartbeat was answered (%+v, %v) beside the main loop", response, err)
	case <-time.After(400 * time.Millisecond): // the fast path answers within a millisecond
	}
	if now := r.CurrentTerm(); now != term || r.State() != raft.Leader {
		t.Fatalf("term %d became %d, state %v, while the main loop was in a write", term, now, r.State())
	}
	s.logs[leader].release()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if now := r.CurrentTerm(); now < term+5 {
		t.Fatalf("term is %d after the heartbeat of term %d", now, term+5)
	}
	<-write.done
	s.mustPut("after", "all")
}

// TestG1DeposedLeaderStoresNothing: a leader that is told of a later term, and then gets a write, must not store it under
// that later term: the real leader of the term may have another entry there (hashicorp/raft#695).
func TestG1DeposedLeaderStoresNothing(t *testing.T) {
	s := newLinkedShard(t, 3, nil)
	for round := range 4 {
		leader := s.leader()
		other := (leader + 1) % 3
		impostor := s.impostor(other)
		r := s.nodes[leader].raft()
		foreign := r.CurrentTerm() + 5 // nobody leads it
		var response raft.AppendEntriesResponse
		id := s.members[leader].ID
		if err := impostor.AppendEntries(raft.ServerID(id), raft.ServerAddress(id), s.heartbeat(other, foreign), &response); err != nil {
			t.Fatal(err)
		}
		entry := store.AppendEntry(nil, store.Entry{Time: 1, Commands: []store.Command{put("k", "written by the deposed leader")}})
		_ = r.ApplyLog(raft.Log{Data: entry}, time.Second).Error() // whatever it says, look at the log
		last, err := s.nodes[leader].stores.log.LastIndex()
		if err != nil {
			t.Fatal(err)
		}
		first, err := s.nodes[leader].stores.log.FirstIndex()
		if err != nil {
			t.Fatal(err)
		}
		for i := first; i <= last; i++ {
			var l raft.Log
			if err := s.nodes[leader].stores.log.GetLog(i, &l); err == nil && l.Term == foreign {
				t.Fatalf("round %d: entry %d stands in the log with term %d, which nobody led", round, i, l.Term)
			}
		}
		s.mustPut("k", "fine")
	}
}
