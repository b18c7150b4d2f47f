package shardrouter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// attempt carries a request out at one replica. A nil error means that it was answered there. Other errors are
// *replica.Error, when the replica said no, or *linkError, when nothing came back.
type attempt func(ctx context.Context, to target) error

// waiter bounds how long a request waits for its shard, over all its pauses.
type waiter struct {
	limit   time.Duration
	until   time.Time // zero: has not waited yet
	next    time.Duration
	started func() // called once, when the wait begins
	seen    bool   // some replica has answered meanwhile, if only that it does not lead
}

func (r *Router) newWaiter() *waiter {
	return &waiter{limit: r.cfg.LeaderWait, next: firstPause, started: r.metrics.waits.Inc}
}

var errWaited = errors.New("waited long enough")

// pause waits a little, each time longer, and no longer than until news comes. It fails when the waiter's or the context's
// time is up.
func (w *waiter) pause(ctx context.Context, news <-chan struct{}) error {
	now := time.Now()
	if w.until.IsZero() {
		w.until = now.Add(w.limit)
		w.started()
	}
	left := w.until.Sub(now)
	if left <= 0 {
		return errWaited
	}
	timer := time.NewTimer(min(w.next, left))
	defer timer.Stop()
	w.next = min(2*w.next, lastPause)
	select {
	case <-timer.C:
		return nil
	case <-news:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begun reports whether it has waited at all.
func (w *waiter) begun() bool { return !w.until.IsZero() }

// waited is how long it has waited so far.
func (w *waiter) waited() time.Duration {
	if !w.begun() {
		return 0
	}
	return w.limit - time.Until(w.until)
}

// half reports whether half its time is up.
func (w *waiter) half() bool { return w.begun() && time.Until(w.until) < w.limit/2 }

// write carries a write out at its shard's leader: again after proof that an attempt had no effect, and never else. The
// request is forwarded at most wire.MaxHops times to nodes that refuse it.
func (r *Router) write(ctx context.Context, shard uint32, try attempt) error {
	wait := r.newWaiter()
	refused := refusers{}
	hops := 0
	var last error
	for {
		to, term, err := r.leaderTarget(ctx, shard, refused, wait)
		if err != nil {
			return r.noLeader(shard, last, wait)
		}
		last = r.tryLeader(ctx, shard, to, try)
		r.quiet.note(to.node, last)
		if last == nil {
			r.leaders.learn(shard, to.node)
			return nil
		}
		if !unharmed(last) {
			if link := (*linkError)(nil); errors.As(last, &link) {
				r.leaders.forget(shard, to.node) // it may be paused or cut off: the next write asks who leads
			}
			return final(last)
		}
		r.noteRefusal(shard, to, last)
		_, again := refused[to.node]
		refused[to.node] = term
		if refusal := (*replica.Error)(nil); errors.As(last, &refusal) && !to.local {
			if hops++; hops == wire.MaxHops {
				return r.givenUp(shard, last)
			}
		}
		// A node that goes on refusing may do so at once and at no hop, as a local leader with a stalled disk does: without the
		// pause this would spin, and nothing else would end it when the waiting is over.
		if again && wait.pause(ctx, r.leaderNews(shard)) != nil {
			return r.givenUp(shard, last)
		}
		if ctx.Err() != nil {
			return r.givenUp(shard, last)
		}
	}
}

// doubtAfter is how long a leader may take for a write before others ask who leads: it may have been cut off or stopped,
// and another elected. The write itself stays where it is: it can't be taken back.
const doubtAfter = time.Second

func (r *Router) tryLeader(ctx context.Context, shard uint32, to target, try attempt) error {
	doubt := time.AfterFunc(doubtAfter, func() { r.leaders.forget(shard, to.node) })
	defer doubt.Stop()
	return try(ctx, to)
}

// read carries a read out at any replica that answers, asking round after round until the waiter's time is up.
func (r *Router) read(ctx context.Context, shard uint32, spread bool, try attempt) error {
	return r.readAround(ctx, shard, spread, false, try)
}

// readAround is read, for one that the local replica may have failed to answer already.
func (r *Router) readAround(ctx context.Context, shard uint32, spread, localFailed bool, try attempt) error {
	wait := r.newWaiter()
	for round := 0; ; round++ {
		reached, last := r.readRound(ctx, shard, spread, localFailed && round == 0, try)
		if last == nil && reached {
			return nil
		}
		if last != nil && !elsewhere(last) {
			return final(last)
		}
		if !reached {
			r.askSeeds(ctx)
		}
		if err := wait.pause(ctx, nil); err != nil {
			return r.givenUp(shard, last)
		}
	}
}

// readRound asks a shard's replicas one after the other until one answers: then the error is nil. Else it is the error that
// says most: that of a replica which was reached, if any was.
func (r *Router) readRound(ctx context.Context, shard uint32, spread, skipLocal bool, try attempt) (reached bool, last error) {
	for _, to := range r.readOrder(shard, spread) {
		if to.local && skipLocal {
			continue
		}
		err := try(ctx, to)
		r.quiet.note(to.node, err)
		if err == nil || !elsewhere(err) {
			return true, err
		}
		if link := (*linkError)(nil); !errors.As(err, &link) || link.sent {
			reached, last = true, err
		} else if last == nil {
			last = err
		}
		r.noteRefusal(shard, to, err)
		if ctx.Err() != nil {
			break
		}
	}
	return reached, last
}

// noteRefusal learns from a failed attempt who leads, or does not, and that the table may be out of date.
func (r *Router) noteRefusal(shard uint32, to target, err error) {
	r.leaders.forget(shard, to.node)
	if refusal := (*replica.Error)(nil); errors.As(err, &refusal) {
		r.leaders.learn(shard, refusal.Leader)
		if refusal.Code == wire.CodeMisdirected {
			r.suspect()
		}
	}
}

// busyElsewhere are the refusals after which another replica, or the same a little later, may do better. All of them say
// not-applied.
var busyElsewhere = []wire.Code{wire.CodeMisdirected, wire.CodeNoLeader, wire.CodeNotReady, wire.CodeDraining, wire.CodeDiskStalled}

// unharmed reports whether an error proves that a write had no effect and another replica may take it.
func unharmed(err error) bool {
	var link *linkError
	if errors.As(err, &link) {
		return !link.sent
	}
	return slices.Contains(busyElsewhere, replica.AsError(err).Code)
}

// elsewhere reports whether a read may do better at another replica.
func elsewhere(err error) bool {
	var link *linkError
	if errors.As(err, &link) {
		return true
	}
	code := replica.AsError(err).Code
	return slices.Contains(busyElsewhere, code) || code == wire.CodeReadTimeout || code == wire.CodeInternal
}

// final turns the error of a last attempt into what the client gets.
func final(err error) error {
	var link *linkError
	if !errors.As(err, &link) {
		return err
	}
	if !link.sent {
		return replica.Failure(wire.CodeUnreachable, "%v: try again", link)
	}
	return replica.Failure(wire.CodeUnknownOutcome, "%v: the write may or may not take effect; read the key, or repeat the write under its Idempotency-Key", link)
}

// givenUp is the answer when time or hops are used up. Clients never see 421.
func (r *Router) givenUp(shard uint32, last error) error {
	if last == nil {
		return replica.Failure(wire.CodeNoLeader, "%s", r.whyNoLeader(shard))
	}
	if link := (*linkError)(nil); errors.As(last, &link) {
		return replica.Failure(wire.CodeUnreachable, "no replica of shard %d answered (last: %v): try again", shard, link)
	}
	refusal := replica.AsError(last)
	if refusal.Code == wire.CodeMisdirected {
		return replica.Failure(wire.CodeNoLeader, "shard %d has no leader at the moment (last: %s): try again", shard, refusal.Detail)
	}
	return refusal
}

// noLeader is givenUp for a write that has waited for a leader. That an old leader could not be reached does not say that
// nobody could.
func (r *Router) noLeader(shard uint32, last error, wait *waiter) error {
	if link := (*linkError)(nil); errors.As(last, &link) && wait.seen {
		return replica.Failure(wire.CodeNoLeader, "shard %d has had no leader in the %v that this request waited (the last one known: %v): try again", shard, wait.waited().Round(100*time.Millisecond), link)
	}
	return r.givenUp(shard, last)
}

// whyNoLeader says what this node knows of a shard that nobody leads.
func (r *Router) whyNoLeader(shard uint32) string {
	if r.isLocal(shard) {
		if reasons := r.local.Controller().NotReady(); len(reasons) > 0 {
			return fmt.Sprintf("no leader of shard %d is known; node %s is not ready: %s", shard, r.cfg.Self.Node, strings.Join(reasons, "; "))
		}
	}
	if len(r.now().members[shard]) == 0 {
		return fmt.Sprintf("shard %d has not registered yet: start its nodes, with --seeds that reach each other", shard)
	}
	return fmt.Sprintf("no leader of shard %d is known at the moment: try again", shard)
}
