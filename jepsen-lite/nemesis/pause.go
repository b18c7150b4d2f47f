package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

func pauses() []Nemesis {
	const lasts = time.Second
	return []Nemesis{
		{Name: "pause-one", Family: "pause", Does: "SIGSTOP of a replica, drawn, and SIGCONT later", Needs: []Need{Linux}, Scope: OneShard, Lasts: lasts, Single: []Role{Follower}, Inject: pause(anyone)},
		{Name: "pause-leader", Family: "pause", Does: "SIGSTOP of a shard's leader: when it goes on it may think that it leads", Needs: []Need{Linux}, Scope: OneShard, Lasts: lasts, Single: []Role{Leader}, Inject: pause(leader)},
		{Name: "pause-majority", Family: "pause", Does: "SIGSTOP of a majority of a shard", Needs: []Need{Linux}, Scope: OneShard, Lasts: lasts, Inject: pause(majority)},
		{Name: "pause-brief", Family: "pause", Does: "SIGSTOP of a shard's leader just until another leads, over and over: who waits for it gets its answer yet", Needs: []Need{Linux}, Scope: OneShard, Lasts: 3 * time.Second, Inject: pauseBriefly},
	}
}

// answersMeanwhile is how long the new leader has for writes that the old one knows nothing of. Not long: the old one's
// clients wait only so long, and it is their reads that it may answer with old data.
const answersMeanwhile = 100 * time.Millisecond

// pauseBriefly goes on for as long as the strike is to be held.
func pauseBriefly(ctx context.Context, t *Target, b Blow) (*Strike, error) {
	s := &Strike{Over: true, Heal: func(ctx context.Context) (string, error) {
		var errs []error
		for _, n := range t.Shards[b.Shard] { // one may still stand still if something went wrong on the way
			if n.Paused() == nil {
				errs = append(errs, n.Resume(ctx))
			}
		}
		return "", errors.Join(append(errs, waitReady(ctx, t.Shards[b.Shard]))...)
	}}
	var proofs []string
	for start := time.Now(); time.Since(start) < b.For; {
		old, err := t.Leader(ctx, b.Shard)
		if err != nil {
			return s, err
		}
		proof, err := old.Pause(ctx)
		if err != nil {
			return s, err
		}
		next, err := t.Leader(ctx, b.Shard) // asks only those that run
		wait(answersMeanwhile, ctx.Done())
		_, goingOn := resumed(ctx, []Node{old})
		if err = errors.Join(err, goingOn); err != nil {
			return s, err
		}
		if !slices.Contains(s.Victims, old.ID()) {
			s.Victims = append(s.Victims, old.ID())
		}
		proofs = append(proofs, proof+" until "+next.ID()+" led")
	}
	s.Proof = strings.Join(proofs, "; ")
	return s, nil
}

func pause(choose chooser) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		victims, err := choose(ctx, t, b)
		if err != nil {
			return nil, err
		}
		proof, err := together(victims, func(n Node) (string, error) { return n.Pause(ctx) })
		return &Strike{Victims: ids(victims), Proof: proof, Heal: func(ctx context.Context) (string, error) {
			proof, err := resumed(ctx, victims)
			return proof, errors.Join(err, waitReady(ctx, victims))
		}}, err
	}
}

// resumed lets paused nodes go on. It asks before if they had stood still to the end.
func resumed(ctx context.Context, victims []Node) (string, error) {
	var errs []error
	for _, n := range victims {
		if err := n.Paused(); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrNoProof, err))
		}
		errs = append(errs, n.Resume(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return "still stopped at the end", nil
}

// wait reports whether it was cut short.
func wait(d time.Duration, stop <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return true
	case <-timer.C:
		return false
	}
}
