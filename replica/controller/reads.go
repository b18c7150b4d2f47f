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
	if err := c.failed(); err != nil {
		return nil, ReadReceipt{}, c.failedError(err)
	}
	switch o.Consistency {
	case wire.Stale, wire.Bounded:
		if !c.caughtUp.Load() {
			return nil, ReadReceipt{}, newError(wire.CodeNotReady, "node "+c.cfg.Node+" has not caught up since its start: ask another node")
		}
		if o.Consistency == wire.Stale || c.freshWithin(o.MaxStale) {
			v, err := c.waitSession(ctx, o.MinIndex)
			return c.receipt(v, 0, string(o.Consistency), err)
		}
		point, err := c.readPoint(ctx)
		if err != nil {
			return nil, ReadReceipt{}, err
		}
		v, err := c.waitPoint(ctx, point, o.MinIndex)
		return c.receipt(v, point.term, string(wire.Bounded), err)
	default:
		point, err := c.readPoint(ctx)
		if err != nil {
			return nil, ReadReceipt{}, err
		}
		v, err := c.waitPoint(ctx, point, o.MinIndex)
		return c.receipt(v, point.term, string(wire.Linearizable), err)
	}
}

// receipt wraps up a read. A nil *Error must not become a non-nil error.
func (c *Controller) receipt(v *store.View, term uint64, consistency string, err *Error) (*store.View, ReadReceipt, error) {
	if err != nil {
		return nil, ReadReceipt{}, err
	}
	if failed := c.failed(); failed != nil { // while the read waited
		return nil, ReadReceipt{}, c.failedError(failed)
	}
	role := "; follower"
	if r := c.raft(); r != nil && r.State() == raft.Leader {
		role = "; leader"
	}
	if term == 0 {
		term = v.Term()
	}
	return v, ReadReceipt{Node: c.cfg.Node, Index: v.Index(), Term: term, Consistency: consistency + role}, nil
}

// readPoint joins a round, at the leader directly, else by way of the leader.
func (c *Controller) readPoint(ctx context.Context) (readPoint, *Error) {
	if r := c.raft(); r != nil && r.State() == raft.Leader {
		return c.leaderReads.wait(ctx)
	}
	return c.followerReads.wait(ctx)
}

func (c *Controller) waitPoint(ctx context.Context, point readPoint, minIndex uint64) (*store.View, *Error) {
	if minIndex > point.index {
		return nil, c.sessionUnknown(minIndex, point.index)
	}
	v, err := c.waitIndex(ctx, point.index)
	if err == nil {
		c.noteFresh(point.started)
	}
	return v, err
}

// sessionUnknown refuses a mark that the read point proves false: the round began after the request came, so all that any
// reply can have told of lies at or below its index.
func (c *Controller) sessionUnknown(mark, committed uint64) *Error {
	return newError(wire.CodeSessionUnknown, fmt.Sprintf(
		"Kvorum-Session says that index %d of shard %s was seen, but it goes only to %d: the token is of other data (was it wiped or restored?), or was changed; leave it out and start a new one", mark, c.shardText, committed))
}

// waitSession is waitIndex for a session's mark, which need not be true. Only a mark beyond this replica's view costs a
// round; the view is waited for at the same time, so that a lack of leader holds nobody up who need not wait for one.
func (c *Controller) waitSession(ctx context.Context, mark uint64) (*store.View, *Error) {
	if v := c.View(); v.Index() >= mark {
		return v, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with the round or ctx
		if point, err := c.readPoint(ctx); err == nil && mark > point.index {
			cancel(c.sessionUnknown(mark, point.index))
		}
	}()
	v, err := c.waitIndex(ctx, mark)
	if refusal := (*Error)(nil); err != nil && errors.As(context.Cause(ctx), &refusal) {
		return nil, refusal
	}
	return v, err
}

// waitIndex returns a view that has applied index. Index and data are of one view (guard G4).
func (c *Controller) waitIndex(ctx context.Context, index uint64) (*store.View, *Error) {
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
