package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// What a bad link does.
const (
	lostPerMill  = 300
	slowKilobits = 128 // of a node, in each direction: some hundred small messages a second fill it
)

func links() []Nemesis {
	const lasts = 2 * time.Second
	return []Nemesis{
		{Name: "link-loss", Family: "link", Does: fmt.Sprintf("%d %% of the packets between the nodes of a shard are lost", lostPerMill/10), Needs: []Need{OwnNetwork}, Scope: OneShard, Lasts: lasts, Single: []Role{Either}, Inject: outage(lossy)},
		{Name: "link-slow-one", Family: "link", Does: fmt.Sprintf("the cable of a replica, drawn, carries %d kbit/s; of a container, what it sends", slowKilobits), Needs: []Need{OwnNetwork}, Scope: OneShard, Lasts: lasts, Single: []Role{Follower}, Inject: outage(slowCable(anyone))},
		{Name: "link-slow-leader", Family: "link", Does: fmt.Sprintf("the cable of a shard's leader carries %d kbit/s", slowKilobits), Needs: []Need{OwnNetwork}, Scope: OneShard, Lasts: lasts, Single: []Role{Leader}, Inject: outage(slowCable(leader))},
	}
}

func unplugs() []Nemesis {
	const lasts = 3 * time.Second
	return []Nemesis{
		{Name: "unplug-one", Family: "unplug", Does: "the container of a replica, drawn, is taken from its network: clients, HAProxy and the name service lose it, too, and its address may be another afterwards", Needs: []Need{Engine}, Scope: OneShard, Lasts: lasts, Inject: outage(unplug(anyone))},
		{Name: "unplug-leader", Family: "unplug", Does: "the container of a shard's leader is taken from its network", Needs: []Need{Engine}, Scope: OneShard, Lasts: lasts, Inject: outage(unplug(leader))},
	}
}

// outage breaks links until healed. The proof is packets that were dropped or had to wait.
func outage(start func(context.Context, *Target, Blow) (Outage, []string, error)) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		o, struck, err := start(ctx, t, b)
		if err != nil {
			return nil, err
		}
		return &Strike{Victims: struck, Heal: func(ctx context.Context) (string, error) {
			proof, err := o.Proof(ctx)
			return proof, errors.Join(err, o.Heal(ctx), waitReady(ctx, t.Shards[b.Shard]))
		}}, nil
	}
}

func lossy(ctx context.Context, t *Target, b Blow) (Outage, []string, error) {
	members := ids(t.Shards[b.Shard])
	var all []netns.Link
	for i := range members {
		all = append(all, netns.Between(members[i:i+1], members[i+1:])...)
	}
	o, err := t.Network.Lose(ctx, lostPerMill, all...)
	return o, members, err
}

func slowCable(choose chooser) func(context.Context, *Target, Blow) (Outage, []string, error) {
	return func(ctx context.Context, t *Target, b Blow) (Outage, []string, error) {
		nodes, err := choose(ctx, t, b)
		if err != nil {
			return nil, nil, err
		}
		o, err := t.Network.Slow(ctx, nodes[0].ID(), slowKilobits)
		return o, ids(nodes), err
	}
}

func unplug(choose chooser) func(context.Context, *Target, Blow) (Outage, []string, error) {
	return func(ctx context.Context, t *Target, b Blow) (Outage, []string, error) {
		nodes, err := choose(ctx, t, b)
		if err != nil {
			return nil, nil, err
		}
		o, err := t.Plugs.Unplug(ctx, nodes[0].ID())
		return o, ids(nodes), err
	}
}
