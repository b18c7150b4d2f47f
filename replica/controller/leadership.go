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

// startTerm makes a new leader fit to serve: it applies an entry of its own term (and, the first time ever, Init). Until
// then no read is answered: the commit index of a new leader may be behind what its predecessor acknowledged.
func (c *Controller) startTerm(r *raft.Raft) {
	term := r.CurrentTerm()
	if r.State() != raft.Leader || c.readyTerm.Load() == term {
		return
	}
	var commands []store.Command
	if _, ok := c.View().Identity(); !ok {
		commands = append(commands, store.Command{Kind: store.CommandInit, Identity: &store.Identity{
			Cluster: c.cfg.Cluster, Shard: store.Shard(c.cfg.Shard), ShardCount: c.cfg.ShardCount, SlotFunction: c.cfg.SlotFunction, IdempotencyBytes: c.cfg.IdempotencyBytes,
		}})
	}
	commands = append(commands, store.Command{Kind: store.CommandTermStart, Node: c.cfg.Node})
	entry := store.AppendEntry(nil, store.Entry{Time: uint64(time.Now().UnixMilli()), Commands: commands})
	future := r.ApplyLog(raft.Log{Data: entry}, c.cfg.Tuning.ElectionTimeout)
	err := c.await(future, c.cfg.Tuning.ProposalTimeout)
	c.noteApply(err)
	if err != nil {
		c.log.Debug("term start not applied", "term", term, "error", err)
		return
	}
	if response, ok := future.Response().(applyResponse); ok && response.err == nil {
		c.readyAt.Store(int64(time.Since(c.started)))
		c.readyTerm.Store(response.term)
		c.fsm.changed.fire() // some wait to hear that it leads, see WaitLeader
		c.log.Info("leads the shard", "term", response.term, "index", response.index)
	}
}

// Leader returns the node taken for the leader, "" if none is known.
func (c *Controller) Leader() string {
	if r := c.raft(); r != nil {
		_, id := r.LeaderWithID()
		return string(id)
	}
	return ""
}

// LeaderChanged returns a channel that is closed when this node next hears of another leader, or begins to lead itself. Look at Leader after calling it, then wait; and not for this alone: a change while raft is replaced is not told.
func (c *Controller) LeaderChanged() <-chan struct{} { return c.leaderChanged.wait() }

// observeLeader makes raft tell of new leaders. The filter itself is the observer: raft calls it from its main loop, after the
// change. That there is none is no news: raft tells it before it changes its state, so who looks then sees the old leader.
func (c *Controller) observeLeader(r *raft.Raft) {
	r.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if l, ok := o.Data.(raft.LeaderObservation); ok && l.LeaderID != "" {
			c.leaderChanged.fire()
		}
		return false
	}))
}

// Leading reports whether this node leads its shard and has applied an entry of its term.
func (c *Controller) Leading() bool {
	r := c.raft()
	return r != nil && r.State() == raft.Leader && c.readyTerm.Load() == r.CurrentTerm()
}

// ledFor is since when this node, if it leads, has applied an entry of its term; 0 if it does not lead, or has not.
func (c *Controller) ledFor() time.Duration {
	if !c.Leading() {
		return 0
	}
	return time.Since(c.started) - time.Duration(c.readyAt.Load())
}

