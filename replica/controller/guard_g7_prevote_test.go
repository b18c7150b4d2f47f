package controller

import (
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestG7NoPreVoteWithoutAVote: a node grants pre-votes while its disk takes votes, which a full one does by its reserve, and not
// while it is stalled or fails.
func TestG7NoPreVoteWithoutAVote(t *testing.T) {
	s := newTestShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg) // so that nobody leads
		cfg.Tuning.DiskProbeInterval = time.Hour
	})
	eventually(t, "raft to run everywhere", func() bool { return s.nodes[0].raft() != nil && s.nodes[1].raft() != nil && s.nodes[2].raft() != nil })
	disk, candidate := s.nodes[0].disk, s.impostor(1)
	granted := func() bool {
		var answer raft.RequestPreVoteResponse
		err := candidate.RequestPreVote(raft.ServerID(s.members[0].ID), raft.ServerAddress(s.members[0].ID),
			&raft.RequestPreVoteRequest{RPCHeader: s.header(1), Term: 2, LastLogIndex: 1000, LastLogTerm: 1}, &answer)
		return err == nil && answer.Granted
	}
	if !granted() {
		t.Fatal("a node that is well grants no pre-vote")
	}
	release, written := make(chan struct{}), make(chan error)
	go func() { written <- disk.watch(func() error { <-release; return nil }) }() // ends with release
	eventually(t, "the disk to count as stalled", func() bool { return disk.state() == diskStalled })
	if granted() {
		t.Error("on a stalled disk a pre-vote was granted")
	}
	close(release)
	<-written
	for _, c := range []struct {
		failure error
		want    bool
	}{{syscall.ENOSPC, true}, {syscall.EIO, false}} {
		_ = disk.watch(func() error { return c.failure })
		if granted() != c.want {
			t.Errorf("on a disk with %v: granted %v", c.failure, !c.want)
		}
	}
}
