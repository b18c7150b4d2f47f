package sim

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/schedule"
)

// readDamage are faults of a read: the platter is in order, what the program gets is not. A process reads most when it starts,
// so it is killed and started; what is not reached then strikes at reads that come later, while the fault lasts.
func readDamage() map[string]class {
	// A flip strikes within the time of a start, before the node can lead: what a leader reads of a snapshot to send it is found out
	// by the follower, who refuses it.
	flip := func(line string, tier Tier, mark func(n *Node, what string), modes ...string) class {
		return class{
			line: line, tier: tier,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(50*time.Millisecond, 250*time.Millisecond), Amount: d.Float64(), Mode: d.Of(modes...)}
			},
			strike: func(x *nemesis, s *strike) func() { return flipRead(x, s, mark) },
		}
	}
	return map[string]class{
		"read-flip": flip("a machine that starts reads one wrong bit, once, of its snapshots or its identity; the file is in order",
			Detectable, func(n *Node, what string) { n.damage = what }, "snapshots", "snapshots", "snapshots", "identity.json"),
		// A node maps its log again after it has checked it. What it reads of an entry then has a checksum, and ends it by a panic of
		// raft's; bbolt's pages, the term and the vote have none.
		"log-read-flip": flip("a machine that starts reads one wrong bit, once, of its log, where its term and vote are too; the file is in order",
			Beyond, func(n *Node, _ string) { n.tainted = true }, logFile),
		"stale-read": {
			line: "a machine that starts reads once what a sector of its log held some time ago; the file is in order",
			tier: Beyond,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(time.Second, 8*time.Second), Amount: d.Float64(), Mode: logFile}
			},
			strike: staleRead,
		},
	}
}

// logFile is a node's log, with its term and vote.
const logFile = "raft.db"

// flipRead inverts a bit.
func flipRead(x *nemesis, s *strike, mark func(n *Node, what string)) (end func()) {
	n := x.victim(s)
	if n == nil {
		return nil
	}
	end = x.alterRead(s, n, func(_ disk.Call, p []byte, at int) string {
		p[at] ^= 1 << s.draw.IntN(8)
		return "a bit flipped"
	}, func(what string) { mark(n, what) })
	x.reopen(n)
	return end
}

// staleRead takes an image now, and lets the process read anew in the middle of the fault's time.
func staleRead(x *nemesis, s *strike) (end func()) {
	n := x.victim(s)
	if n == nil {
		return nil
	}
	image := n.disk.Clone()
	image.Watch = nil
	sector := drawSector(s)
	over := false
	end = func() { over = true }
	x.world.timeline.After(time.Duration(s.fault.For)/2, func() {
		if over || n.lost() || n.swapped {
			return
		}
		end = x.alterRead(s, n, func(c disk.Call, p []byte, at int) string {
			return age(image, c, p, at, sector)
		}, func(string) { n.tainted = true })
		x.reopen(n)
	})
	return func() { end() }
}

// age puts the old bytes of one sector into what was read: of the first, from the byte at on, that has changed since.
func age(image *disk.Disk, c disk.Call, p []byte, at int, sector int64) string {
	f, errno := image.Open(c.Path, disk.Open{})
	if errno != 0 {
		return ""
	}
	old := make([]byte, len(p)) // beyond the old end zeros, as a file that is made longer has them
	_, _ = f.ReadAt(old, c.Offset)
	end := c.Offset + int64(len(p))
	for start := (c.Offset + int64(at)) / sector * sector; start < end; start += sector {
		from, to := max(start-c.Offset, 0), min(start+sector, end)-c.Offset
		if !bytes.Equal(p[from:to], old[from:to]) {
			copy(p[from:to], old[from:to])
			return fmt.Sprintf("%d stale bytes", to-from)
		}
	}
	return ""
}

// readByStart is how many times over a start reads the files, roughly: of kvorum its log three times to map it and once page by page.
const readByStart = 4

// alterRead changes one read of the node's files that the mode names: the one that holds the byte which Amount says, of all
// that a start reads, or the next one that change can do something to. change gets what was read and the byte's place in it, and
// says what it did; mark is told that, and of which file.
func (x *nemesis) alterRead(s *strike, n *Node, change func(c disk.Call, p []byte, at int) string, mark func(what string)) (end func()) {
	var total int64
	for _, e := range n.disk.Files(dataFolder) {
		if strings.Contains(e.Name, s.fault.Mode) {
			total += e.Size
		}
	}
	left, done := int64(s.fault.Amount*readByStart*float64(total)), false
	alter := func(c disk.Call, p []byte) {
		at := min(left, int64(len(p)))
		if left -= at; done || at == int64(len(p)) || !x.spares(n) {
			return
		}
		if what := change(c, p, int(at)); what != "" {
			done = true
			what = fmt.Sprintf("%s in a read of %s, %d bytes at %d, from byte %d on", what, c.Path, len(p), c.Offset, at)
			x.took(s)
			x.world.say("%s: %s", n.Name, what)
			mark(what)
		}
	}
	return x.disk(&diskRule{node: n, call: func(c disk.Call) (disk.Verdict, bool) {
		if done || c.Kind != disk.Read || !strings.Contains(c.Path, s.fault.Mode) {
			return disk.Verdict{}, false
		}
		return disk.Verdict{Alter: func(p []byte) { alter(c, p) }}, true
	}})
}

// reopen kills the process and starts it again, so that it reads its files anew.
func (x *nemesis) reopen(n *Node) {
	x.hold(n)
	n.crash(false, disk.Plan{})
	x.release(n)
}
