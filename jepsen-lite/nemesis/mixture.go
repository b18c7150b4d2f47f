package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

func mixtures() []Nemesis {
	return []Nemesis{
		{Name: "mix-pause-kill", Family: "mixture", Does: "SIGSTOP of a leader; when another leads, kill -9 of that one and SIGCONT of the first: the old leader meets nobody who knows better but the third", Needs: []Need{Linux}, Scope: OneShard, Lasts: 6 * time.Second, Inject: pauseThenKill},
		{Name: "mix-kill-pause", Family: "mixture", Does: "kill -9 of a leader and SIGSTOP of another replica at once: no quorum", Needs: []Need{Linux}, Scope: OneShard, Lasts: 4 * time.Second, Inject: killAndPause},
		{Name: "mix-hold-kill", Family: "mixture", Does: "requests gather before a stopped leader; its followers are stopped, it goes on, and after " + heldFor.String() + " is killed with -9; the followers go on: they execute writes that nobody was told of", Needs: []Need{Linux, Process}, Scope: OneShard, Lasts: 4 * time.Second, Inject: holdAndKill},
		{Name: "mix-reload-kill", Family: "mixture", Does: "HAProxy reloads while a shard's leader is killed with -9", Needs: []Need{HAProxy}, Scope: Whole, Lasts: 4 * time.Second, Inject: reloadAndKill},
		{Name: "mix-stall-cut", Family: "mixture", Does: "fsyncs of a leader do not come back, and it is cut off from the others: it can't notice that it leads no more", Needs: []Need{FUSE, OwnNetwork}, Scope: OneShard, Lasts: 4 * time.Second, Inject: stallAndCut},
	}
}

func pauseThenKill(ctx context.Context, t *Target, b Blow) (*Strike, error) {
	old, err := t.Leader(ctx, b.Shard)
	if err != nil {
		return nil, err
	}
	stopped, err := old.Pause(ctx)
	if err != nil {
		return nil, errors.Join(err, old.Resume(ctx))
	}
	next, err := t.Leader(ctx, b.Shard) // asks only those that run
	if err != nil {
		return &Strike{Victims: []string{old.ID()}, Proof: stopped, Heal: func(ctx context.Context) (string, error) {
			_, going := resumed(ctx, []Node{old})
			return "", errors.Join(going, old.Ready(ctx))
		}}, err
	}
	gone, killing := next.Kill(ctx)
	still, err := resumed(ctx, []Node{old})
	s := &Strike{Victims: []string{old.ID(), next.ID()}, Proof: stopped + "; " + gone + "; " + still}
	s.Heal = func(ctx context.Context) (string, error) {
		return "", errors.Join(revive(ctx, []Node{next}), old.Ready(ctx))
	}
	return s, errors.Join(killing, err)
}

func killAndPause(ctx context.Context, t *Target, b Blow) (*Strike, error) {
	first, err := t.Leader(ctx, b.Shard)
	if err != nil {
		return nil, err
	}
	other := t.others(b.Shard, first, b.Draw)[0]
	proof, err := together([]Node{first, other}, func(n Node) (string, error) {
		if n == first {
			return n.Kill(ctx)
		}
		return n.Pause(ctx)
	})
	return &Strike{Victims: []string{first.ID(), other.ID()}, Proof: proof, Heal: func(ctx context.Context) (string, error) {
		still, err := resumed(ctx, []Node{other})
		return still, errors.Join(err, revive(ctx, []Node{first}), other.Ready(ctx))
	}}, err
}

// How long mix-hold-kill lets requests gather before a leader that stands still, and then the leader's messages lie unread at its
// followers: long enough for many writes to be among them. Together shorter than a leader without followers goes on leading
// (--leader-lease-timeout): one that gave up would say so, and no connection would break.
const (
	gathered = 80 * time.Millisecond
	heldFor  = 150 * time.Millisecond
)

