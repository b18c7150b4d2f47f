package shardrouter

import (
	"github.com/kvorum/kvorum/wire"
)

// targets are the replicas of a shard, as far as they are known.
func (r *Router) targets(shard uint32) []target {
	members := r.now().members[shard]
	targets := make([]target, len(members))
	for i, m := range members {
		targets[i] = r.targetFor(shard, m)
	}
	if len(targets) == 0 && r.isLocal(shard) {
		targets = append(targets, r.targetFor(shard, wire.Member{ID: r.cfg.Self.Node}))
	}
	return targets
}

func (r *Router) targetFor(shard uint32, m wire.Member) target {
	return target{shard: shard, node: m.ID, address: m.PeerAddress, local: r.isLocal(shard) && m.ID == r.cfg.Self.Node}
}

// targetOf finds one replica of a shard by its id.
func (r *Router) targetOf(shard uint32, node string) (target, bool) {
	if node == "" {
		return target{}, false
	}
	if r.isLocal(shard) && node == r.cfg.Self.Node {
		return target{shard: shard, node: node, local: true}, true
	}
	for _, m := range r.now().members[shard] {
		if m.ID == node {
			return r.targetFor(shard, m), true
		}
	}
	return target{}, false
}

// readOrder is the order in which a shard's replicas are asked for a read: the local one, since it costs no hop; the
// leader, since it costs no second one; the others; last those that lately did not answer. With spread, when any replica may
// answer, the load is spread.
func (r *Router) readOrder(shard uint32, spread bool) []target {
	targets := r.targets(shard)
	leader := r.localLeader(shard)
	if leader == "" {
		leader = r.leaders.get(shard)
	}
	first := 0
	if spread && len(targets) > 0 {
		first = int(r.turn.Add(1)) % len(targets)
	}
	ordered := make([]target, 0, len(targets))
	rank := func(t target) int {
		switch {
		case t.local:
			return 0
		case r.quiet.has(t.node):
			return 3
		case t.node == leader && !spread:
			return 1
		}
		return 2
	}
	for want := range 4 {
		for i := range targets {
			if t := targets[(first+i)%len(targets)]; rank(t) == want {
				ordered = append(ordered, t)
			}
		}
	}
	return ordered
}
