package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/timeline"
	"github.com/kvorum/kvorum/sim/vnet"
)

// nemesis carries the schedule out.
type nemesis struct {
	world  *World
	active map[int]func() // by fault: what ends it
	order  []int          // of active, as begun
	fired  map[string]int // by class: how often it took effect
	over   bool           // the time of faults is over

	links   []*linkRule
	disks   []*diskRule
	waiting []*waiting
	base    time.Duration // of an fsync
	draw    *rand.Rand
}

// linkRule changes the conditions of some links while it is in force.
type linkRule struct {
	covers func(from, to *vnet.Host) bool
	change func(*vnet.Conditions)
}

// diskRule decides about calls on some disks while it is in force.
type diskRule struct {
	node  *Node
	call  func(disk.Call) (disk.Verdict, bool)
	delay func(disk.Kind, string, int) time.Duration
}

// waiting is a fault whose event has not come yet.
type waiting struct {
	fault *schedule.Fault
	index int
	node  *Node
	left  int
}

func newNemesis(w *World) *nemesis {
	return &nemesis{world: w, active: map[int]func(){}, fired: map[string]int{}, draw: w.stream("nemesis", 0), base: time.Duration(100+w.stream("fsync", 0).IntN(1900)) * time.Microsecond}
}

// arm puts all faults on the timeline.
func (x *nemesis) arm() {
	for i := range x.world.Faults {
		f := &x.world.Faults[i]
		x.world.timeline.At(timeline.Time(f.At), func() {
			if x.over {
				return
			}
			if f.On == nil {
				x.strike(i, f, nil)
				return
			}
			if n := x.world.node(f.On.Node); n != nil {
				x.waiting = append(x.waiting, &waiting{f, i, n, max(1, f.On.Count)})
			}
		})
	}
}

// strike begins a fault and puts its end on the timeline. on is the node of its event, nil without one.
func (x *nemesis) strike(index int, f *schedule.Fault, on *Node) {
	class, ok := classes()[f.ID]
	if !ok {
		x.world.fail("schedule", fmt.Sprintf("no fault class %q", f.ID))
		return
	}
	nodes := x.resolve(f.Nodes, on)
	draw := x.world.stream("fault", index)
	end := class.strike(x, &strike{fault: f, nodes: nodes, draw: draw})
	x.world.say("fault %s %s begins", f.ID, names(nodes))
	if end == nil {
		return
	}
	x.active[index] = end
	x.order = append(x.order, index)
	x.world.timeline.After(time.Duration(f.For), func() { x.end(index) })
}

func (x *nemesis) end(index int) {
	end := x.active[index]
	if end == nil {
		return
	}
	delete(x.active, index)
	end()
	x.world.say("fault %s ends", x.world.Faults[index].ID)
}

// heal ends everything and starts what is down, for these nodes; the others stay as they are, for good.
func (x *nemesis) heal(core map[*Node]bool) {
	x.over = true
	x.waiting = nil
	for _, index := range x.order {
		x.end(index)
	}
	for _, n := range x.world.nodes {
		if !core[n] {
			n.broken = true
			x.world.say("%s stays broken", n.Name)
			n.crash(true, disk.Plan{KeepNone: 1})
			continue
		}
		if n.machine.Paused() {
			n.machine.Resume()
		}
		n.clock.SetRate(x.world.timeline.Now(), 1)
		if !n.up {
			n.start()
		}
	}
}

// took counts that a fault of the class had an effect.
func (x *nemesis) took(id string) { x.fired[id]++ }

// strike is one fault at the moment when it begins.
type strike struct {
	fault *schedule.Fault
	nodes []*Node
	draw  *rand.Rand
}

