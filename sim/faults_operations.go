package sim

import (
	"fmt"
	"time"

	"github.com/kvorum/kvorum/sim/schedule"
)

// operations are not faults but what an operator does, at the worst of times.
func operations() map[string]class {
	// errand makes a class that sends a command to a shard. Mode is the shard.
	errand := func(line, name string) class {
		return class{
			line: line, tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Mode: d.ShardName(), For: schedule.Duration(6 * time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() { return x.errand(name+" "+s.fault.Mode, x.world.nodes, s) },
		}
	}
	return map[string]class{
		"transfer-leader": errand("an operator hands a shard's leadership over", "transfer"),
		"snapshot":        errand("an operator asks a shard for a snapshot", "snapshot"),
		"stop": {
			line: "a node is asked to stop (SIGTERM), must do so in good order within its grace, and starts again",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(100*time.Millisecond, 12*time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() { return x.stopNodes(s, s.nodes) },
		},
		"rolling-restart": {
			line: "the nodes of a shard are stopped in good order and started again, one after the other",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: []string{fmt.Sprintf("shard:%d", d.Shard())}, For: d.Between(4*time.Second, 15*time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() {
				each, next := time.Duration(s.fault.For)/time.Duration(max(1, len(s.nodes))), 0
				var end func()
				one := func() {
					if end != nil {
						end()
						end = nil
					}
					if next < len(s.nodes) {
						end = x.stopNodes(s, s.nodes[next:next+1])
						next++
					}
				}
				one()
				stop := x.repeat(func() time.Duration { return each }, one)
				return func() {
					stop()
					if end != nil {
						end()
					}
				}
			},
		},
	}
}

// stopNodes asks nodes to stop; they start again once they have stopped and the fault is over.
func (x *nemesis) stopNodes(s *strike, nodes []*Node) (end func()) {
	for _, n := range nodes {
		x.hold(n)
		if n.up && !n.asked {
			x.stop(n)
			x.took(s)
		}
	}
	return func() {
		for _, n := range nodes {
			x.release(n)
		}
	}
}

// errand runs a client machine with one command, sent to one of the nodes. The fault, if there is one, counts when the command was carried out.
func (x *nemesis) errand(command string, nodes []*Node, s *strike) (end func()) {
	w := x.world
	x.errands++
	host := w.network.AddHost(fmt.Sprintf("operator%d", x.errands))
	c := w.startClient(host, w.endpoints(nodes), "-errand", command, "-for", "5s")
	return func() {
		if s != nil && c.done && c.code == 0 {
			x.took(s)
		}
		c.machine.Kill()
		host.Crash(true)
	}
}
