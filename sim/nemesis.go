package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/tap"
	"github.com/kvorum/kvorum/sim/timeline"
)

// nemesis carries the schedule out.
type nemesis struct {
	world  *World
	active map[int]func()  // by fault: what ends it
	struck map[int][]*Node // by active fault: whom it struck
	window map[int]func()  // by fault: what ends its window in the report
	order  []int           // of active, as begun
	fired  map[string]int  // by class: how often it took effect
	over   bool            // the time of faults is over

	links    []*linkRule
	disks    []*diskRule
	machines []*machineRule
	clocks   []*clockRule
	waiting  []*waiting
	base     time.Duration // of an fsync
	draw     *rand.Rand
	errands  int
}

// waiting is something that happens when an event has come on a node; a nil node means any.
type waiting struct {
	event *schedule.Event
	node  *Node
	left  int
	do    func(on *Node)
}

func newNemesis(w *World) *nemesis {
	return &nemesis{world: w, active: map[int]func(){}, struck: map[int][]*Node{}, window: map[int]func(){}, fired: map[string]int{}, draw: w.stream("nemesis", 0), base: time.Duration(100+w.stream("fsync", 0).IntN(1900)) * time.Microsecond}
}

// arm puts all faults on the timeline.
func (x *nemesis) arm() {
	for i := range x.world.Faults {
		f := &x.world.Faults[i]
		x.world.timeline.At(timeline.Time(f.At), func() {
			switch {
			case x.over:
			case f.On == nil:
				x.strike(i, f, nil)
			default:
				x.armEvent(i, f, 0)
			}
		})
	}
}

// armEvent lets a fault strike at its event for the n-th time (from 0).
func (x *nemesis) armEvent(i int, f *schedule.Fault, n int) {
	e := *f.On
	if e.Then != nil {
		then := *e.Then
		then.Count += n
		e.Then = &then
	}
	x.await(&e, func(on *Node) {
		x.strike(i, f, on)
		if n < f.Again {
			x.world.timeline.After(time.Duration(f.For), func() {
				if !x.over {
					x.armEvent(i, f, n+1)
				}
			})
		}
	})
}

// await lets do happen once the event has come, and after it the one that is to come then.
func (x *nemesis) await(e *schedule.Event, do func(on *Node)) *waiting {
	if e.Then != nil {
		then := *e.Then
		last := do
		do = func(on *Node) {
			then.Node = on.Name
			x.await(&then, last)
		}
	}
	q := &waiting{e, x.world.node(e.Node), max(1, e.Count), do}
	if q.node == nil && e.Node != "" {
		return q // of a node that is not there; never comes
	}
	x.waiting = append(x.waiting, q)
	return q
}

// strike begins a fault and puts its end on the timeline. on is the node of its event, nil without one.
func (x *nemesis) strike(index int, f *schedule.Fault, on *Node) {
	class, ok := classes()[f.ID]
	if !ok {
		x.world.fail("schedule", fmt.Sprintf("no fault class %q", f.ID))
		return
	}
	s := &strike{fault: f, index: index, nodes: x.resolve(f.Nodes, on), draw: x.world.stream("fault", index)}
	x.world.say("fault %s %s begins", f.ID, names(s.nodes))
	window := x.world.annotate("fault", strings.TrimSpace(f.ID+" "+names(s.nodes)))
	end := class.strike(x, s)
	if end == nil {
		return
	}
	x.window[index] = window
	x.active[index], x.struck[index] = end, s.nodes
	x.order = append(x.order, index)
	x.world.timeline.After(time.Duration(f.For), func() { x.end(index) })
}

func (x *nemesis) end(index int) {
	end := x.active[index]
	if end == nil {
		return
	}
	delete(x.active, index)
	delete(x.struck, index)
	end()
	x.world.say("fault %s ends", x.world.Faults[index].ID)
	x.window[index]()
	delete(x.window, index)
}

// closeWindows: what stays for good ends with the world.
func (x *nemesis) closeWindows() {
	for _, closes := range x.window {
		closes()
	}
}

// heal ends everything and starts what is down, for these nodes. The others keep, for good, a fault that lasts and strikes none
// of the core; without one they lose their power for good. A node whose disk was damaged cannot be of use: another of its shard
// takes its place.
func (x *nemesis) heal(core map[*Node]bool) {
	x.over = true
	x.waiting = nil
	for _, index := range x.order {
		if !classes()[x.world.Faults[index].ID].lasts {
			x.end(index)
		}
	}
	x.replaceLost(core) // the end of a fault may have cost a disk; who takes its place is healed
	kept := x.keepBroken(core)
	for _, n := range x.world.nodes {
		switch {
		case !core[n] && kept[n] && n.up:
			x.world.reach("a node stays broken for good")
			n.broken = true
		case !core[n]:
			x.world.say("%s stays broken", n.Name)
			if n.machine != nil {
				n.machine.HashMemory(x.world.remains)
			}
			n.crash(true, disk.Plan{KeepNone: 1})
			n.broken = true // only now: it is a power cut like others, after which the disk must be in order
		case !n.up:
			n.start()
		}
	}
}

