package sim

import (
	"strings"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/schedule"
)

// dataFolder is where a node keeps everything.
const dataFolder = "data"

// damageFaults destroy what a disk holds while its node is down. They never take the last good copy: a minority of a shard at
// most is ever damaged. The node must refuse to serve, and from then on nobody expects anything of it.
func damageFaults() map[string]class {
	draw := func(d *schedule.Drawer) schedule.Fault {
		return schedule.Fault{Nodes: d.OneNode(), For: d.Between(100*time.Millisecond, 4*time.Second), Amount: d.Float64(), Mode: d.Of("raft.db", "raft.db", "snapshots", "identity.json", "")}
	}
	// at rest crashes one node, does the damage, and starts it.
	atRest := func(line string, tier Tier, damage func(n *Node, s *strike) string) class {
		return class{line: line, tier: tier, draw: draw, strike: func(x *nemesis, s *strike) func() { return x.harm(s, tier, damage) }}
	}
	all := map[string]class{
		"bit-flip": atRest("one bit of a file changes while the machine is down", Detectable, func(n *Node, s *strike) string {
			e, ok := pickFile(n, s)
			if !ok || !n.disk.Flip(e.Name, int64(s.draw.Float64()*float64(e.Size)), uint(s.draw.IntN(8))) {
				return ""
			}
			return "a bit of " + e.Name + " flipped"
		}),
		"truncation": atRest("a file loses its end while the machine is down", Detectable, func(n *Node, s *strike) string {
			e, ok := pickFile(n, s)
			if !ok || !n.disk.Cut(e.Name, int64(s.fault.Amount*float64(e.Size))) {
				return ""
			}
			return e.Name + " truncated"
		}),
		"vanished-file": atRest("a file is gone when the machine comes back", Detectable, func(n *Node, s *strike) string {
			e, ok := pickFile(n, s)
			if !ok || !n.disk.Vanish(e.Name) {
				return ""
			}
			return e.Name + " gone"
		}),
		"wiped-disk": {
			line: "a machine comes back with an empty disk under its old id: the others must not let it in",
			tier: Detectable, draw: draw, strike: wipe,
		},
		"swapped-disks": {
			line: "two machines come back with each other's disks, and later with their own",
			tier: Detectable,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.Pair(), For: d.Between(2*time.Second, 6*time.Second)}
			},
			strike: swapDisks,
		},
		"old-image": {
			line: "a machine comes back with the disk as it was some time ago: its votes and acknowledgements since are forgotten",
			tier: Beyond, draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(time.Second, 10*time.Second)}
			},
			strike: oldImage,
		},
	}
	for id, what := range map[string]disk.Kind{"lying-sync": disk.Sync, "lost-write": disk.Write} {
		all[id] = class{
			line: "a disk says that a " + what.String() + " is done and keeps nothing, until the power fails",
			tier: Beyond,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(100*time.Millisecond, 5*time.Second), Amount: []float64{0.1, 1}[d.IntN(2)]}
			},
			strike: func(x *nemesis, s *strike) func() { return x.lie(s, what) },
		}
	}
	return all
}

// pickFile draws a file of the node, of those that the mode names if there are any.
func pickFile(n *Node, s *strike) (disk.Entry, bool) {
	var some []disk.Entry
	for _, e := range n.disk.Files(dataFolder) {
		if e.Size > 0 && strings.Contains(e.Name, s.fault.Mode) && !strings.HasSuffix(e.Name, "reserve") {
			some = append(some, e)
		}
	}
	if len(some) == 0 {
		return disk.Entry{}, false
	}
	return some[s.draw.IntN(len(some))], true
}

// victim is the first node of the strike whose disk may be destroyed.
func (x *nemesis) victim(s *strike) *Node {
	for _, n := range s.nodes {
		if x.spares(n) {
			return n
		}
	}
	return nil
}

// down ends the node for a while, in whose middle something is done to its disk.
func (x *nemesis) down(n *Node) (up func()) {
	x.hold(n)
	if n.up {
		x.fell(n.crash(true, lossyPlan()))
	}
	return func() { x.release(n) }
}

func (x *nemesis) harm(s *strike, tier Tier, damage func(n *Node, s *strike) string) (end func()) {
	n := x.victim(s)
	if n == nil {
		return nil
	}
	up := x.down(n)
	if what := damage(n, s); what != "" {
		x.took(s)
		n.damage = what
		x.world.say("%s: %s", n.Name, what)
	}
	return up
}

// damageWiped is the damage of a disk on which nothing is left.
const damageWiped = "wiped"

func wipe(x *nemesis, s *strike) func() {
	n := x.victim(s)
	if n == nil {
		return nil
	}
	up := x.down(n)
	n.disk.Wipe()
	n.damage = damageWiped
	x.took(s)
	return func() {
		up()
		n.broken = true // it runs, in vain
	}
}

func swapDisks(x *nemesis, s *strike) func() {
	if len(s.nodes) < 2 || s.nodes[0] == s.nodes[1] || s.nodes[0].lost() || s.nodes[1].lost() || s.nodes[0].swapped || s.nodes[1].swapped {
		return nil
	}
	a, b := s.nodes[0], s.nodes[1]
	exchange := func(swapped bool) {
		upA, upB := x.down(a), x.down(b)
		a.disk.Swap(b.disk)
		a.swapped, b.swapped = swapped, swapped
		x.world.timeline.After(50*time.Millisecond, func() {
			upA()
			upB()
		})
	}
	x.took(s)
	exchange(true)
	return func() { exchange(false) }
}

// oldImage takes the image now and puts it back at the end.
func oldImage(x *nemesis, s *strike) func() {
	n := x.victim(s)
	if n == nil {
		return nil
	}
	image := n.disk.Clone()
	return func() {
		up := x.down(n)
		n.disk.Restore(image)
		n.tainted = true
		x.took(s)
		up()
	}
}

// lie ends with a power cut, which brings the lie to light.
func (x *nemesis) lie(s *strike, kind disk.Kind) (end func()) {
	n := x.victim(s)
	if n == nil {
		return nil
	}
	s.nodes = []*Node{n}
	honest := x.failCalls(s, func(c disk.Call) (disk.Verdict, bool) {
		if c.Kind != kind || s.draw.Float64() >= s.fault.Amount {
			return disk.Verdict{}, false
		}
		n.tainted = true
		return disk.Verdict{Lie: true}, true
	})
	return func() {
		honest()
		x.down(n)()
	}
}
