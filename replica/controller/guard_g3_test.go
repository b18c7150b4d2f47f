package controller

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// withVotes opens the real vote store of a folder whose node is stopped; what f leaves undone is what a crash leaves undone.
func withVotes(t *testing.T, folder string, f func(votes raft.StableStore)) {
	t.Helper()
	b, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(folder, logFile)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := openVotes(b, false, func(write func() error) error { return write() })
	if err != nil {
		t.Fatal(err)
	}
	f(v)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestG3TornVoteIsNoVote: a crash between the two writes of a vote leaves the vote before it, whole.
func TestG3TornVoteIsNoVote(t *testing.T) {
	folder := t.TempDir()
	withVotes(t, folder, func(v raft.StableStore) {
		if term, err := v.GetUint64(keyVoteTerm); term != 0 || err == nil || err.Error() != "not found" {
			t.Fatalf("vote in an empty store: %d, %v; raft compares the text with %q", term, err, "not found")
		}
		must(t, v.SetUint64(keyVoteTerm, 5))
		must(t, v.Set(keyVoteCandidate, []byte("A")))
		must(t, v.SetUint64(keyTerm, 7))
		must(t, v.SetUint64(keyVoteTerm, 7)) // crash here
	})
	withVotes(t, folder, func(v raft.StableStore) {
		term, err := v.GetUint64(keyVoteTerm)
		must(t, err)
		candidate, err := v.Get(keyVoteCandidate)
		must(t, err)
		if term != 5 || string(candidate) != "A" {
			t.Fatalf("after the crash the vote is (%d, %s), want (5, A)", term, candidate)
		}
		if term, err := v.GetUint64(keyTerm); err != nil || term != 7 {
			t.Fatalf("current term %d, %v", term, err)
		}
		must(t, v.SetUint64(keyVoteTerm, 8))
		must(t, v.Set(keyVoteCandidate, []byte("B")))
	})
	withVotes(t, folder, func(v raft.StableStore) {
		term, _ := v.GetUint64(keyVoteTerm)
		if candidate, err := v.Get(keyVoteCandidate); err != nil || term != 8 || string(candidate) != "B" {
			t.Fatalf("vote is (%d, %s), %v, want (8, B)", term, candidate, err)
		}
	})
}

// TestG3TornVoteElectsNobody: the whole node, after such a crash, does not grant its vote to a candidate with an old log
// (hashicorp/raft#661).
func TestG3TornVoteElectsNobody(t *testing.T) {
	s := newTestShard(t, 3, nil)
	s.leader()
	s.mustPut("k", "acknowledged")
	s.allSee("k", "acknowledged")
	var term uint64
	for i := range s.nodes {
		term = max(term, s.nodes[i].raft().CurrentTerm())
	}
	for i := range s.nodes {
		s.stop(i)
	}
	term += 10
	withVotes(t, s.folders[0], func(v raft.StableStore) {
		must(t, v.SetUint64(keyVoteTerm, term-1))
		must(t, v.Set(keyVoteCandidate, []byte("n2")))
		must(t, v.SetUint64(keyTerm, term))
		must(t, v.SetUint64(keyVoteTerm, term)) // of a vote for n1; crash before it is complete
	})
	s.change = func(_ int, cfg *Config) { patient(cfg) }
	s.start(0)
	eventually(t, "raft to run", func() bool { return s.nodes[0].raft() != nil })
	var response raft.RequestVoteResponse
	must(t, s.impostor(2).RequestVote("n0", "n0", &raft.RequestVoteRequest{RPCHeader: s.header(2), Term: term, LastLogIndex: 1, LastLogTerm: 1}, &response))
	if response.Granted {
		t.Fatal("a candidate whose log lacks acknowledged entries got the vote")
	}
	if response.Term != term {
		t.Fatalf("answered in term %d, want %d: the question was not judged at all", response.Term, term)
	}
}
