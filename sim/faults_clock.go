package sim

import (
	"slices"
	"time"

	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/vnet"
)

func seconds(amount float64) time.Duration { return time.Duration(amount * float64(time.Second)) }

// signed draws a length of time forth or back, in seconds.
func signed(d *schedule.Drawer, low, high time.Duration) float64 {
	amount := time.Duration(d.Between(low, high)).Seconds()
	if d.IntN(2) == 0 {
		return -amount
	}
	return amount
}

func clockFaults() map[string]class {
	rate := func(d *schedule.Drawer) schedule.Fault {
		return schedule.Fault{Nodes: d.SomeNodes(), For: d.Between(2*time.Second, 25*time.Second), Amount: 0.9 + 0.2*d.Float64()}
	}
	return map[string]class{
		"clock-offset": {
			line: "a wall clock is wrong by up to an hour for a while",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(time.Second, 20*time.Second), Amount: signed(d, time.Millisecond, time.Hour)}
			},
			strike: func(x *nemesis, s *strike) func() {
				x.jump(s, s.fault.Amount)
				return func() { x.jump(s, -s.fault.Amount) }
			},
		},
		"clock-jump": {
			line: "a wall clock jumps, forth or back, for good",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), Amount: signed(d, 10*time.Millisecond, time.Hour)}
			},
			strike: func(x *nemesis, s *strike) func() { x.jump(s, s.fault.Amount); return nil },
		},
		"clock-strobe": {
			line: "a wall clock jumps forth and back many times a second",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(time.Second, 8*time.Second), Amount: time.Duration(d.Between(time.Millisecond, 10*time.Second)).Seconds()}
			},
			strike: clockStrobe,
		},
		"clock-drift": {
			line: "clocks, the monotonic ones too, run up to 10 % fast or slow",
			tier: Tolerated,
			draw: rate,
			strike: func(x *nemesis, s *strike) func() {
				return x.clocksRule(s, func(n *Node) *clockRule { return &clockRule{node: n, rate: s.fault.Amount} })
			},
		},
		"clock-wobble": {
			line:   "the rate of clocks changes again and again, by up to 10 %",
			tier:   Tolerated,
			draw:   rate,
			strike: clockWobble,
		},
		"clock-coarse": {
			line: "clocks are coarse: readings of the same some milliseconds are equal",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.SomeNodes(), For: d.Between(time.Second, 15*time.Second), Amount: []float64{0.001, 0.004, 0.016}[d.IntN(3)]}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.clocksRule(s, func(n *Node) *clockRule { return &clockRule{node: n, rate: 1, grain: seconds(s.fault.Amount)} })
			},
		},
		"freeze": {
			line: "a virtual machine is frozen with its clocks, some while it leads with answers coming in; when it goes on, its wall clock jumps to the right time and its monotonic one does not, so that it takes itself for a leader still",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				f := schedule.Fault{For: d.Between(200*time.Millisecond, 10*time.Second)}
				if d.IntN(3) == 0 {
					f.Nodes = d.OneNode()
				} else {
					f.On, f.Again = drawReign(d), d.IntN(3)
				}
				return f
			},
			strike: freeze,
		},
		"suspend": {
			line: "a virtual machine that leads, or is about to, is frozen as by freeze and cut off from all others of the cluster, and when it goes on its connections come back one after the other, each when a packet is sent again on it: so it hears old answers, or new heartbeats, before it hears that others lead",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				after := d.Between(20*time.Millisecond, time.Second) // leases last 200 ms to 1 s
				return schedule.Fault{On: drawReign(d), Again: d.IntN(4), For: after + d.Between(300*time.Millisecond, 6*time.Second), Amount: time.Duration(after).Seconds()}
			},
			strike: suspend,
		},
	}
}

func (x *nemesis) jump(s *strike, amount float64) {
	for _, n := range s.nodes {
		n.clock.Jump(seconds(amount))
		if n.up && amount == s.fault.Amount {
			x.took(s)
		}
	}
}

