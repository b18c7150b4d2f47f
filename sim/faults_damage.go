package sim

import (
	"maps"
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
	maps.Copy(all, readDamage())
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
	all["misdirected-write"] = class{
		line: "a write reaches the platter at another place of its file, whose bytes are lost, and its own keeps the old ones; the power fails and shows it",
		tier: Beyond,
		draw: func(d *schedule.Drawer) schedule.Fault {
			return schedule.Fault{Nodes: d.OneNode(), For: d.Between(100*time.Millisecond, 5*time.Second), Mode: d.Of("raft.db", "raft.db", ""), Bytes: 1 + int64(d.IntN(20))}
		},
		strike: misdirect,
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
	return x.deceive(s, func(_ *Node, c disk.Call) (disk.Verdict, bool) {
		return disk.Verdict{Lie: true}, c.Kind == kind && s.draw.Float64() < s.fault.Amount
	})
}

// deceive lets a disk do something else than it says, which a power cut at the end brings to light.
func (x *nemesis) deceive(s *strike, call func(*Node, disk.Call) (disk.Verdict, bool)) (end func()) {
	n := x.victim(s)
	if n == nil {
		return nil
	}
	s.nodes = []*Node{n}
	honest := x.failCalls(s, func(c disk.Call) (disk.Verdict, bool) {
		if !n.tainted && !x.spares(n) {
			return disk.Verdict{}, false // another disk went first
		}
		v, decided := call(n, c)
		n.tainted = n.tainted || decided
		return v, decided
	})
	return func() {
		honest()
		x.down(n)()
	}
}

// misdirect: Bytes is the number of the write that goes astray, of those to files that the mode names.
func misdirect(x *nemesis, s *strike) (end func()) {
	left := s.fault.Bytes
	return x.deceive(s, func(n *Node, c disk.Call) (disk.Verdict, bool) {
		if left <= 0 || c.Kind != disk.Write || !strings.Contains(c.Path, s.fault.Mode) {
			return disk.Verdict{}, false
		}
		info, _ := n.disk.Stat(c.Path)
		to := elsewhere(s, c, info.Size)
		if left--; left > 0 || to == c.Offset {
			left = max(left, 1) // if there is no other place, the next one
			return disk.Verdict{}, false
		}
		left = 0
		x.world.say("%s: a write of %d bytes to %s at %d goes to %d", n.Name, c.Bytes, c.Path, c.Offset, to)
		return disk.Verdict{Stray: &to}, true
	})
}

// elsewhere draws another sector of the file where a write fits in; the write's own place if there is none.
func elsewhere(s *strike, c disk.Call, size int64) int64 {
	sector := drawSector(s)
	places := (size-int64(c.Bytes))/sector + 1
	if places < 1 || int64(c.Bytes) > size {
		return c.Offset
	}
	return s.draw.Int64N(places) * sector
}

// drawSector: newer drives read and write eight of the older ones' sectors at once, which is also a page of bbolt.
func drawSector(s *strike) int64 { return disk.SectorBytes << (3 * s.draw.IntN(2)) }
