package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/vnet"
)

func hostsOf(nodes []*Node) map[*vnet.Host]bool {
	hosts := map[*vnet.Host]bool{}
	for _, n := range nodes {
		hosts[n.host] = true
	}
	return hosts
}

// between are the links from one machine of the cluster to another; clients' are not among them.
func (x *nemesis) between(covers func(a, b *vnet.Host) bool) func(a, b *vnet.Host) bool {
	crowd := x.world.crowd
	return func(a, b *vnet.Host) bool { return a != crowd && b != crowd && covers(a, b) }
}

// degrade changes links for a while. The fault counts if effect grew on them meanwhile.
func (x *nemesis) degrade(s *strike, covers func(a, b *vnet.Host) bool, change func(*vnet.Conditions), effect func(*vnet.Link) int64) (end func()) {
	w := x.world
	var links []*vnet.Link
	for _, a := range w.network.Hosts() {
		for _, b := range w.network.Hosts() {
			if _, ok := w.plainLinks[[2]*vnet.Host{a, b}]; ok && a != b && covers(a, b) {
				links = append(links, w.network.Link(a, b))
			}
		}
	}
	sum := func() (total int64) {
		for _, l := range links {
			total += effect(l)
		}
		return total
	}
	return x.counting(s, sum, x.link(&linkRule{covers: covers, change: change}))
}

func stoppedOn(l *vnet.Link) int64 { return l.Carried.Stopped }

// cut stops all packets on links.
func (x *nemesis) cut(s *strike, covers func(a, b *vnet.Host) bool) (end func()) {
	return x.degrade(s, covers, func(c *vnet.Conditions) { c.Cut = true }, stoppedOn)
}

// sided covers links that leave the group (mode out), that lead into it (in), or both.
func sided(group map[*vnet.Host]bool, mode string) func(a, b *vnet.Host) bool {
	return func(a, b *vnet.Host) bool {
		return mode != "in" && group[a] && !group[b] || mode != "out" && group[b] && !group[a]
	}
}

func cutFaults() map[string]class {
	length := func(d *schedule.Drawer) schedule.Duration { return d.Between(200*time.Millisecond, 15*time.Second) }
	one := func(d *schedule.Drawer) schedule.Fault {
		return schedule.Fault{Nodes: d.OneNode(), For: length(d), Mode: d.Of("both", "both", "out", "in")}
	}
	whole := func(d *schedule.Drawer) schedule.Fault { return schedule.Fault{For: length(d)} }
	return map[string]class{
		"partition": {
			line: "the machines fall into two groups that do not hear each other; clients hear all",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.SomeNodes(), For: length(d)}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.cut(s, x.between(sided(hostsOf(s.nodes), "both")))
			},
		},
		"isolate": {
			line: "a machine, mostly a leader, is cut off from all others of the cluster, in both directions or in one",
			tier: Tolerated, lasts: true, draw: one,
			strike: func(x *nemesis, s *strike) func() {
				return x.cut(s, x.between(sided(hostsOf(s.nodes), s.fault.Mode)))
			},
		},
		"clients-cut": {
			line: "clients do not reach a machine, or do not hear it",
			tier: Tolerated, draw: one,
			strike: func(x *nemesis, s *strike) func() {
				group, covers := hostsOf(s.nodes), sided(hostsOf(s.nodes), s.fault.Mode)
				return x.cut(s, func(a, b *vnet.Host) bool {
					return (group[a] && b == x.world.crowd || group[b] && a == x.world.crowd) && covers(a, b)
				})
			},
		},
		"bridge": {
			line: "each shard falls into two halves that do not hear each other, but one replica hears both",
			tier: Tolerated, draw: whole,
			strike: func(x *nemesis, s *strike) func() {
				return x.cutByPlace(s, func(a, b, n int) bool { return a != n/2 && b != n/2 && (a < n/2) != (b < n/2) })
			},
		},
		"ring": {
			line: "each replica hears only some others, so that every one sees a majority and no two the same; of three or four, other two are apart in turns",
			tier: Tolerated, draw: whole, strike: ring,
		},
		"thirds": {
			line: "each shard falls into three parts, none of them a majority, that do not hear each other",
			tier: Tolerated, draw: whole,
			strike: func(x *nemesis, s *strike) func() {
				return x.cutByPlace(s, func(a, b, n int) bool { return 3*a/n != 3*b/n })
			},
		},
		"flapping": {
			line: "a machine's links to the others are cut and whole in turns, some times a second",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				f := one(d)
				f.For, f.Amount = d.Between(time.Second, 12*time.Second), time.Duration(d.Between(20*time.Millisecond, 2*time.Second)).Seconds()
				return f
			},
			strike: flapping,
		},
		"left-behind": {
			line: "a follower is cut off until the leader has compacted the log that it lacks, so that it needs a snapshot",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: follower(d), For: d.Between(5*time.Second, 20*time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() { return x.leaveBehind(s, func(*Node) { x.took(s) }) },
		},
		"cut-snapshot": {
			line: "as left-behind, and then the connections break when some bytes of the snapshot have got through",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: follower(d), For: d.Between(6*time.Second, 20*time.Second), Bytes: d.Count(100, 60_000)}
			},
			strike: cutSnapshot,
		},
	}
}

