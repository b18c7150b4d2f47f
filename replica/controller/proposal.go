package controller

import (
	"context"
	"sync/atomic"

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
	c        *Controller
	command  store.Command
	size     int
	reserved uint64 // see reserve; the proposer's once proposed
	state    atomic.Int32
	done     chan struct{} // gets one token once applied or err is set
	applied  Applied
	err      *Error
}

const (
	proposalQueued int32 = iota
	proposalCancelled
	proposalProposed
)

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
	if ctx.Done() == nil { // a plain receive is cheaper than a choice
		<-p.done
		return p.ended()
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if p.state.CompareAndSwap(proposalQueued, proposalCancelled) {
			p.c.release(p)
			return Applied{}, newError(wire.CodeOverloaded, "the request's time was up before the write was proposed: try again, or give it more time")
		}
		select { // it may have ended at the same moment
		case <-p.done:
		default:
			return Applied{}, newError(wire.CodeUnknownOutcome, "the request's time was up while the write was under way: read the key, or repeat the write under its Idempotency-Key")
		}
	}
	return p.ended()
}

// ended takes the answer out of a proposal that has one.
func (p *Proposal) ended() (Applied, error) {
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
	p.c.release(p)
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
	return c.reserve(p)
}
