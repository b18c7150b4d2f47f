package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
)

// Who is down, why, and when it comes back. A node that several faults keep down starts when the last of them ends.

// hold keeps the node down once it is down, until release.
func (x *nemesis) hold(n *Node) { n.holds++ }

// release starts the node if nothing else keeps it down.
func (x *nemesis) release(n *Node) {
	n.holds--
	x.restart(n)
}

func (x *nemesis) restart(n *Node) {
	if n.holds == 0 && !n.up && !n.broken && n.life > 0 {
		n.start()
	}
}

// fell does the bookkeeping of a crash.
func (x *nemesis) fell(loss disk.Loss) {
	if loss.Writes > 0 || loss.Names > 0 {
		x.world.reach(ProbeLoss)
	}
	if loss.Torn > 0 {
		x.world.reach("write torn")
	}
}

// crash ends nodes now and starts them at the end.
func (x *nemesis) crash(s *strike, nodes []*Node, power bool, plan disk.Plan) (end func()) {
	for _, n := range nodes {
		x.hold(n)
		if n.up {
			x.fell(n.crash(power, plan))
			x.took(s)
		}
	}
	return func() {
		for _, n := range nodes {
			x.release(n)
		}
	}
}

// supervise starts a node that ended by itself again after a while, as an init system does.
func (x *nemesis) supervise(n *Node) {
	life := n.life
	x.world.timeline.After(time.Second+time.Duration(x.draw.Int64N(int64(2*time.Second))), func() {
		if n.life == life {
			x.restart(n)
		}
	})
}

// stopGrace is how long a node may take to stop in good order: its own --shutdown-grace and some slack for a slow clock.
const stopGrace = 12 * time.Second

// stop asks a node to stop in good order, and judges how it does.
func (x *nemesis) stop(n *Node) {
	life := n.life
	n.excused = x.inTrouble(n)
	n.stop()
	x.world.timeline.After(stopGrace, func() {
		if n.life != life || !n.up {
			return
		}
		if !n.excused && !x.inTrouble(n) {
			x.world.fail("graceful stop", fmt.Sprintf("%s still runs %s after SIGTERM", n.Name, stopGrace))
		}
		n.crash(false, disk.Plan{})
		x.restart(n)
	})
}

// inTrouble: a rule is in force, or the node is paused, so that a stop may take longer than it should or fail.
func (x *nemesis) inTrouble(n *Node) bool {
	for _, r := range x.disks {
		if r.node == n {
			return true
		}
	}
	for _, r := range x.machines {
		if r.node == n {
			return true
		}
	}
	for _, r := range x.clocks {
		if r.node == n {
			return true
		}
	}
	return n.troubled || n.pauses > 0 || x.world.timeline.Now() < n.hangs
}

// stopped: a process that was asked to stop has ended.
func (x *nemesis) stopped(n *Node, code int) {
	if n.broken {
		return
	}
	if code != 0 && !n.excused && !x.inTrouble(n) {
		x.world.fail("graceful stop", fmt.Sprintf("%s was asked to stop and exited with code %d: %s", n.Name, code, n.words))
	}
	if code == 0 {
		x.world.reach("stopped in good order")
	}
	x.restart(n)
}

// exitedUnasked: a process that ends by itself is a failure, unless a fault gives it reason to refuse. A refusal is an exit
// with code 1 and a message; a panic never is one.
func (x *nemesis) exitedUnasked(n *Node, code int, err error) {
	detail := fmt.Sprintf("%s exited with code %d: %s", n.Name, code, n.words)
	if err != nil {
		detail += fmt.Sprintf(" (%v)", err)
	}
	refuses := code == 1 && n.words != ""
	switch {
	case n.tainted: // beyond what a replica can bear: whatever it does is reported apart
		n.broken = true
	case refuses && n.swapped:
		x.world.reach("foreign disk refused")
	case refuses && n.damage != "":
		n.broken = true
		x.world.reach("damage refused")
		x.world.say("%s refuses its damaged disk: %s", n.Name, n.words)
	case refuses && (n.troubled || n.disk.Capacity > 0):
		x.world.reach("exit for want of a disk")
		x.supervise(n)
	default:
		x.world.fail("exit", detail)
		x.supervise(n)
	}
}

// pause stops processes (SIGSTOP), lets them go on at the end, and counts the fault if there were any.
func (x *nemesis) pause(s *strike, nodes []*Node) (end func()) {
	if slices.ContainsFunc(nodes, func(n *Node) bool { return n.up }) {
		x.took(s)
	}
	return x.pauseNodes(nodes)
}

func (x *nemesis) pauseNodes(nodes []*Node) (end func()) {
	lives := map[*Node]int{}
	for _, n := range nodes {
		if n.up {
			n.pauses++
			n.excused = true // a stop that was under way may have lost all its time
			n.machine.Pause()
			lives[n] = n.life
		}
	}
	return func() {
		for _, n := range nodes {
			if life, ok := lives[n]; !ok || life != n.life || !n.up {
				continue
			}
			if n.pauses--; n.pauses == 0 {
				n.machine.Resume()
			}
		}
	}
}

// spares: may the disk of one more node of the shard be destroyed? A majority must keep theirs.
func (x *nemesis) spares(n *Node) bool {
	if n.lost() || n.swapped || x.world.leaders[n.Shard] == nil {
		return false // before the first leader the shard may not be formed: then a lost disk is lost for good, by design
	}
	gone := 1
	for _, other := range x.world.shard(n.Shard) {
		if other.lost() {
			gone++
		}
	}
	return gone <= (x.world.Replicas-1)/2
}