// clocksRule puts a rule in force on each node's clock.
func (x *nemesis) clocksRule(s *strike, rule func(*Node) *clockRule) (end func()) {
	var ends []func()
	for _, n := range s.nodes {
		if n.up && len(ends) == 0 {
			x.took(s)
		}
		ends = append(ends, x.clock(rule(n)))
	}
	return all(ends)
}

func clockStrobe(x *nemesis, s *strike) func() {
	sign := 1.0
	flip := func() {
		x.jump(s, sign*s.fault.Amount)
		sign = -sign
	}
	flip()
	stop := x.repeat(func() time.Duration { return time.Duration(5+s.draw.IntN(200)) * time.Millisecond }, flip)
	return func() {
		stop()
		if sign < 0 {
			flip()
		}
	}
}

func clockWobble(x *nemesis, s *strike) func() {
	rate := s.fault.Amount
	put := func() func() {
		return x.clocksRule(s, func(n *Node) *clockRule { return &clockRule{node: n, rate: rate} })
	}
	end := put()
	stop := x.repeat(func() time.Duration { return time.Duration(100+s.draw.IntN(2000)) * time.Millisecond }, func() {
		end()
		rate = 0.9 + 0.2*s.draw.Float64()
		end = put()
	})
	return func() {
		stop()
		end()
	}
}

func freeze(x *nemesis, s *strike) func() {
	if slices.ContainsFunc(s.nodes, func(n *Node) bool { return n.up }) {
		x.took(s)
	}
	return x.freezeNodes(s.nodes)
}

// freezeNodes stops nodes and their clocks. Whatever froze a node last lets its wall clock jump, by all the time that it stood.
func (x *nemesis) freezeNodes(nodes []*Node) (goOn func()) {
	began := x.world.timeline.Now()
	var ends []func()
	for _, n := range nodes {
		if n.frozen++; n.frozen == 1 {
			n.frozenAt = began
		}
		ends = append(ends, x.clock(&clockRule{node: n, rate: 0}))
	}
	resume := x.pauseNodes(nodes)
	return func() {
		all(ends)()
		now := x.world.timeline.Now()
		for _, n := range nodes {
			if n.frozen--; n.frozen == 0 {
				n.clock.Jump(now.Sub(n.frozenAt))
			}
			x.world.frozen = append(x.world.frozen, standstill{n.Name, int64(began), int64(now)})
		}
		resume()
	}
}

// lastWords is how long the network carries what a suspended machine said last, and others answer it.
const lastWords = 50 * time.Millisecond

// suspend: the fault's Amount is how many seconds of it come after the freeze, in which the connections to the other nodes come
// back, each direction by itself. It counts if something had to wait for that.
func suspend(x *nemesis, s *strike) func() {
	goOn := x.freezeNodes(s.nodes)
	var late []*vnet.Held
	hold := func(inwards bool) {
		x.pairs(s, func(node, other *vnet.Host) {
			switch {
			case other == x.world.crowd:
			case inwards:
				late = append(late, x.world.network.HoldOneWay(other, node)...)
			default:
				late = append(late, x.world.network.HoldOneWay(node, other)...)
			}
		})
	}
	hold(true)
	plug, gone := func() {}, false
	thaw := func() {
		if !gone {
			gone = true
			plug()
			goOn()
		}
	}
	x.world.timeline.After(lastWords, func() {
		if !gone {
			hold(false)
			cut := x.between(sided(hostsOf(s.nodes), "both")) // nor do the others get a new connection to it
			plug = x.link(&linkRule{covers: cut, change: func(c *vnet.Conditions) { c.Cut = true }})
		}
	})
	waited := 0
	after := min(seconds(s.fault.Amount), time.Duration(s.fault.For)/2)
	x.world.timeline.After(time.Duration(s.fault.For)-after, func() {
		thaw()
		for _, c := range late {
			x.world.timeline.After(time.Duration(s.draw.Int64N(int64(after)+1)), func() { waited += c.LetGo() })
		}
	})
	return func() {
		thaw()
		for _, c := range late {
			waited += c.LetGo()
		}
		if waited > 0 {
			x.took(s)
		}
	}
}
