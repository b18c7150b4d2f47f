package nemesis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// chooser says whom a nemesis strikes.
type chooser func(ctx context.Context, t *Target, b Blow) ([]Node, error)

func majority(_ context.Context, t *Target, b Blow) ([]Node, error) { return t.majority(b), nil }
func everyone(_ context.Context, t *Target, _ Blow) ([]Node, error) { return t.all(), nil }

func leader(ctx context.Context, t *Target, b Blow) ([]Node, error) {
	n, err := t.Leader(ctx, b.Shard)
	return []Node{n}, err
}

// anyone is drawn, unless the blow is aimed.
func anyone(ctx context.Context, t *Target, b Blow) ([]Node, error) {
	if b.Aim == Either {
		return []Node{t.one(b)}, nil
	}
	n, err := t.aimedAt(ctx, b)
	return []Node{n}, err
}

func kills() []Nemesis {
	const lasts = 3 * time.Second
	return []Nemesis{
		{Name: "kill-one", Family: "kill", Does: "kill -9 of a replica, drawn", Scope: OneShard, Lasts: lasts, Single: []Role{Follower}, Inject: kill(anyone)},
		{Name: "kill-leader", Family: "kill", Does: "kill -9 of a shard's leader", Scope: OneShard, Lasts: lasts, Single: []Role{Leader}, Inject: kill(leader)},
		{Name: "kill-majority", Family: "kill", Does: "kill -9 of a majority of a shard at once: it stands still until they are back", Scope: OneShard, Lasts: lasts, Inject: kill(majority)},
		{Name: "kill-all", Family: "kill", Does: "kill -9 of all nodes of the cluster at once", Scope: Whole, NoShard: true, Lasts: 2 * lasts, Inject: kill(everyone)},
	}
}

// kill kills whom choose says, all at once, and starts them again.
func kill(choose chooser) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		victims, err := choose(ctx, t, b)
		if err != nil {
			return nil, err
		}
		proof, err := killed(ctx, victims)
		return &Strike{Victims: ids(victims), Proof: proof, Heal: func(ctx context.Context) (string, error) { return "", revive(ctx, victims) }}, err
	}
}

// killed kills all of them at once.
func killed(ctx context.Context, victims []Node) (string, error) {
	return together(victims, func(n Node) (string, error) { return n.Kill(ctx) })
}

// together does something to all nodes at the same time.
func together(nodes []Node, do func(Node) (string, error)) (string, error) {
	proofs, errs := make([]string, len(nodes)), make([]error, len(nodes))
	each(len(nodes), func(i int) { proofs[i], errs[i] = do(nodes[i]) })
	return strings.Join(proofs, "; "), errors.Join(errs...)
}

// each calls do with 0 to n-1 at the same time and waits for all.
func each(n int, do func(int)) {
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() { do(i) })
	}
	done.Wait()
}

// revive starts nodes that were killed and waits for them.
func revive(ctx context.Context, nodes []Node) error {
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.Start(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return waitReady(ctx, nodes)
}