// replaceLost takes nodes out of the core whose disks are no good, and others of their shards in.
func (x *nemesis) replaceLost(core map[*Node]bool) {
	for _, n := range x.world.nodes {
		if core[n] && n.lost() {
			delete(core, n)
			if spare := x.spare(n.Shard, core); spare != nil {
				core[spare] = true
			}
		}
	}
}

// keepBroken ends the faults in force but for those that stay for good, and says whom these strike.
func (x *nemesis) keepBroken(core map[*Node]bool) (kept map[*Node]bool) {
	kept = map[*Node]bool{}
	for _, index := range x.order {
		if !x.staysBroken(index, core) {
			x.end(index)
			continue
		}
		for _, n := range x.struck[index] {
			kept[n] = true
		}
		x.world.say("fault %s stays for good", x.world.Faults[index].ID)
		delete(x.active, index) // nothing ends it
	}
	return kept
}

// staysBroken: is the fault in force, does it last, and strike nobody of the core?
func (x *nemesis) staysBroken(index int, core map[*Node]bool) bool {
	return x.active[index] != nil && classes()[x.world.Faults[index].ID].lasts && len(x.struck[index]) > 0 &&
		!slices.ContainsFunc(x.struck[index], func(n *Node) bool { return core[n] || n.lost() })
}

// use is how much a node is of use in the core: not at all without its disk, hardly if it suffers from a fault that may last.
func (x *nemesis) use(n *Node) int {
	if n.lost() {
		return 0
	}
	for index, nodes := range x.struck {
		if classes()[x.world.Faults[index].ID].lasts && slices.Contains(nodes, n) {
			return 1
		}
	}
	return 2
}

// spare is a node of the shard that is not in core and could be.
func (x *nemesis) spare(shard int, core map[*Node]bool) *Node {
	for _, n := range x.world.shard(shard) {
		if !core[n] && !n.lost() {
			return n
		}
	}
	return nil
}

// took counts that a fault had an effect.
func (x *nemesis) took(s *strike) { x.fired[s.fault.ID]++ }

// counting returns an end that counts the fault if the sum has grown since.
func (x *nemesis) counting(s *strike, sum func() int64, end func()) func() {
	before := sum()
	return func() {
		if sum() > before {
			x.took(s)
		}
		end()
	}
}

// repeat does something again and again, first after one pause, until stop.
func (x *nemesis) repeat(pause func() time.Duration, do func()) (stop func()) {
	stopped := false
	var next func()
	next = func() {
		if stopped {
			return
		}
		do()
		x.world.timeline.After(pause(), next)
	}
	x.world.timeline.After(pause(), next)
	return func() { stopped = true }
}

// resolve turns names into nodes: s0n1, leader:0, follower:0 (one that does not lead), shard:0, all, or the event's.
func (x *nemesis) resolve(list []string, on *Node) (nodes []*Node) {
	if on != nil && len(list) == 0 {
		return []*Node{on}
	}
	for _, name := range list {
		role, rest, found := strings.Cut(name, ":")
		if name == "all" {
			nodes = append(nodes, x.world.nodes...)
		}
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
	all := x.world.shard(shard)
	leader := cmp.Or(x.world.leaders[shard], all[0])
	switch role {
	case "shard":
		return all
	case "leader":
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

// message is told of each raft message as it is sent.
func (x *nemesis) message(what tap.Message, from, to string) {
	if len(x.waiting) == 0 {
		return
	}
	for _, side := range []struct{ node, does string }{{from, what.Sender()}, {to, what.Receiver()}} {
		if n := x.world.node(side.node); n != nil && n.up {
			x.event(n, onWire, side.does)
		}
	}
}

// onWire is the kind of event that a raft message is, to who sends it and to whom it is sent.
const onWire = "wire"

func (x *nemesis) logLine(n *Node, line string) { x.event(n, "log", line) }

// event lets happen what waited for it.
func (x *nemesis) event(n *Node, kind, text string) {
	if len(x.waiting) == 0 {
		return
	}
	for _, q := range slices.Clone(x.waiting) {
		if q.node != nil && q.node != n || q.event.Kind != kind || !strings.Contains(text, q.event.Match) {
			continue
		}
		if q.left--; q.left > 0 {
			continue
		}
		x.waiting = without(x.waiting, q)
		// not from inside the machine that called: it must be at rest to be crashed
		x.world.timeline.After(0, func() {
			if !x.over {
				q.do(n)
			}
		})
		n.machine.Halt()
	}
}

// watchesCalls: does any fault wait for host calls of the node? Asking at every call costs time.
func (x *nemesis) watchesCalls(n *Node) bool {
	for i := range x.world.Faults {
		if on := x.world.Faults[i].On; on != nil && (on.Node == n.Name || on.Node == "") && machine.IsFunction(on.Kind) {
			return true
		}
	}
	return false
}

func (x *nemesis) called(n *Node, function string) bool {
	x.event(n, function, "")
	return false
}