// cutByPlace cuts links within each shard by the places (from 0) of their ends among its n replicas, in an order drawn anew.
func (x *nemesis) cutByPlace(s *strike, cut func(a, b, n int) bool) (end func()) {
	shard, place := map[*vnet.Host]int{}, map[*vnet.Host]int{}
	for i := range x.world.Shards {
		list := x.world.shard(i)
		for j, k := range s.draw.Perm(len(list)) {
			shard[list[k].host], place[list[k].host] = i, j
		}
	}
	return x.cut(s, x.between(func(a, b *vnet.Host) bool {
		return shard[a] == shard[b] && cut(place[a], place[b], x.world.Replicas)
	}))
}

func ring(x *nemesis, s *strike) func() {
	if x.world.Replicas > 4 {
		return x.cutByPlace(s, func(a, b, n int) bool {
			distance := (b - a + n) % n
			return min(distance, n-distance) > n/4
		})
	}
	apart := func() func() {
		return x.cutByPlace(s, func(a, b, _ int) bool { return min(a, b) == 0 && max(a, b) == 1 })
	}
	end := apart()
	stop := x.repeat(func() time.Duration { return time.Duration(200+s.draw.IntN(2000)) * time.Millisecond }, func() {
		end()
		end = apart()
	})
	return func() {
		stop()
		end()
	}
}

func flapping(x *nemesis, s *strike) func() {
	covers := x.between(sided(hostsOf(s.nodes), s.fault.Mode))
	end := x.cut(s, covers)
	stop := x.repeat(func() time.Duration { return seconds(s.fault.Amount * (0.5 + s.draw.Float64())) }, func() {
		if end != nil {
			end()
			end = nil
			return
		}
		end = x.cut(s, covers)
	})
	return func() {
		stop()
		if end != nil {
			end()
		}
	}
}

// leaveBehind isolates nodes until another one of their shard has compacted its log, then does what comes next.
func (x *nemesis) leaveBehind(s *strike, then func(leader *Node)) (end func()) {
	if len(s.nodes) == 0 {
		return nil // a single replica has no followers
	}
	var ends []func()
	cutOff := len(s.nodes)
	for _, n := range s.nodes {
		whole := x.link(&linkRule{covers: x.between(sided(hostsOf([]*Node{n}), "both")), change: func(c *vnet.Conditions) { c.Cut = true }})
		healed := false
		var waits []*waiting
		heal := func() {
			if healed {
				return
			}
			healed = true
			cutOff--
			whole()
			for _, q := range waits {
				x.waiting = without(x.waiting, q)
			}
		}
		for _, other := range x.world.shard(n.Shard) {
			if other == n {
				continue
			}
			// the first compaction may end where the follower already is
			waits = append(waits, x.await(&schedule.Event{Kind: "log", Node: other.Name, Match: "compacting logs", Count: 2}, func(on *Node) {
				if healed || on != x.world.leaders[n.Shard] {
					return
				}
				x.world.reach("log compacted past a follower")
				then(on)
				heal()
			}))
		}
		ends = append(ends, heal)
	}
	heard := slices.DeleteFunc(x.world.shard(s.nodes[0].Shard), func(n *Node) bool { return slices.Contains(s.nodes, n) })
	ends = append(ends, x.repeat(func() time.Duration { return 1500 * time.Millisecond }, func() { // knobs may make snapshots rare
		if cutOff > 0 {
			ends = append(ends, x.errand(fmt.Sprint("snapshot ", s.nodes[0].Shard), heard, nil))
		}
	}))
	return func() { all(ends)() }
}

func cutSnapshot(x *nemesis, s *strike) func() {
	var armed []*vnet.Link
	if len(s.nodes) == 0 {
		return nil
	}
	end := x.leaveBehind(s, func(leader *Node) {
		link := x.world.network.Link(leader.host, s.nodes[0].host)
		q := x.await(&schedule.Event{Kind: "log", Node: leader.Name, Match: "installing snapshot", Count: 1}, func(*Node) {
			armed = append(armed, link)
			link.CutAfter(s.fault.Bytes, func() { x.took(s) })
		})
		x.world.timeline.After(seconds(8), func() { x.waiting = without(x.waiting, q) })
	})
	return func() {
		end()
		x.world.timeline.After(seconds(2), func() { // the snapshot comes after the cut has ended
			for _, l := range armed {
				l.CutAfter(-1, nil)
			}
		})
	}
}

// follower draws one that follows.
func follower(d *schedule.Drawer) []string { return []string{"follower:" + d.ShardName()} }
