package controller

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// fillDisk makes node i's disk full: log writes fail, and a folder in the way of the reserve file keeps it so.
func (s *linkedShard) fillDisk(i int) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.folders[i], reserveFile+".tmp", "in the way"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	s.logs[i].fail(syscall.ENOSPC)
}

func (s *linkedShard) freeDisk(i int) {
	s.t.Helper()
	s.logs[i].fail(nil)
	if err := os.RemoveAll(filepath.Join(s.folders[i], reserveFile+".tmp")); err != nil {
		s.t.Fatal(err)
	}
}

// TestG7FullDiskOnTheLeader: writes under way are unknown, another node leads, the node is not ready and refuses writes
// with a proof, and all that ends by itself.
func TestG7FullDiskOnTheLeader(t *testing.T) {
	s := newLinkedShard(t, 3, nil)
	s.lead(0)
	s.allReady()
	s.mustPut("before", "1")

	s.fillDisk(0)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := s.nodes[0].Propose(ctx, put("in flight", "1"))
	if !errors.Is(err, newError(wire.CodeUnknownOutcome, "")) {
		t.Fatalf("a write that met the full disk ended as %v, want unknown", err)
	}
	eventually(t, "the disk to count as full", func() bool { return s.nodes[0].Status().Disk == "full" })
	if reasons := strings.Join(s.nodes[0].NotReady(), ","); !strings.Contains(reasons, "disk full") {
		t.Fatalf("not ready because of %q", reasons)
	}
	next := s.leader(0)
	s.mustPutAt(next, "meanwhile", "2")
	_, err = s.nodes[0].Propose(ctx, put("refused", "1"))
	if e, ok := err.(*Error); !ok || e.Outcome() != wire.NotApplied {
		t.Fatalf("a write at the node with the full disk: %v, want a proof of not-applied", err)
	}
	if value, err := s.get(next, "before", wire.Linearizable); err != nil || value != "1" {
		t.Fatalf("read %q, %v", value, err)
	}
	s.freeDisk(0)
	s.allReady()
	s.allSee("meanwhile", "2")
	s.lead(0)
	s.mustPutAt(0, "after", "3")
}

// TestG7FullDiskRefusesWithItsName: as long as the node still leads, the refusal says what is wrong.
func TestG7FullDiskRefusesWithItsName(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.allReady()
	s.nodes[1].StartDraining() // unfit to take over
	s.nodes[2].StartDraining()
	s.fillDisk(0)
	_ = s.nodes[0].disk.watch(func() error { return syscall.ENOSPC })
	_, err := s.nodes[0].Propose(context.Background(), put("k", "v"))
	if e, ok := err.(*Error); !ok || e.Code != wire.CodeDiskFull || e.Outcome() != wire.NotApplied {
		t.Fatalf("got %v", err)
	}
	s.freeDisk(0)
	eventually(t, "the disk to be fine", func() bool { return s.nodes[0].disk.state() == diskOK })
	s.mustPutAt(0, "k", "v")
}

// TestG7FullDiskHandsOver: a leader that knows its disk to be full hands over, even if nobody would campaign by itself.
func TestG7FullDiskHandsOver(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.allReady()
	s.fillDisk(0)
	_ = s.nodes[0].disk.watch(func() error { return syscall.ENOSPC })
	s.mustPutAt(s.leader(0), "k", "v")
	s.freeDisk(0)
	s.allReady()
}

// TestG7FullDiskIsNotElected: a node that can't store entries must not win elections, though it can still vote.
func TestG7FullDiskIsNotElected(t *testing.T) {
	s := newLinkedShard(t, 3, func(i int, cfg *Config) {
		if i != 0 {
			patient(cfg)
		}
	})
	s.lead(0)
	s.allReady()
	s.nodes[1].StartDraining() // unfit to take over
	s.nodes[2].StartDraining()
	voter := s.nodes[1].raft()
	term := voter.CurrentTerm()
	s.fillDisk(0)
	s.nodes[0].Start(put("k", "v"))
	eventually(t, "the disk to count as full", func() bool { return s.nodes[0].disk.state() == diskFull })
	eventually(t, "n0 to lead no more", func() bool { return s.nodes[0].Status().Role != "leader" })
	eventually(t, "n0 to campaign", func() bool { return s.nodes[0].Status().Role == "candidate" })
	deadline := time.Now().Add(6 * fastTuning().ElectionTimeout) // a campaign takes one to two of them
	for time.Now().Before(deadline) {
		if s.nodes[0].Status().Role == "leader" || voter.CurrentTerm() != term {
			t.Fatalf("n0 is %s, n1 went from term %d to %d: the full disk campaigns", s.nodes[0].Status().Role, term, voter.CurrentTerm())
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.freeDisk(0)
	eventually(t, "n0 to lead again", s.nodes[0].Leading)
	s.mustPutAt(0, "k", "again")
}

// TestG7VoteWriteIsHeld: a vote or term that can't be stored is held, where raft would panic, and given once it can be.
func TestG7VoteWriteIsHeld(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.allReady()
	s.votes[1].fail(syscall.ENOSPC)
	follower := s.nodes[1].raft()
	term := follower.CurrentTerm() + 1
	answered := make(chan error, 1)
	var response raft.RequestVoteResponse
	impostor := s.impostor(2)
	go func() {
		answered <- impostor.RequestVote("n1", "n1", &raft.RequestVoteRequest{RPCHeader: s.header(2), Term: term,
			LastLogIndex: 1 << 40, LastLogTerm: term - 1, LeadershipTransfer: true}, &response)
	}()
	eventually(t, "the failed write to be noticed", func() bool { return s.nodes[1].disk.state() == diskFull })
	select {
	case err := <-answered:
		t.Fatalf("answered %+v, %v before the vote was stored", response, err)
	default:
	}
	s.votes[1].fail(nil)
	must(t, <-answered)
	if !response.Granted || response.Term != term {
		t.Fatalf("answered %+v, want the vote in term %d", response, term)
	}
	if stored, err := s.nodes[1].stores.votes.GetUint64(keyVoteTerm); err != nil || stored != term {
		t.Fatalf("the stored vote is of term %d, %v; given in %d", stored, err, term)
	}
}

// TestG7EndsWhileATermIsHeld: a node that is closed while raft waits for the disk to take a term ends in good order; raft would panic
// if it heard that the term was not stored.
func TestG7EndsWhileATermIsHeld(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.allReady()
	s.votes[1].fail(syscall.EIO)
	term, impostor := s.nodes[1].raft().CurrentTerm()+1, s.impostor(2)
	asked := make(chan struct{})
	go func() { // ends with the node
		defer close(asked)
		var response raft.RequestVoteResponse
		if err := impostor.RequestVote("n1", "n1", &raft.RequestVoteRequest{RPCHeader: s.header(2), Term: term, LastLogIndex: 1 << 40, LastLogTerm: term - 1, LeadershipTransfer: true}, &response); err == nil && (response.Granted || response.Term >= term) {
			t.Errorf("answered %+v without having stored term %d", response, term)
		}
	}()
	eventually(t, "the failed write to be noticed", func() bool { return s.nodes[1].disk.state() == diskFull })
	s.stop(1)
	<-asked
}
