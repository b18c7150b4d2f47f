package sim

import (
	"time"

	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/vnet"
)

func connectionFaults() map[string]class {
	return map[string]class{
		"reset": {
			line: "connections of a machine are reset, in the middle of a message as it may be, some times",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(10*time.Millisecond, 6*time.Second), Amount: time.Duration(d.Between(50*time.Millisecond, 2*time.Second)).Seconds()}
			},
			strike: func(x *nemesis, s *strike) func() {
				reset := func() {
					ended := 0
					x.pairs(s, func(a, b *vnet.Host) { ended += x.world.network.Reset(a, b) })
					if ended > 0 {
						x.took(s)
					}
				}
				reset()
				return x.repeat(func() time.Duration { return seconds(s.fault.Amount * (0.5 + s.draw.Float64())) }, reset)
			},
		},
		"cut-stream": {
			line: "when some more bytes have got through from one machine to another, the connections between them break in the middle of a message",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.Pair(), For: d.Between(time.Second, 10*time.Second), Bytes: d.Count(1, 50_000)}
			},
			strike: func(x *nemesis, s *strike) func() {
				if len(s.nodes) < 2 {
					return nil
				}
				link := x.world.network.Link(s.nodes[0].host, s.nodes[1].host)
				link.CutAfter(s.fault.Bytes, func() { x.took(s) })
				return func() { link.CutAfter(-1, nil) }
			},
		},
		"stale-connection": {
			line: "a middlebox forgets some of a machine's connections: nothing gets through on these for good, nobody is told, new ones work",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), Amount: []float64{0.3, 0.6, 1}[d.IntN(3)]}
			},
			strike: func(x *nemesis, s *strike) func() {
				forgotten := 0
				x.pairs(s, func(a, b *vnet.Host) {
					forgotten += x.world.network.Forget(a, b, s.fault.Amount, s.draw) + x.world.network.Forget(b, a, s.fault.Amount, s.draw)
				})
				if forgotten > 0 {
					x.took(s)
				}
				return nil
			},
		},
		"late-connection": {
			line: "what some of a machine's connections carry arrives only seconds later, and overtaken by newer ones: packets on a path that comes back after everybody had given it up",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				f := schedule.Fault{For: d.Between(200*time.Millisecond, 10*time.Second), Amount: []float64{0.3, 0.6, 1}[d.IntN(3)]}
				if d.IntN(3) == 0 {
					f.Nodes = d.OneNode()
				} else {
					f.On, f.Again = drawMessage(d), d.IntN(4)
				}
				return f
			},
			strike: func(x *nemesis, s *strike) func() {
				var late []*vnet.Held
				x.pairs(s, func(a, b *vnet.Host) {
					late = append(late, x.world.network.Hold(a, b, s.fault.Amount, s.draw)...)
				})
				return func() { x.letGo(s, late) }
			},
		},
		"refuse": {
			line: "a machine's kernel refuses new connections; those that exist go on",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(500*time.Millisecond, 10*time.Second), Mode: d.Of("", "reset")}
			},
			strike: refuse,
		},
	}
}

// letGo counts the fault if something had waited.
func (x *nemesis) letGo(s *strike, late []*vnet.Held) {
	waited := 0
	for _, c := range late {
		waited += c.LetGo()
	}
	if waited > 0 {
		x.took(s)
	}
}

// pairs visits each node of the strike with every other machine, the clients' too.
func (x *nemesis) pairs(s *strike, visit func(a, b *vnet.Host)) {
	for _, n := range s.nodes {
		for _, h := range x.world.network.Hosts() {
			if _, ok := x.world.plainLinks[[2]*vnet.Host{n.host, h}]; ok && h != n.host {
				visit(n.host, h)
			}
		}
	}
}

// refuse: in mode reset the connections there are go first, so that everybody must come again.
func refuse(x *nemesis, s *strike) func() {
	if s.fault.Mode == "reset" {
		x.pairs(s, func(a, b *vnet.Host) { x.world.network.Reset(a, b) })
	}
	sum := func() (n int64) {
		for _, node := range s.nodes {
			n += node.host.Refused
		}
		return n
	}
	for _, n := range s.nodes {
		n.refusing++
		n.host.Refuse = true
	}
	return x.counting(s, sum, func() {
		for _, n := range s.nodes {
			n.refusing--
			n.host.Refuse = n.refusing > 0
		}
	})
}