// TransferLeadership hands leadership to a named voter, or, with to "", to the one that is fit and furthest. It returns
// when the other leads. It does nothing if to leads already.
func (c *Controller) TransferLeadership(ctx context.Context, to string) error {
	r := c.raft()
	if r == nil {
		return newError(wire.CodeNotReady, c.notFormedDetail())
	}
	if r.State() != raft.Leader {
		if to != "" && c.Leader() == to {
			return nil
		}
		return c.misdirected()
	}
	if to == c.cfg.Node {
		return nil
	}
	if to == "" {
		best, err := c.fittest(ctx, r, r.CurrentTerm())
		if err != nil {
			return err
		}
		to = best
	} else if !isVoter(r, to) {
		return newError(wire.CodeConflict, fmt.Sprintf("node %s is no voter of shard %s: name one of its members", to, c.shardText))
	} else if !c.isFit(ctx, to) {
		// Two transfers to a node that does not answer leave raft refusing all writes until it answers (hashicorp/raft#696).
		return newError(wire.CodeConflict, fmt.Sprintf("node %s is not up or not fit to lead: look at cluster status", to))
	}
	start := time.Now()
	err := c.await(r.LeadershipTransferToServer(raft.ServerID(to), raft.ServerAddress(to)), 3*c.cfg.Tuning.ElectionTimeout)
	if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		return newError(wire.CodeConflict, fmt.Sprintf("leadership could not be handed to %s (%v): try again", to, err))
	}
	if err != nil { // the other may have been told to take over
		return newError(wire.CodeUnknownOutcome, fmt.Sprintf("leadership may or may not go to %s (%v): look at cluster status", to, err))
	}
	if _, err := c.waitFor(ctx, func() bool { return c.Leader() == to }); err != nil {
		return newError(wire.CodeUnknownOutcome, fmt.Sprintf("node %s did not become leader in time, and still may: look at cluster status", to))
	}
	c.log.Info("handed over leadership", "to", to, "took", time.Since(start))
	return nil
}

// waitFor polls a condition that raft announces nowhere, at most until ctx ends.
func (c *Controller) waitFor(ctx context.Context, holds func() bool) (time.Duration, error) {
	start := time.Now()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return time.Since(start), ctx.Err()
		case <-c.closed:
			return time.Since(start), errClosing
		case <-ticker.C:
		}
	}
	return time.Since(start), nil
}

func isVoter(r *raft.Raft, node string) bool {
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if string(s.ID) == node && s.Suffrage == raft.Voter {
			return true
		}
	}
	return false
}

// isFit asks one member whether it could lead.
func (c *Controller) isFit(ctx context.Context, node string) bool {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Tuning.ConfirmTimeout)
	defer cancel()
	reply, ok := c.controlPeer(node).call(ctx, controlFrame{kind: controlStatus})
	return ok && reply.a == 1
}

// fittest asks all voters and returns, of those that are fit and of this term, the one with the longest log; of those that have
// answered, if ctx or ConfirmTimeout ends first. If one is of a later term there is none: this leader is the past.
func (c *Controller) fittest(ctx context.Context, r *raft.Raft, term uint64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Tuning.ConfirmTimeout)
	defer cancel()
	type answer struct {
		node  string
		reply controlFrame
		ok    bool
	}
	var nodes []string
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter && string(s.ID) != c.cfg.Node {
			nodes = append(nodes, string(s.ID))
		}
	}
	answers := make(chan answer, len(nodes))
	for _, node := range nodes {
		c.controlPeer(node).send(controlFrame{kind: controlStatus}, func(reply controlFrame, ok bool) { answers <- answer{node, reply, ok} })
	}
	best, furthest := "", uint64(0)
	for range nodes {
		select {
		case a := <-answers:
			if a.ok && a.reply.b > term {
				return "", newError(wire.CodeConflict, fmt.Sprintf("node %s is of a later term of shard %s: look at cluster status", a.node, c.shardText))
			}
			if a.ok && a.reply.a == 1 && a.reply.b == term && (best == "" || a.reply.c > furthest) {
				best, furthest = a.node, a.reply.c
			}
		case <-ctx.Done():
		}
	}
	if best == "" {
		return "", newError(wire.CodeConflict, "no other voter of shard "+c.shardText+" is up and fit to lead")
	}
	return best, nil
}

// controlPeer returns the control connection to a member. An unknown one gets an answer too: that nobody is there.
func (c *Controller) controlPeer(node string) *controlPeer {
	if p := c.peers[node]; p != nil {
		return p
	}
	return &controlPeer{c: c, node: node} // a nil queue takes nothing: send answers not ok
}
