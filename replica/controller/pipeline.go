package controller

import (
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// raftPipeline is raft's pipeline of replication messages to one follower, with three guards:
//   - G7: while the disk is not ok nothing goes out.
//   - G12: a refused or failed message ends the pipeline. Raft's decoder stops reading answers at the first that is not a
//     success, while its sender may go on: the sender then waits for room that nobody makes any more, for ever, and the
//     follower gets nothing from this leader again. A follower whose disk is full for a moment is enough. Closing the
//     pipeline gives the sender an error instead, and raft goes on message by message.
//   - G14: a follower that has fallen behind is brought up outside the pipeline. In it raft sends one message for each new entry
//     or commit timeout, however many are missing, so where little is written it never ends; message by message, raft goes on
//     until nothing is missing, and then opens a pipeline again.
type raftPipeline struct {
	raft.AppendPipeline
	t       *raftTransport
	to      raft.ServerID
	answers chan raft.AppendFuture
	once    sync.Once
	closed  chan struct{}
}

// newRaftPipeline starts one goroutine. Owner: raft's replicate, which ends it by Close.
func newRaftPipeline(t *raftTransport, to raft.ServerID, inner raft.AppendPipeline) *raftPipeline {
	p := &raftPipeline{AppendPipeline: inner, t: t, to: to, answers: make(chan raft.AppendFuture), closed: make(chan struct{})}
	go p.relay()
	return p
}

// AppendEntries implements raft.AppendPipeline.
func (p *raftPipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if err := p.t.silenced(); err != nil {
		return nil, err
	}
	if missing := missingAfter(args); missing > mostMessagesBehind*uint64(len(args.Entries)) {
		return nil, fmt.Errorf("%s has fallen %d committed entries behind: raft brings it up outside the pipeline", p.to, missing)
	}
	return p.AppendPipeline.AppendEntries(args, resp)
}

// mostMessagesBehind is how many messages like the present one a follower may lack in a pipeline.
const mostMessagesBehind = 4

// missingAfter counts the committed entries that the follower of a replication message lacks even with those in the message.
func missingAfter(args *raft.AppendEntriesRequest) uint64 {
	if len(args.Entries) == 0 {
		return 0
	}
	if last := args.Entries[len(args.Entries)-1].Index; args.LeaderCommitIndex > last {
		return args.LeaderCommitIndex - last
	}
	return 0
}

// Consumer implements raft.AppendPipeline.
func (p *raftPipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close implements raft.AppendPipeline.
func (p *raftPipeline) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.AppendPipeline.Close()
}

// relay hands answers to raft and ends the pipeline after the first that raft's decoder stops at.
func (p *raftPipeline) relay() {
	inner := p.AppendPipeline.Consumer()
	for {
		var answer raft.AppendFuture
		select {
		case answer = <-inner:
		case <-p.closed:
			return
		}
		last := answer.Error() != nil || !answer.Response().Success || answer.Response().Term > answer.Request().Term
		if !last {
			p.t.contacts.answered(p.to, answer.Request().Term, answer.Start())
		}
		select {
		case p.answers <- answer:
		case <-p.closed:
			return
		}
		if last {
			_ = p.AppendPipeline.Close() // frees the sender; raft closes it again, which does nothing
			return
		}
	}
}
