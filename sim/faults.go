package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/vnet"
)

// Tier says what a cluster must do with a fault.
type Tier string

// The tiers of the fault model, see ARCHITECTURE.md.
const (
	Tolerated  Tier = "tolerated"   // all promises hold
	Detectable Tier = "detectable"  // the node must refuse to serve
	Beyond     Tier = "beyond Raft" // labelled, reported apart
)

// class is one kind of fault.
type class struct {
	line   string // for kvsim faults
	tier   Tier
	draw   func(d *schedule.Drawer) schedule.Fault // its parameters; At is the drawer's
	strike func(x *nemesis, s *strike) (end func())
}

// Class describes a fault class to people.
type Class struct {
	ID, Line string
	Tier     Tier
}

// Classes lists all fault classes by id.
func Classes() (list []Class) {
	all := classes()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list = append(list, Class{id, all[id].line, all[id].tier})
	}
	return list
}

func classes() map[string]class {
	all := map[string]class{}
	for _, family := range []map[string]class{processFaults(), networkFaults()} {
		maps.Copy(all, family)
	}
	return all
}

func processFaults() map[string]class {
	return map[string]class{
		"kill": {
			line: "a process is killed (its memory is gone, what it wrote stays) and starts again",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(50*time.Millisecond, 8*time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() { return x.crash("kill", s.nodes, false, disk.Plan{}) },
		},
		"power": {
			line: "a machine loses its power, and with it what it had not synced: all, a prefix, a subset, torn at a sector",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(50*time.Millisecond, 8*time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() { return x.crash("power", s.nodes, true, lossyPlan) },
		},
		"pause": {
			line: "a process is stopped (SIGSTOP) and goes on later",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(100*time.Millisecond, 10*time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() {
				lives := map[*Node]int{}
				for _, n := range s.nodes {
					if n.up && !n.machine.Paused() {
						n.machine.Pause()
						lives[n] = n.life
						x.took("pause")
					}
				}
				return func() {
					for _, n := range s.nodes {
						if lives[n] == n.life && n.up {
							n.machine.Resume()
						}
					}
				}
			},
		},
	}
}

// lossyPlan is what a power cut does to what was not synced.
var lossyPlan = disk.Plan{KeepAll: 0.2, KeepNone: 0.3, Subset: 0.5, Torn: 0.5, Garbage: 0.3, Names: true}

// crash ends nodes now and starts them at the end.
func (x *nemesis) crash(id string, nodes []*Node, power bool, plan disk.Plan) (end func()) {
	lives := map[*Node]int{}
	for _, n := range nodes {
		if !n.up {
			continue
		}
		loss := n.crash(power, plan)
		lives[n] = n.life
		x.took(id)
		if loss.Writes > 0 || loss.Names > 0 {
			x.world.reach("unsynced data lost")
		}
		if loss.Torn > 0 {
			x.world.reach("write torn")
		}
	}
	return func() {
		for _, n := range nodes {
			if life, ok := lives[n]; ok && life == n.life && !n.up {
				n.start()
			}
		}
	}
}

func networkFaults() map[string]class {
	return map[string]class{
		"partition": {
			line: "the machines fall into two groups that do not hear each other; clients hear all",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.SomeNodes(), For: d.Between(200*time.Millisecond, 15*time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() {
				group := hostsOf(s.nodes)
				x.took("partition")
				return x.link(&linkRule{
					covers: func(a, b *vnet.Host) bool {
						return a != x.world.crowd && b != x.world.crowd && group[a] != group[b]
					},
					change: func(c *vnet.Conditions) { c.Cut = true },
				})
			},
		},
		"isolate": {
			line: "a machine, mostly a leader, is cut off from all others of the cluster, in both directions or in one",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(200*time.Millisecond, 15*time.Second), Mode: d.Of("both", "both", "out", "in")}
			},
			strike: func(x *nemesis, s *strike) func() {
				group := hostsOf(s.nodes)
				x.took("isolate")
				return x.link(&linkRule{
					covers: func(a, b *vnet.Host) bool {
						if a == x.world.crowd || b == x.world.crowd {
							return false
						}
						return s.fault.Mode != "in" && group[a] && !group[b] || s.fault.Mode != "out" && group[b] && !group[a]
					},
					change: func(c *vnet.Conditions) { c.Cut = true },
				})
			},
		},
	}
}

func hostsOf(nodes []*Node) map[*vnet.Host]bool {
	hosts := map[*vnet.Host]bool{}
	for _, n := range nodes {
		hosts[n.host] = true
	}
	return hosts
}

// DrawFault draws a fault of the class.
func DrawFault(id string, d *schedule.Drawer) (schedule.Fault, bool) {
	c, ok := classes()[id]
	if !ok {
		return schedule.Fault{}, false
	}
	return c.draw(d), true
}