// holdAndKill makes many writes that are executed and whose senders saw only their connection break: whoever sends one of them
// again without an idempotency key, or takes the break for a no, shows. A kill alone leaves one or two, by luck none.
func holdAndKill(ctx context.Context, t *Target, b Blow) (*Strike, error) {
	first, err := t.Leader(ctx, b.Shard)
	if err != nil {
		return nil, err
	}
	followers := t.others(b.Shard, first, b.Draw)
	proof, err := gatherAndHold(ctx, first, followers)
	if err != nil && !errors.Is(err, ErrNoProof) {
		_, more := resumed(ctx, append(followers, first))
		return nil, errors.Join(err, more)
	}
	gone, killing := first.Kill(ctx)
	still, goingOn := resumed(ctx, followers)
	return &Strike{Victims: append([]string{first.ID()}, ids(followers)...), Proof: proof + "; " + gone + "; " + still, Heal: func(ctx context.Context) (string, error) {
		return "", errors.Join(revive(ctx, []Node{first}), waitReady(ctx, followers))
	}}, errors.Join(err, killing, goingOn)
}

// gatherAndHold leaves the followers stopped, with messages of the leader before them that hold what had gathered.
func gatherAndHold(ctx context.Context, leader Node, followers []Node) (string, error) {
	if _, err := leader.Pause(ctx); err != nil {
		return "", err
	}
	wait(gathered, ctx.Done())
	proof, err := together(followers, func(n Node) (string, error) { return n.Pause(ctx) })
	var unproved error // that the leader stood still to the end
	if still := leader.Paused(); still != nil {
		unproved = fmt.Errorf("%w: %w", ErrNoProof, still)
	}
	if err = errors.Join(err, leader.Resume(ctx)); err != nil {
		return "", err
	}
	wait(heldFor, ctx.Done())
	return proof, unproved
}

func reloadAndKill(ctx context.Context, t *Target, b Blow) (*Strike, error) {
	victim, err := t.Leader(ctx, b.Shard)
	if err != nil {
		return nil, err
	}
	gone, err := victim.Kill(ctx)
	if err != nil {
		return nil, err
	}
	reloaded, err := t.Proxy.Reload(ctx)
	return &Strike{Victims: []string{victim.ID(), t.Proxy.ID()}, Proof: gone + "; " + reloaded, Heal: func(ctx context.Context) (string, error) {
		return "", errors.Join(revive(ctx, []Node{victim}), t.Proxy.Ready(ctx))
	}}, err
}

// stallAndCut holds the leader's fsync up and cuts it off from the others. Its Raft stands still in the middle of a write, so it
// does not notice that it has lost its followers; it goes on to answer clients, and must not answer them by itself.
func stallAndCut(ctx context.Context, t *Target, b Blow) (*Strike, error) {
	old, err := t.Leader(ctx, b.Shard)
	if err != nil {
		return nil, err
	}
	disk := t.Disks[old.ID()]
	before, err := disk.Counters()
	if err != nil {
		return nil, err
	}
	alone := func(context.Context, *Target, Blow) ([]Node, error) { return []Node{old}, nil }
	stall, err := sick(alone, faultfs.Faults{StallFsync: true})(ctx, t, b)
	if err != nil {
		return stall, err
	}
	if err := waitStalled(ctx, disk, before); err != nil {
		_, healing := stall.Heal(ctx)
		return nil, errors.Join(err, healing)
	}
	links := netns.One(ids(t.Shards[b.Shard]), old.ID())
	cut, err := cutLinks(ctx, t, links)
	if err != nil {
		_, healing := stall.Heal(ctx)
		return nil, errors.Join(err, healing)
	}
	return &Strike{Victims: stall.Victims, Heal: func(ctx context.Context) (string, error) {
		separate, cutting := cut(ctx)
		stalled, stalling := stall.Heal(ctx)
		return separate + "; " + stalled, errors.Join(cutting, stalling, waitReady(ctx, t.Shards[b.Shard]))
	}}, nil
}

// waitStalled waits until a further fsync has met the stall.
func waitStalled(ctx context.Context, d Disk, before faultfs.Counters) error {
	for {
		now, err := d.Counters()
		if err != nil || now.Minus(before).Effect() > 0 {
			return err
		}
		if wait(stalledEvery, ctx.Done()) {
			return fmt.Errorf("%w: no fsync began: %w", ErrNoProof, ctx.Err())
		}
	}
}

const stalledEvery = 10 * time.Millisecond
