package controller

import (
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// TestG15LaterTermIsRefused: entries and snapshots of a later term than their message are turned away, and a snapshot's stream is read to
// its end, as its sender must be able to send it.
func TestG15LaterTermIsRefused(t *testing.T) {
	entries := func(terms ...uint64) (list []*raft.Log) {
		for _, term := range terms {
			list = append(list, &raft.Log{Term: term})
		}
		return list
	}
	for name, c := range map[string]struct {
		command any
		refused bool
	}{
		"heartbeat":         {&raft.AppendEntriesRequest{Term: 5}, false},
		"entries":           {&raft.AppendEntriesRequest{Term: 5, Entries: entries(3, 5)}, false},
		"later entries":     {&raft.AppendEntriesRequest{Term: 5, Entries: entries(3, 5, 6)}, true},
		"snapshot":          {&raft.InstallSnapshotRequest{Term: 5, LastLogTerm: 5}, false},
		"later snapshot":    {&raft.InstallSnapshotRequest{Term: 5, LastLogTerm: 6}, true},
		"vote of any term":  {&raft.RequestVoteRequest{Term: 5, LastLogTerm: 6}, false},
		"word of a handing": {&raft.TimeoutNowRequest{}, false},
	} {
		answer := make(chan raft.RPCResponse, 1)
		stream := strings.NewReader("content")
		if got := refuseLaterTerm(raft.RPC{Command: c.command, Reader: stream, RespChan: answer}); got != c.refused {
			t.Errorf("%s: refused: %t, want %t", name, got, c.refused)
		}
		if !c.refused {
			continue
		}
		if r := <-answer; r.Error == nil {
			t.Errorf("%s: no error", name)
		}
		if _, snapshot := c.command.(*raft.InstallSnapshotRequest); snapshot {
			if left, err := io.ReadAll(stream); len(left) > 0 || err != nil {
				t.Errorf("%s: %d bytes are left to be read", name, len(left))
			}
		}
	}
}

// TestG15NothingOfALaterTermIsStored: the whole node refuses such an entry and starts again as it was.
func TestG15NothingOfALaterTermIsStored(t *testing.T) {
	s := newTestShard(t, 3, nil)
	s.leader()
	s.mustPut("k", "v")
	s.allSee("k", "v")
	s.stop(1)
	s.stop(2)
	r := s.nodes[0].raft()
	last, term := r.LastIndex(), r.CurrentTerm()+10
	request := s.heartbeat(2, term)
	request.PrevLogEntry, request.PrevLogTerm = last, 0
	request.Entries = []*raft.Log{{Index: last + 1, Term: term + 1, Type: raft.LogNoop}}
	var response raft.AppendEntriesResponse
	if err := s.impostor(2).AppendEntries("n0", "n0", request, &response); err == nil || !strings.Contains(err.Error(), "later one") {
		t.Errorf("answered %+v, %v", response, err)
	}
	if got := s.nodes[0].raft().LastIndex(); got != last {
		t.Errorf("the log ends at %d, want %d", got, last)
	}
	s.stop(0)
	s.start(0)
	eventually(t, "raft to run", func() bool { return s.nodes[0].raft() != nil })
}
