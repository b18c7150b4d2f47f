package sim

import (
	"time"

	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/vnet"
)

// touching covers all links of the strike's nodes, those to clients too.
func touching(s *strike) func(a, b *vnet.Host) bool {
	group := hostsOf(s.nodes)
	return func(a, b *vnet.Host) bool { return group[a] || group[b] }
}

func linkFaults() map[string]class {
	// bend makes a class whose faults change the links of some machines by an amount.
	bend := func(line string, low, high time.Duration, change func(c *vnet.Conditions, s *strike), effect func(*vnet.Link) int64) class {
		return class{
			line: line, tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				nodes := d.OneNode()
				if d.IntN(2) == 0 {
					nodes = d.SomeNodes()
				}
				return schedule.Fault{Nodes: nodes, For: d.Between(500*time.Millisecond, 15*time.Second), Amount: time.Duration(d.Between(low, high)).Seconds()}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.degrade(s, touching(s), func(c *vnet.Conditions) { change(c, s) }, effect)
			},
		}
	}
	sent := func(l *vnet.Link) int64 { return l.Carried.Packets }
	return map[string]class{
		"latency": bend("packets of some machines take longer, all alike", time.Millisecond, time.Second,
			func(c *vnet.Conditions, s *strike) { c.Delay += seconds(s.fault.Amount) }, sent),
		"jitter": bend("packets of some machines take longer, each differently, so that connections overtake each other", time.Millisecond, 500*time.Millisecond,
			func(c *vnet.Conditions, s *strike) { c.Jitter += seconds(s.fault.Amount) }, sent),
		"tail": bend("one packet in some takes much longer", 50*time.Millisecond, 3*time.Second,
			func(c *vnet.Conditions, s *strike) { c.Tail, c.TailDelay = 0.03, seconds(s.fault.Amount) }, func(l *vnet.Link) int64 { return l.Carried.Tailed }),
		"loss": { // the amount is a chance
			line: "packets are lost, up to every second one, and sent again later",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.SomeNodes(), For: d.Between(500*time.Millisecond, 15*time.Second), Amount: []float64{0.01, 0.05, 0.2, 0.5}[d.IntN(4)]}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.degrade(s, touching(s), func(c *vnet.Conditions) { c.Loss = max(c.Loss, s.fault.Amount) }, func(l *vnet.Link) int64 { return l.Carried.Lost })
			},
		},
		"bandwidth": {
			line: "links of some machines carry only some kilobytes a second, so that senders have to wait",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(time.Second, 12*time.Second), Bytes: d.Count(3_000, 300_000)}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.degrade(s, touching(s), func(c *vnet.Conditions) { c.Bandwidth = s.fault.Bytes }, func(l *vnet.Link) int64 { return l.Carried.Queued })
			},
		},
		"clog": {
			line: "nothing arrives at, or leaves, a machine for a while, and then everything at once",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(100*time.Millisecond, 8*time.Second), Mode: d.Of("both", "in", "out")}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.clog(s, sided(hostsOf(s.nodes), s.fault.Mode))
			},
		},
		"clog-pair": {
			line: "nothing arrives on the way from one machine to another for a while, and then everything at once",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.Pair(), For: d.Between(100*time.Millisecond, 10*time.Second)}
			},
			strike: func(x *nemesis, s *strike) func() {
				if len(s.nodes) < 2 {
					return nil
				}
				from, to := s.nodes[0].host, s.nodes[1].host
				return x.clog(s, func(a, b *vnet.Host) bool { return a == from && b == to })
			},
		},
		"swizzle-clog": {
			line: "machines are clogged one after the other, and released in another order",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.SomeNodes(), For: d.Between(time.Second, 10*time.Second)}
			},
			strike: swizzle,
		},
	}
}

func (x *nemesis) clog(s *strike, covers func(a, b *vnet.Host) bool) (end func()) {
	return x.degrade(s, covers, func(c *vnet.Conditions) { c.Clogged = true }, func(l *vnet.Link) int64 { return l.Carried.Held })
}

func swizzle(x *nemesis, s *strike) func() {
	half := int64(s.fault.For) / 2
	ends := make([]func(), len(s.nodes))
	over := false
	for i, n := range s.nodes {
		begin := time.Duration(s.draw.Int64N(half + 1))
		release := time.Duration(half + s.draw.Int64N(half+1))
		x.world.timeline.After(begin, func() {
			if !over {
				ends[i] = x.clog(s, sided(hostsOf([]*Node{n}), "both"))
			}
		})
		x.world.timeline.After(release, func() {
			if ends[i] != nil {
				ends[i]()
				ends[i] = nil
			}
		})
	}
	return func() {
		over = true
		for i, end := range ends {
			if end != nil {
				end()
				ends[i] = nil
			}
		}
	}
}
