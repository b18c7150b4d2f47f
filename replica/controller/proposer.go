package controller

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// proposer packs waiting writes into few log entries: the largest lever on throughput that was measured. Order is kept:
// proposals started one after the other by one goroutine are applied in that order.
type proposer struct {
	c *Controller

	mu struct {
		sync.Mutex
		queue    []*Proposal
		bytes    int // of the queue
		inFlight int // entries proposed and not yet ended
		closed   bool
	}
	wake chan struct{} // has a token when run should look at the queue
	pool sync.Pool     // of *Proposal

	commands []store.Command // run's own, used again for each batch
}

func newProposer(c *Controller) *proposer {
	return &proposer{c: c, wake: make(chan struct{}, 1)}
}

// pipelineDepth is how many entries may be in flight without being full: one being written by the leader, one by the
// followers. More small entries would only make smaller ones of those that follow.
const pipelineDepth = 2

// mayPropose reports whether the next entry is due. The caller holds mu.
func (b *proposer) mayPropose() bool {
	t := &b.c.cfg.Tuning
	switch {
	case len(b.mu.queue) == 0 || b.mu.inFlight >= t.BatchesInFlight:
		return false
	case b.mu.inFlight < pipelineDepth:
		return true
	}
	return len(b.mu.queue) >= t.BatchOperations || b.mu.bytes >= t.BatchBytes
}

// signal wakes run if an entry is due. The caller holds mu.
func (b *proposer) signal() {
	if b.mayPropose() {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// landed ends an entry's time in flight.
func (b *proposer) landed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.inFlight--
	b.signal()
}

func (b *proposer) enqueue(p *Proposal) {
	t := &b.c.cfg.Tuning
	b.mu.Lock()
	switch {
	case b.mu.closed:
		b.mu.Unlock()
		p.finish(Applied{}, newError(wire.CodeDraining, "node "+b.c.cfg.Node+" is shutting down: ask another node"))
		return
	case len(b.mu.queue) >= t.QueueOperations, b.mu.bytes+p.size > t.QueueBytes && len(b.mu.queue) > 0:
		b.mu.Unlock()
		b.c.metrics.refused.Inc()
		p.finish(Applied{}, newError(wire.CodeOverloaded, "too many writes are waiting: slow down and try again"))
		return
	}
	b.mu.queue = append(b.mu.queue, p)
	b.mu.bytes += p.size
	b.signal()
	b.mu.Unlock()
}

func (b *proposer) queued() (operations, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mu.queue), b.mu.bytes
}

func (b *proposer) inFlight() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.inFlight
}

// take removes the next batch from the queue: what fits into one entry, without what was cancelled meanwhile. It is nil when
// none is due; else it is in flight until landed.
func (b *proposer) take() []*Proposal {
	t := &b.c.cfg.Tuning
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.mayPropose() {
		return nil
	}
	batch := make([]*Proposal, 0, min(len(b.mu.queue), t.BatchOperations))
	size, taken, freed := 0, 0, 0
	for _, p := range b.mu.queue {
		if len(batch) == t.BatchOperations || (len(batch) > 0 && size+p.size > t.BatchBytes) {
			break
		}
		taken++
		freed += p.size
		if p.state.CompareAndSwap(proposalQueued, proposalProposed) {
			batch = append(batch, p)
			size += p.size
		}
	}
	b.mu.bytes -= freed
	rest := copy(b.mu.queue, b.mu.queue[taken:])
	clear(b.mu.queue[rest:])
	b.mu.queue = b.mu.queue[:rest]
	if len(batch) > 0 {
		b.mu.inFlight++
	} else {
		b.signal() // all of them were cancelled: look at the rest
	}
	return batch
}

// run proposes until stop is closed, then refuses what still waits. Owner: Controller; joined by Close.
func (b *proposer) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			b.close()
			return
		case <-b.wake:
		}
		for batch := b.take(); len(batch) > 0; batch = b.take() {
			b.propose(batch)
		}
	}
}

func (b *proposer) propose(batch []*Proposal) {
	r := b.c.raft()
	if r == nil {
		b.landed()
		b.fail(batch, newError(wire.CodeNotReady, b.c.notFormedDetail()))
		return
	}
	size := 64
	b.commands = b.commands[:0]
	for _, p := range batch {
		b.commands = append(b.commands, p.command)
		size += p.size
	}
	entry := store.AppendEntry(make([]byte, 0, size), store.Entry{Time: uint64(time.Now().UnixMilli()), Commands: b.commands})
	clear(b.commands) // don't keep the callers' values alive
	b.c.metrics.batchOperations.Observe(float64(len(batch)))
	b.c.metrics.batchBytes.Observe(float64(len(entry)))
	future := r.ApplyLog(raft.Log{Data: entry}, b.c.cfg.Tuning.ProposalTimeout)
	go b.await(future, batch)
}

// await ends a batch. Raft leaves some futures unanswered for ever, so it has a deadline (guard G10).
func (b *proposer) await(future raft.ApplyFuture, batch []*Proposal) {
	err := b.c.awaitUnlessStalled(future)
	b.c.noteApply(err)
	b.landed()
	if err != nil {
		b.fail(batch, b.c.proposalError(err))
		return
	}
	response, ok := future.Response().(applyResponse)
	if !ok || response.err != nil || len(response.results) != len(batch) {
		b.fail(batch, newError(wire.CodeUnknownOutcome, "the state machine stopped at this entry: see the node's log"))
		return
	}
	for i, p := range batch {
		p.finish(Applied{Result: response.results[i], Index: response.index, Term: response.term, Node: b.c.cfg.Node}, nil)
	}
}

func (b *proposer) fail(batch []*Proposal, err *Error) {
	for _, p := range batch {
		p.finish(Applied{}, err)
	}
}

// close refuses everything that was not proposed: a proof of not-applied.
func (b *proposer) close() {
	b.mu.Lock()
	queue := b.mu.queue
	b.mu.queue, b.mu.bytes, b.mu.closed = nil, 0, true
	b.mu.Unlock()
	for _, p := range queue {
		if p.state.CompareAndSwap(proposalQueued, proposalCancelled) {
			p.finish(Applied{}, newError(wire.CodeDraining, "node "+b.c.cfg.Node+" is shutting down: ask another node"))
		}
	}
}
