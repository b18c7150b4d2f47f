package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Applied is what became of a proposal that was applied.
type Applied struct {
	Result store.Result
	Index  uint64
	Term   uint64
	Node   string
}

// Proposal is one write on its way. It is in exactly one of four states, and only the proposer moves it out of queued,
// except that its waiter may cancel it there: that is the proof behind a not-applied after a deadline.
type Proposal struct {
	c       *Controller
	command store.Command
	size    int
	state   atomic.Int32
	done    chan struct{} // gets one token once applied or err is set
	applied Applied
	err     *Error
}

const (
	proposalQueued int32 = iota
	proposalCancelled
	proposalProposed
)

// proposer packs waiting writes into few log entries: the largest lever on throughput that was measured. Order is kept:
// proposals started one after the other by one goroutine are applied in that order.
type proposer struct {
	c *Controller

	mu struct {
		sync.Mutex
		queue    []*Proposal
		bytes    int
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
	t := b.c.cfg.Tuning
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

// Start queues a write and returns at once; Wait, to be called once, tells what became of it. A refusal (overload, quota, not the leader) is
// told by Wait too.
func (c *Controller) Start(command store.Command) *Proposal {
	p, _ := c.proposer.pool.Get().(*Proposal)
	if p == nil {
		p = &Proposal{c: c, done: make(chan struct{}, 1)}
	}
	p.command, p.size = command, command.EncodedSize()
	if err := c.admitWrite(p); err != nil {
		p.finish(Applied{}, err)
		return p
	}
	c.proposer.enqueue(p)
	return p
}

// Propose is Start and Wait.
func (c *Controller) Propose(ctx context.Context, command store.Command) (Applied, error) {
	return c.Start(command).Wait(ctx)
}

// Wait returns what became of the write, or, when ctx ends first, not-applied if the write had not been proposed yet (it
// never will be then) and unknown otherwise.
func (p *Proposal) Wait(ctx context.Context) (Applied, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		if p.state.CompareAndSwap(proposalQueued, proposalCancelled) {
			return Applied{}, newError(wire.CodeOverloaded, "the request's time was up before the write was proposed: try again, or give it more time")
		}
		select { // it may have ended at the same moment
		case <-p.done:
		default:
			return Applied{}, newError(wire.CodeUnknownOutcome, "the request's time was up while the write was under way: read the key, or repeat the write under its Idempotency-Key")
		}
	}
	applied, err := p.applied, p.err
	p.recycle()
	if err != nil {
		return Applied{}, err
	}
	return applied, nil
}

// recycle gives an ended proposal back. One that was given up by its waiter is never used again: the proposer may hold it.
func (p *Proposal) recycle() {
	p.command, p.applied, p.err = store.Command{}, Applied{}, nil
	p.state.Store(proposalQueued)
	p.c.proposer.pool.Put(p)
}

func (p *Proposal) finish(a Applied, err *Error) {
	p.applied, p.err = a, err
	p.done <- struct{}{}
}

// admitWrite refuses what could only fail later: cheaper for everyone, and a proof that nothing was done.
func (c *Controller) admitWrite(p *Proposal) *Error {
	if c.closing.Load() {
		return newError(wire.CodeDraining, "node "+c.cfg.Node+" is shutting down: ask another node")
	}
	r := c.raft()
	if r == nil {
		return newError(wire.CodeNotReady, c.notFormedDetail())
	}
	disk := c.disk.state()
	alone := len(c.cfg.Members) == 1 // then nobody else takes over, and the client should hear why
	if r.State() != raft.Leader && !(alone && disk == diskFull) {
		return c.misdirected()
	}
	switch disk {
	case diskFull:
		return newError(wire.CodeDiskFull, "the disk of node "+c.cfg.Node+" is full: free space; it takes writes again by itself")
	case diskStalled:
		return newError(wire.CodeDiskStalled, "the disk of node "+c.cfg.Node+" has not answered for "+c.cfg.Tuning.DiskStallTimeout.String()+": another node takes over")
	}
	if p.command.Kind == store.CommandPut && c.memoryUsed()+uint64(p.size) > c.cfg.MemoryQuota {
		return newError(wire.CodeMemoryQuota, "the memory quota is used up: delete keys, raise --memory-quota, or add a shard; deletes and reads go on")
	}
	return nil
}

func (b *proposer) enqueue(p *Proposal) {
	t := b.c.cfg.Tuning
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
	t := b.c.cfg.Tuning
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.mayPropose() {
		return nil
	}
	var batch []*Proposal
	size, taken := 0, 0
	for _, p := range b.mu.queue {
		if len(batch) == t.BatchOperations || (len(batch) > 0 && size+p.size > t.BatchBytes) {
			break
		}
		taken++
		b.mu.bytes -= p.size
		if p.state.CompareAndSwap(proposalQueued, proposalProposed) {
			batch = append(batch, p)
			size += p.size
		}
	}
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
	b.mu.queue, b.mu.closed, b.mu.bytes = nil, true, 0
	b.mu.Unlock()
	for _, p := range queue {
		if p.state.CompareAndSwap(proposalQueued, proposalCancelled) {
			p.finish(Applied{}, newError(wire.CodeDraining, "node "+b.c.cfg.Node+" is shutting down: ask another node"))
		}
	}
}

// awaitUnlessStalled is await for writes: once the disk is known to be stalled their outcome is as unknown as it will be at
// the deadline, and the client can go on.
func (c *Controller) awaitUnlessStalled(future raft.Future) error {
	return c.awaitOr(future, c.cfg.Tuning.ProposalTimeout, c.stalled.wait())
}

// await waits for a raft future with a deadline (guard G10: futures of a raft that shuts down may never be answered).
func (c *Controller) await(future raft.Future, timeout time.Duration) error {
	return c.awaitOr(future, timeout, nil)
}

func (c *Controller) awaitOr(future raft.Future, timeout time.Duration, giveUp <-chan struct{}) error {
	answered := make(chan error, 1)
	go func() { answered <- future.Error() }()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case err := <-answered:
		return err
	case <-timer.C:
		return errDeadline
	case <-giveUp:
		return errStalled
	case <-c.closed:
		return raft.ErrRaftShutdown
	}
}
