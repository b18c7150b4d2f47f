package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// ReadOptions says how fresh a read must be.
type ReadOptions struct {
	Consistency wire.Consistency // "" is linearizable
	MaxStale    time.Duration    // bounded only
	MinIndex    uint64           // session: wait until this replica has applied that much; beyond all that was committed: session-unknown
	// Patience bounds the whole read: the wait for a majority and the wait for what was committed to be applied here. 0:
	// only the context does.
	Patience time.Duration
}

// ReadReceipt says what a read was really served from.
type ReadReceipt struct {
	Node        string
	Index, Term uint64
	Consistency string // the header's value: "linearizable; leader", ...
}

// Read returns a view that is fresh enough, for any number of keys. It takes no lock and waits for no writer: only for a
// majority's answer (linearizable), and for this replica to have applied what was committed when the read began.
func (c *Controller) Read(ctx context.Context, o ReadOptions) (*store.View, ReadReceipt, error) {
	if failed := c.failed(); failed != nil {
		return nil, ReadReceipt{}, c.failedError(failed)
	}
	consistency := o.Consistency
	if consistency != wire.Stale && consistency != wire.Bounded {
		consistency = wire.Linearizable
	}
	if consistency != wire.Linearizable && !c.caughtUp.Load() {
		return nil, ReadReceipt{}, newError(wire.CodeNotReady, "node "+c.cfg.Node+" has not caught up since its start: ask another node")
	}
	var end time.Time
	if o.Patience > 0 {
		end = time.Now().Add(o.Patience)
	}
	if consistency == wire.Stale || (consistency == wire.Bounded && c.freshWithin(o.MaxStale)) {
		v, err := c.waitSession(ctx, end, o.MinIndex)
		if err != nil {
			return nil, ReadReceipt{}, err
		}
		return c.receipt(v, 0, consistency)
	}
	point, err := c.readPoint(ctx, end)
	if err != nil {
		return nil, ReadReceipt{}, err
	}
	if o.MinIndex > point.index {
		return nil, ReadReceipt{}, c.sessionUnknown(o.MinIndex, point.index)
	}
	v, err := c.waitIndex(ctx, end, point.index)
	if err != nil {
		return nil, ReadReceipt{}, err
	}
	c.noteFresh(point.started)
	return c.receipt(v, point.term, consistency)
}

// receipt wraps up a read.
func (c *Controller) receipt(v *store.View, term uint64, consistency wire.Consistency) (*store.View, ReadReceipt, error) {
	if failed := c.failed(); failed != nil { // while the read waited
		return nil, ReadReceipt{}, c.failedError(failed)
	}
	r := c.raft()
	if term == 0 {
		term = v.Term()
	}
	served := consistencyServed(consistency, r != nil && r.State() == raft.Leader)
	return v, ReadReceipt{Node: c.cfg.Node, Index: v.Index(), Term: term, Consistency: served}, nil
}

// consistencyServed is the header's value. The most frequent ones are constants.
func consistencyServed(consistency wire.Consistency, leader bool) string {
	switch {
	case leader && consistency == wire.Linearizable:
		return string(wire.Linearizable) + "; leader"
	case leader:
		return string(consistency) + "; leader"
	case consistency == wire.Linearizable:
		return string(wire.Linearizable) + "; follower"
	}
	return string(consistency) + "; follower"
}

// readPoint joins a round, at the leader directly, else by way of the leader. It waits until end at most; zero: ctx only.
func (c *Controller) readPoint(ctx context.Context, end time.Time) (readPoint, *Error) {
	rounds := c.followerReads
	if r := c.raft(); r != nil && r.State() == raft.Leader {
		rounds = c.leaderReads
		// The usual read needs no timer: two rounds, the one under way and its own, take two confirm timeouts at most. One
		// whose client has gone away stays that long.
		if _, limited := ctx.Deadline(); !limited && !end.IsZero() && time.Until(end) >= 2*c.cfg.Tuning.ConfirmTimeout {
			return rounds.settle()
		}
	}
	ctx, cancel := until(ctx, end)
	defer cancel()
	return rounds.wait(ctx)
}

