package nemesis

import (
	"context"
	"fmt"
	"strings"
	"time"
)

func restarts() []Nemesis {
	return []Nemesis{
		{Name: "restart-leader", Family: "restart", Does: "SIGTERM of a shard's leader, which hands over, and a new start", Scope: OneShard, Lasts: 5 * time.Second, Single: []Role{Leader}, Inject: restart(leader)},
		{Name: "restart-rolling", Family: "restart", Does: "SIGTERM and a new start of all replicas of a shard, one after another, as an upgrade does", Scope: OneShard, Lasts: 12 * time.Second, Inject: restart(shardInOrder)},
	}
}

func shardInOrder(_ context.Context, t *Target, b Blow) ([]Node, error) {
	return t.Shards[b.Shard], nil
}

// restart ends and starts its victims one after another; the next one only when the last is ready. All but the last are up
// again when Inject returns. That a node does not end well when it is asked to, or does not come back, is the cluster's failure.
func restart(choose chooser) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		victims, err := choose(ctx, t, b)
		if err != nil {
			return nil, err
		}
		s := &Strike{Victims: ids(victims)}
		var proofs []string
		for i, n := range victims {
			s.Heal = func(ctx context.Context) (string, error) { return "", revive(ctx, []Node{n}) }
			proof, err := n.Terminate(ctx)
			if err != nil {
				return s, fmt.Errorf("%w: %w", ErrBroken, err)
			}
			proofs = append(proofs, proof)
			s.Proof = strings.Join(proofs, "; ")
			if i == len(victims)-1 {
				break
			}
			if err := revive(ctx, []Node{n}); err != nil {
				s.Heal = func(ctx context.Context) (string, error) { return "", waitReady(ctx, []Node{n}) }
				return s, fmt.Errorf("%w: %w", ErrBroken, err)
			}
		}
		return s, nil
	}
}
