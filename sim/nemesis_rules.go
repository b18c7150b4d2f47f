package sim

import (
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/vnet"
)

// Faults that last are rules. Several may be in force for one link, disk, machine or clock; when one ends, the rest stays.

// linkRule changes the conditions of some links while it is in force. Links of the operator's machines have no faults.
type linkRule struct {
	covers func(from, to *vnet.Host) bool
	change func(*vnet.Conditions)
}

// diskRule decides about calls on a node's disk while it is in force.
type diskRule struct {
	node     *Node
	call     func(disk.Call) (disk.Verdict, bool)
	delay    func(kind disk.Kind, path string, bytes int) time.Duration
	capacity int64 // bytes; 0: no bound
}

// machineRule makes a node's CPU, timers or scheduler worse while it is in force.
type machineRule struct {
	node       *Node
	slowness   float64              // times the usual CPU time of host calls; 0: as usual
	late       func() time.Duration // by which timers are late
	unfairness float64              // chance that the scheduler prefers, see machine.Unfair
	newest     bool
}

// clockRule bends a node's clock while it is in force.
type clockRule struct {
	node  *Node
	rate  float64 // times the rate without the rule
	grain time.Duration
}

func without[T comparable](list []T, x T) []T {
	kept := make([]T, 0, len(list))
	for _, e := range list {
		if e != x {
			kept = append(kept, e)
		}
	}
	return kept
}

// force puts a rule in force and returns what ends it.
func force[T comparable](list *[]T, r T, apply func()) (end func()) {
	*list = append(*list, r)
	apply()
	return func() {
		*list = without(*list, r)
		apply()
	}
}

func (x *nemesis) link(r *linkRule) (end func()) { return force(&x.links, r, x.relink) }

func (x *nemesis) disk(r *diskRule) (end func()) {
	return force(&x.disks, r, func() { x.resize(r.node) })
}

func (x *nemesis) machine(r *machineRule) (end func()) {
	return force(&x.machines, r, func() { x.started(r.node) })
}

func (x *nemesis) clock(r *clockRule) (end func()) {
	return force(&x.clocks, r, func() { x.retime(r.node) })
}

// relink gives every link its own conditions, changed by the rules in force.
func (x *nemesis) relink() {
	w := x.world
	for _, a := range w.network.Hosts() {
		for _, b := range w.network.Hosts() {
			c, ok := w.plainLinks[[2]*vnet.Host{a, b}]
			if a == b || !ok {
				continue
			}
			for _, r := range x.links {
				if r.covers(a, b) {
					r.change(&c)
				}
			}
			if l := w.network.Link(a, b); l.Conditions() != c {
				l.Set(c)
			}
		}
	}
}

// resize sets the disk's capacity to the least of the rules in force.
func (x *nemesis) resize(n *Node) {
	n.disk.Capacity = 0
	for _, r := range x.disks {
		if r.node == n && r.capacity > 0 && (n.disk.Capacity == 0 || r.capacity < n.disk.Capacity) {
			n.disk.Capacity = r.capacity
		}
	}
}

// started puts the machine rules in force on the node's present life.
func (x *nemesis) started(n *Node) {
	if !n.up {
		return
	}
	slowness, unfairness, newest := 1.0, 0.0, false
	var late func() time.Duration
	for _, r := range x.machines {
		if r.node != n {
			continue
		}
		if r.slowness > 0 {
			slowness *= r.slowness
		}
		if r.late != nil {
			late = r.late
		}
		if r.unfairness > 0 {
			unfairness, newest = r.unfairness, r.newest
		}
	}
	n.machine.SetSlowness(slowness)
	n.machine.SetLateness(late)
	n.machine.Unfair(newest, unfairness)
}

// mostDrift is by how much a clock may run too fast or too slow.
const mostDrift = 0.1

// retime sets the clock as the rules in force want it.
func (x *nemesis) retime(n *Node) {
	rate, grain := n.rate, time.Duration(0)
	for _, r := range x.clocks {
		if r.node == n {
			rate *= r.rate
			grain = max(grain, r.grain)
		}
	}
	if rate > 0 { // several rules at once are within what the fault model allows, too
		rate = min(max(rate, 1-mostDrift), 1+mostDrift)
	}
	n.clock.SetGrain(grain)
	n.clock.SetRate(x.world.timeline.Now(), rate)
	if n.up {
		n.machine.ClockChanged()
	}
}

func (x *nemesis) diskDelay(n *Node, kind disk.Kind, path string, bytes int) (d time.Duration) {
	if kind == disk.Sync {
		d = x.base + time.Duration(x.draw.Int64N(int64(x.base)))
	}
	sound := d
	for _, r := range x.disks {
		if r.node == n && r.delay != nil {
			d += r.delay(kind, path, bytes)
		}
	}
	if d > sound {
		n.hangs = max(n.hangs, x.world.timeline.Now().Add(d))
	}
	return d
}

func (x *nemesis) diskCall(n *Node, c disk.Call) disk.Verdict {
	x.event(n, anyDiskCall, c.Path)
	x.event(n, c.Kind.String(), c.Path)
	for _, r := range x.disks {
		if r.node != n || r.call == nil {
			continue
		}
		if v, decided := r.call(c); decided {
			n.troubled = n.troubled || v.Errno != 0
			return v
		}
	}
	return disk.Verdict{}
}
