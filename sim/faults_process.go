package sim

import (
	"time"

	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/tap"
)

func processFaults() map[string]class {
	pause := func(x *nemesis, s *strike) func() { return x.pause(s, s.nodes) }
	return map[string]class{
		"pause": {
			line: "a process is stopped (SIGSTOP) and goes on later; its clocks and its kernel go on",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(100*time.Millisecond, 10*time.Second)}
			},
			strike: pause,
		},
		"pause-leader": {
			line: "a node is stopped (SIGSTOP) just after it was elected, as it begins to answer reads, with entries or votes on their way to or from it, and goes on when others lead",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{On: drawReign(d), Again: d.IntN(4), For: d.Between(300*time.Millisecond, 8*time.Second)}
			},
			strike: pause,
		},
		"slow-cpu": {
			line: "a CPU is slow: every host call costs many times its usual time",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(500*time.Millisecond, 10*time.Second), Amount: []float64{10, 50, 150}[d.IntN(3)]}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.machinesRule(s, func(n *Node) *machineRule { return &machineRule{node: n, slowness: s.fault.Amount} })
			},
		},
		"late-timers": {
			line: "timers go off late, by up to some milliseconds each, as on a busy machine",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.SomeNodes(), For: d.Between(time.Second, 15*time.Second), Amount: time.Duration(d.Between(time.Millisecond, 400*time.Millisecond)).Seconds()}
			},
			strike: func(x *nemesis, s *strike) func() {
				late := func() time.Duration { return time.Duration(s.draw.Float64() * s.fault.Amount * float64(time.Second)) }
				return x.machinesRule(s, func(n *Node) *machineRule { return &machineRule{node: n, late: late} })
			},
		},
		"starve": {
			line: "the scheduler of goroutines is unfair: it prefers those that became ready last, so that others starve, or strictly the oldest",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.SomeNodes(), For: d.Between(time.Second, 15*time.Second), Amount: []float64{0.7, 0.95, 1}[d.IntN(3)], Mode: d.Of("newest", "newest", "oldest")}
			},
			strike: func(x *nemesis, s *strike) func() {
				if x.world.Stock {
					return nil // the runtime's own order asks nobody
				}
				return starve(x, s)
			},
		},
	}
}

// drawReign draws a moment in which a node has just begun to lead, or leads and has answers coming in.
func drawReign(d *schedule.Drawer) *schedule.Event {
	if d.IntN(2) == 0 {
		return &schedule.Event{Kind: "log", Match: d.Of("leads the shard", "entering leader state"), Count: 1}
	}
	return &schedule.Event{Kind: onWire, Match: d.Of(tap.EntriesSent.Sender(), tap.EntriesSent.Sender(), tap.VoteGranted.Receiver(), tap.LeadHandedOver.Sender()), Count: 1 + d.IntN(30)}
}

// starve counts once for each machine in which the scheduler's choice was another than without it, a machine that was started
// meanwhile too.
func starve(x *nemesis, s *strike) (end func()) {
	var ends []func()
	for _, n := range s.nodes {
		unfair := x.machine(&machineRule{node: n, unfairness: s.fault.Amount, newest: s.fault.Mode == "newest"})
		life, before := n.life, n.preferred()
		ends = append(ends, unfair, func() {
			if n.life != life {
				before = 0
			}
			if n.preferred() > before {
				x.took(s)
			}
		})
	}
	return all(ends)
}

// machinesRule puts a rule in force on each node of the strike; it counts once a node that is up has it.
func (x *nemesis) machinesRule(s *strike, rule func(*Node) *machineRule) (end func()) {
	var ends []func()
	for _, n := range s.nodes {
		if n.up && len(ends) == 0 {
			x.took(s)
		}
		ends = append(ends, x.machine(rule(n)))
	}
	return all(ends)
}

func all(ends []func()) func() {
	return func() {
		for _, end := range ends {
			end()
		}
	}
}