// resolve turns names into nodes: s0n1, leader:0, follower:0 (one that does not lead), all:0, or the event's.
func (x *nemesis) resolve(list []string, on *Node) (nodes []*Node) {
	if on != nil && len(list) == 0 {
		return []*Node{on}
	}
	for _, name := range list {
		role, rest, found := strings.Cut(name, ":")
		if !found {
			if n := x.world.node(name); n != nil {
				nodes = append(nodes, n)
			}
			continue
		}
		var shard int
		if _, err := fmt.Sscan(rest, &shard); err != nil || shard < 0 || shard >= x.world.Shards {
			continue
		}
		nodes = append(nodes, x.ofRole(role, shard)...)
	}
	return nodes
}

func (x *nemesis) ofRole(role string, shard int) []*Node {
	all, leader := x.world.shard(shard), x.world.leaders[shard]
	switch role {
	case "all":
		return all
	case "leader":
		if leader == nil {
			leader = all[0]
		}
		return []*Node{leader}
	}
	for _, n := range all {
		if n != leader {
			return []*Node{n}
		}
	}
	return nil
}

func names(nodes []*Node) string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.Name)
	}
	return strings.Join(list, " ")
}

// relink gives every link its own conditions, changed by the rules in force.
func (x *nemesis) relink() {
	w := x.world
	plain := w.plainLinks
	for _, a := range w.network.Hosts() {
		for _, b := range w.network.Hosts() {
			if a == b {
				continue
			}
			c := plain[[2]*vnet.Host{a, b}]
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

// link puts a rule in force and returns what ends it.
func (x *nemesis) link(r *linkRule) (end func()) {
	x.links = append(x.links, r)
	x.relink()
	return func() {
		x.links = without(x.links, r)
		x.relink()
	}
}

// disk puts a rule in force and returns what ends it.
func (x *nemesis) disk(r *diskRule) (end func()) {
	x.disks = append(x.disks, r)
	return func() { x.disks = without(x.disks, r) }
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

func (x *nemesis) diskDelay(n *Node, kind disk.Kind, path string, bytes int) (d time.Duration) {
	if kind == disk.Sync {
		d = x.base + time.Duration(x.draw.Int64N(int64(x.base)))
	}
	for _, r := range x.disks {
		if r.node == n && r.delay != nil {
			d += r.delay(kind, path, bytes)
		}
	}
	return d
}

func (x *nemesis) diskCall(n *Node, c disk.Call) disk.Verdict {
	x.event(n, c.Kind.String(), c.Path)
	for _, r := range x.disks {
		if r.node == n && r.call != nil {
			if v, decided := r.call(c); decided {
				return v
			}
		}
	}
	return disk.Verdict{}
}

func (x *nemesis) logLine(n *Node, line string) { x.event(n, "log", line) }

// event strikes what waited for it.
func (x *nemesis) event(n *Node, kind, text string) {
	for _, q := range x.waiting {
		if q.node != n || q.fault.On.Kind != kind || q.left <= 0 || !strings.Contains(text, q.fault.On.Match) {
			continue
		}
		if q.left--; q.left == 0 {
			// not from inside the machine that called: it must be at rest to be crashed
			x.world.timeline.After(0, func() {
				if !x.over {
					x.strike(q.index, q.fault, n)
				}
			})
			n.machine.Halt()
		}
	}
}

// watchesCalls: does any fault wait for host calls of the node? Asking at every call costs time.
func (x *nemesis) watchesCalls(n *Node) bool {
	for i := range x.world.Faults {
		if on := x.world.Faults[i].On; on != nil && on.Node == n.Name && machine.IsFunction(on.Kind) {
			return true
		}
	}
	return false
}

func (x *nemesis) called(n *Node, function string) bool {
	x.event(n, function, "")
	return false
}

func (x *nemesis) stopped(*Node, int) {}

// exitedUnasked: a process that ends by itself is a failure, unless a fault gives it reason to refuse.
func (x *nemesis) exitedUnasked(n *Node, code int, err error) {
	detail := fmt.Sprintf("%s exited with code %d: %v", n.Name, code, err)
	x.world.fail("exit", detail)
}
