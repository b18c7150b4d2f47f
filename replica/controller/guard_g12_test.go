package controller

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// TestG12RefusedAppendEndsThePipeline does what raft's replication does: a decoder that stops reading at the first answer
// that is no success, beside a sender that goes on until it is told an error.
func TestG12RefusedAppendEndsThePipeline(t *testing.T) {
	open := func() *raft.NetworkTransport {
		tr, err := raft.NewTCPTransportWithLogger("127.0.0.1:0", nil, 2, time.Second, hclog.NewNullLogger())
		must(t, err)
		t.Cleanup(func() { must(t, tr.Close()) })
		return tr
	}
	leader, follower := open(), open()
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() { // the follower refuses everything, as with a full disk
		for {
			select {
			case rpc := <-follower.Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: false}, nil)
			case <-done:
				return
			}
		}
	}()
	inner, err := leader.AppendEntriesPipeline("n1", follower.LocalAddr())
	must(t, err)
	disk := newDiskWatch(t.TempDir(), fastTuning(), done, func(error) {})
	p := newRaftPipeline(&raftTransport{g: &group{c: &Controller{disk: disk}}, contacts: newContacts(time.Second)}, "n1", inner)
	defer p.Close()

	stopped := make(chan error, 1)
	go func() {
		for {
			request := &raft.AppendEntriesRequest{Term: 1, Entries: []*raft.Log{{Index: 1, Term: 1}}}
			if _, err := p.AppendEntries(request, new(raft.AppendEntriesResponse)); err != nil {
				stopped <- err
				return
			}
		}
	}()
	answer := <-p.Consumer() // and no more after it
	if answer.Response().Success {
		t.Fatal("the follower should have refused")
	}
	select {
	case err := <-stopped:
		t.Logf("the sender was told: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("the sender still waits: this follower would get nothing from this leader any more")
	}
}
