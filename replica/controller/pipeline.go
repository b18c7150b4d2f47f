package controller

import (
	"sync"

	"github.com/hashicorp/raft"
)

// raftPipeline is raft's pipeline of replication messages to one follower, with two guards:
//   - G7: while the disk is not ok nothing goes out.
//   - G12: a refused or failed message ends the pipeline. Raft's decoder stops reading answers at the first that is not a
//     success, while its sender may go on: the sender then waits for room that nobody makes any more, for ever, and the
//     follower gets nothing from this leader again. A follower whose disk is full for a moment is enough. Closing the
//     pipeline gives the sender an error instead, and raft goes on message by message.
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
	return p.AppendPipeline.AppendEntries(args, resp)
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