// until is ctx with an end; zero: as it is.
func until(ctx context.Context, end time.Time) (context.Context, context.CancelFunc) {
	if end.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end)
}

// sessionUnknown refuses a mark that the read point proves false: the round began after the request came, so all that any
// reply can have told of lies at or below its index.
func (c *Controller) sessionUnknown(mark, committed uint64) *Error {
	return newError(wire.CodeSessionUnknown, fmt.Sprintf(
		"Kvorum-Session says that index %d of shard %s was seen, but it goes only to %d: the token is of other data (was it wiped or restored?), or was changed; leave it out and start a new one", mark, c.shardText, committed))
}

// waitSession is waitIndex for a session's mark, which need not be true. Only a mark beyond this replica's view costs a
// round; the view is waited for at the same time, so that a lack of leader holds nobody up who need not wait for one.
func (c *Controller) waitSession(ctx context.Context, end time.Time, mark uint64) (*store.View, *Error) {
	if v := c.View(); v.Index() >= mark {
		return v, nil
	}
	ctx, stop := until(ctx, end)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with the round or ctx
		if point, err := c.readPoint(ctx, time.Time{}); err == nil && mark > point.index {
			cancel(c.sessionUnknown(mark, point.index))
		}
	}()
	v, err := c.waitIndex(ctx, time.Time{}, mark)
	if refusal := (*Error)(nil); err != nil && errors.As(context.Cause(ctx), &refusal) {
		return nil, refusal
	}
	return v, err
}

// waitIndex returns a view that has applied index, by end at the latest; zero: ctx only. Index and data are of one view
// (guard G4).
func (c *Controller) waitIndex(ctx context.Context, end time.Time, index uint64) (*store.View, *Error) {
	if v := c.View(); v.Index() >= index {
		return v, nil
	}
	ctx, cancel := until(ctx, end)
	defer cancel()
	v, err := c.WaitView(ctx, func(v *store.View) bool { return v.Index() >= index })
	if err != nil {
		return nil, newError(wire.CodeReadTimeout, "node "+c.cfg.Node+" has not applied what was committed when the read began: try again")
	}
	return v, nil
}

// View returns what this replica has applied.
func (c *Controller) View() *store.View { return c.fsm.machine.View() }

// WaitView returns the first published view for which f holds, from the present one on. It fails when ctx or the
// controller ends.
func (c *Controller) WaitView(ctx context.Context, f func(*store.View) bool) (*store.View, error) {
	if v := c.View(); f(v) {
		return v, nil
	}
	for {
		changed := c.fsm.changed.wait()
		if v := c.View(); f(v) {
			return v, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.closed:
			return nil, errClosing
		}
	}
}

// WaitLeader waits until an entry of a later term than after has been applied here, and, where this node takes itself for the
// leader, until it may answer as one. It returns who leads as far as this node knows, and the term of the last applied entry.
func (c *Controller) WaitLeader(ctx context.Context, after uint64) (leader string, term uint64, err error) {
	view, err := c.WaitView(ctx, func(v *store.View) bool {
		if v.Term() <= after {
			return false
		}
		leader = c.Leader()
		return leader != "" && (leader != c.cfg.Node || c.Leading())
	})
	if err != nil {
		return "", 0, err
	}
	return leader, view.Term(), nil
}

// freshWithin reports whether a round that began within the bound has been applied here: the data is at most that old.
// Only this process's monotonic clock is compared with itself, so skew between nodes does not matter.
func (c *Controller) freshWithin(bound time.Duration) bool {
	at := c.freshAt.Load()
	return at != 0 && time.Since(c.started)-time.Duration(at) <= bound
}

func (c *Controller) noteFresh(started time.Time) {
	at := int64(started.Sub(c.started))
	for {
		old := c.freshAt.Load()
		if old >= at || c.freshAt.CompareAndSwap(old, at) {
			return
		}
	}
}

func (c *Controller) failedError(err error) *Error {
	return newError(wire.CodeNotReady, "node "+c.cfg.Node+" has failed: "+err.Error())
}
