package controller

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// readPoint is what one ReadIndex round established: at some moment after started, the node that led term had committed up
// to index, and nobody had been elected in a later term.
type readPoint struct {
	term, index uint64
	started     time.Time // monotonic, taken before the round began
}

// readRounds lets many readers share one round. A round is closed to new readers before it reads the commit index, so its
// result is younger than every reader in it. At most limit rounds run at once; late readers share the next.
type readRounds struct {
	limit int
	round func(ctx context.Context) (readPoint, *Error)
	ctx   context.Context // ends with the controller
	note  func(readers int)

	mu struct {
		sync.Mutex
		open      *sharedRound // takes readers; nil: nobody waits for a round to start
		gathering bool         // a runner is about to close the open round
		running   int
	}
}

// sharedRound is one round and all who wait for it.
type sharedRound struct {
	readers int           // under mu, until the round is closed
	done    chan struct{} // closed when the result is there
	point   readPoint
	err     *Error
}

// gatherYields bounds how often a round lets readers that are about to come join it.
const gatherYields = 4

// wait waits for a round, at most as long as ctx.
func (b *readRounds) wait(ctx context.Context) (readPoint, *Error) {
	mine := b.join()
	select {
	case <-mine.done:
		return mine.point, mine.err
	case <-ctx.Done():
		return readPoint{}, newError(wire.CodeReadTimeout, "the read was not confirmed by a majority in time: try again")
	}
}

// settle waits for a round that is sure to end in time: the one under way does, and so does the reader's own after it. It
// is cheaper than wait, for it looks at nothing else.
func (b *readRounds) settle() (readPoint, *Error) {
	mine := b.join()
	<-mine.done
	return mine.point, mine.err
}

// join adds a reader to the round that starts next, and sees to it that it does: by a new runner, or by one under way.
func (b *readRounds) join() *sharedRound {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.open == nil {
		b.mu.open = &sharedRound{done: make(chan struct{})}
		if b.mu.running < b.limit {
			b.mu.running++
			go b.run()
		}
	}
	b.mu.open.readers++
	return b.mu.open
}

// run does rounds as long as readers wait. It ends by itself; each round is bounded by ConfirmTimeout.
func (b *readRounds) run() {
	for r := b.next(); r != nil; r = b.next() {
		b.note(r.readers)
		r.point, r.err = b.round(b.ctx)
		close(r.done)
	}
}

// next closes the open round to new readers and returns it, or ends the runner with nil. Before, it lets all goroutines go
// on that can, as long as that brings readers: a round costs several messages whatever their number, and under load most
// readers are about to come. It takes no time when nobody else has work to do.
func (b *readRounds) next() *sharedRound {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.open == nil || b.mu.gathering {
		b.mu.running--
		return nil
	}
	b.mu.gathering = true
	for yields, seen := 0, 0; yields < gatherYields && seen < b.mu.open.readers; yields++ {
		seen = b.mu.open.readers
		b.mu.Unlock()
		runtime.Gosched()
		b.mu.Lock()
	}
	r := b.mu.open
	b.mu.open, b.mu.gathering = nil, false
	return r
}

// leaderRound is ReadIndex on the leader (Ongaro's dissertation 6.4; argument in ARCHITECTURE.md). It replaces raft's
// VerifyLeader (guard G2), which takes acknowledgements that were sent before the read, and counts non-voters.
func (c *Controller) leaderRound(ctx context.Context) (readPoint, *Error) {
	r := c.raft()
	if r == nil {
		return readPoint{}, newError(wire.CodeNotReady, c.notFormedDetail())
	}
	started := time.Now()
	term := r.CurrentTerm()
	if r.State() != raft.Leader {
		return readPoint{}, c.misdirected()
	}
	if c.readyTerm.Load() != term {
		return readPoint{}, newError(wire.CodeNoLeader, "node "+c.cfg.Node+" has just been elected and has not applied an entry of its term yet: try again")
	}
	index := r.CommitIndex()
	if err := c.confirm(ctx, r, term); err != nil {
		return readPoint{}, err
	}
	return readPoint{term: term, index: index, started: started}, nil
}

// followerRound asks the leader for a read point.
func (c *Controller) followerRound(ctx context.Context) (readPoint, *Error) {
	started := time.Now()
	r := c.raft()
	if r == nil {
		return readPoint{}, newError(wire.CodeNotReady, c.notFormedDetail())
	}
	_, id := r.LeaderWithID()
	leader := string(id)
	if leader == "" {
		return readPoint{}, newError(wire.CodeNoLeader, "shard "+c.shardText+" has no leader at the moment: try again")
	}
	if leader == c.cfg.Node {
		return c.leaderReads.wait(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Tuning.ConfirmTimeout)
	defer cancel()
	reply, ok := c.controlPeer(leader).call(ctx, controlFrame{kind: controlReadIndex})
	if !ok || reply.a != 1 {
		return readPoint{}, newError(wire.CodeNoLeader, "the leader of shard "+c.shardText+" ("+leader+") did not confirm the read: try again")
	}
	return readPoint{term: reply.b, index: reply.c, started: started}, nil
}
