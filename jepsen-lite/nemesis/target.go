package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// Target is a cluster as nemeses see it. What is nil is not there.
type Target struct {
	Shards [][]Node // by shard, then replica
	// Leader waits until a shard has exactly one leader among the nodes that run.
	Leader func(ctx context.Context, shard int) (Node, error)
	Proxy  Proxy // HAProxy, if the clients go through it
	Router Part  // the standalone router that keeps the proxy in step
	// Network is what the nodes talk over, if it can be broken.
	Network Network
	// Plugs are what nodes can be taken from their network by.
	Plugs Plugs
	// Throttle takes most of its processor time from a node. nil: Pause and Resume do.
	Throttle func(ctx context.Context, member string) (Outage, error)
	// Disks are under the data of nodes, by their ids, if they can be broken.
	Disks map[string]Disk
}

// Part is a process, or a container, that can be killed and started again.
type Part interface {
	ID() string
	// Kill is kill -9. It returns when the part is gone, with what shows that.
	Kill(ctx context.Context) (proof string, err error)
	// Start starts it; Ready waits until it serves.
	Start(ctx context.Context) error
	Ready(ctx context.Context) error
}

// Node is a replica.
type Node interface {
	Part
	// Pause stops it in its tracks, and returns when all of it has stopped, with what shows that.
	Pause(ctx context.Context) (proof string, err error)
	// Paused says why it is not, or not in whole.
	Paused() error
	// Resume ends Pause.
	Resume(ctx context.Context) error
	// Terminate asks it to end in good order and waits for that.
	Terminate(ctx context.Context) (proof string, err error)
	// Bury says whether the node has ended since it could not read a page of a mapped file (SIGBUS). If so, it can be started again.
	Bury() (ended bool, err error)
}

// Proxy is HAProxy.
type Proxy interface {
	Part
	// Reload makes a new worker take over, as after a change of the configuration, and returns when it serves.
	Reload(ctx context.Context) (proof string, err error)
}

// Plugs takes nodes from their network, whole.
type Plugs interface {
	Unplug(ctx context.Context, member string) (Outage, error)
}

// ids are the names of nodes.
func ids(nodes []Node) []string {
	names := make([]string, 0, len(nodes))
	for _, n := range nodes {
		names = append(names, n.ID())
	}
	return names
}

// any one of a shard.
func (t *Target) one(b Blow) Node {
	nodes := t.Shards[b.Shard]
	return nodes[b.Draw.IntN(len(nodes))]
}

// aimedAt is the shard's leader, or a follower, drawn.
func (t *Target) aimedAt(ctx context.Context, b Blow) (Node, error) {
	lead, err := t.Leader(ctx, b.Shard)
	if err != nil || b.Aim == Leader {
		return lead, err
	}
	return t.others(b.Shard, lead, b.Draw)[0], nil
}

// others are the nodes of a shard but n, in an order drawn.
func (t *Target) others(shard int, n Node, draw *rand.Rand) []Node {
	var others []Node
	for _, o := range t.Shards[shard] {
		if o.ID() != n.ID() {
			others = append(others, o)
		}
	}
	draw.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return others
}

// majority is a smallest majority of a shard, drawn.
func (t *Target) majority(b Blow) []Node {
	nodes := append([]Node(nil), t.Shards[b.Shard]...)
	b.Draw.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes[:len(nodes)/2+1]
}

func (t *Target) all() []Node {
	var all []Node
	for _, shard := range t.Shards {
		all = append(all, shard...)
	}
	return all
}

// waitReady waits for each.
func waitReady(ctx context.Context, nodes []Node) error {
	for _, n := range nodes {
		if err := n.Ready(ctx); err != nil {
			return fmt.Errorf("after it was healed: %w", err)
		}
	}
	return nil
}
