package sim

import (
	"fmt"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/tap"
)

// lossyPlan is what a power cut does to what was not synced.
func lossyPlan() disk.Plan {
	return disk.Plan{KeepAll: 0.2, KeepNone: 0.3, Subset: 0.5, Torn: 0.5, Garbage: 0.3, Names: true}
}

// The modes of crashes.
const (
	byKill  = "kill"
	byPower = "power"
)

// crashAs ends nodes as the mode says.
func (x *nemesis) crashAs(s *strike, mode string, nodes []*Node) (end func()) {
	if mode == byKill {
		return x.crash(s, nodes, false, disk.Plan{})
	}
	return x.crash(s, nodes, true, lossyPlan())
}

func crashFaults() map[string]class {
	downtime := func(d *schedule.Drawer) schedule.Duration { return d.Between(50*time.Millisecond, 8*time.Second) }
	one := func(d *schedule.Drawer) schedule.Fault {
		return schedule.Fault{Nodes: d.OneNode(), For: downtime(d)}
	}
	power := func(x *nemesis, s *strike) func() { return x.crashAs(s, byPower, s.nodes) }
	return map[string]class{
		"kill": {
			line:   "a process is killed (its memory is gone, what it wrote stays) and starts again",
			tier:   Tolerated,
			draw:   one,
			strike: func(x *nemesis, s *strike) func() { return x.crashAs(s, byKill, s.nodes) },
		},
		"power": {
			line: "a machine loses its power, and with it what it had not synced: all, a prefix, a subset, torn at a sector",
			tier: Tolerated, draw: one, strike: power,
		},
		"power-shard": {
			line: "all machines of a shard lose their power at once",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: []string{fmt.Sprintf("shard:%d", d.Shard())}, For: d.Between(50*time.Millisecond, 3*time.Second)}
			},
			strike: power,
		},
		"power-cluster": {
			line: "all machines of the cluster lose their power at once",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: []string{"all"}, For: d.Between(50*time.Millisecond, 3*time.Second)}
			},
			strike: power,
		},
		"crash-on-event": {
			line: "a machine loses its power, or its process is killed, right at the n-th sync, write, rename, truncation, creation or removal of a file, host call, or line of the log, or in the midst of what it stores after a raft message",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				f := schedule.Fault{On: drawEvent(d), For: downtime(d), Mode: d.Of(byKill, byPower, byPower)}
				if f.On.Then != nil {
					f.Again, f.For = d.IntN(8), d.Between(50*time.Millisecond, 2*time.Second)
				}
				return f
			},
			strike: func(x *nemesis, s *strike) func() { return x.crashAs(s, s.fault.Mode, s.nodes) },
		},
		"crash-loop": {
			line: "a machine crashes again and again, soon after each start",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(2*time.Second, 12*time.Second), Mode: d.Of(byKill, byPower)}
			},
			strike: crashLoop,
		},
		"crash-in-recovery": {
			line: "a machine crashes, and again at the n-th call on its disk while it recovers",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(2*time.Second, 6*time.Second), Mode: d.Of(byKill, byPower, byPower), Bytes: d.Count(1, 300)}
			},
			strike: crashInRecovery,
		},
	}
}

// drawEvent draws something rare, or one of many, to strike at.
func drawEvent(d *schedule.Drawer) *schedule.Event {
	type kind struct {
		kind, match string
		most        int
	}
	if d.IntN(2) == 0 {
		return drawAftermath(d)
	}
	kinds := []kind{
		{"sync", "", 200}, {"write", "raft.db", 400}, {"write", "", 30}, {"sync-folder", "", 4}, {"rename", "", 4}, {"rename", "snapshots", 2}, {"create", "snapshots", 6},
		{"remove", "snapshots", 4}, {"truncate", "", 3}, {"sync", "snapshots", 4}, {"sync", "identity", 3},
		{"log", "leads the shard", 1}, {"log", "compacting logs", 2}, {"log", "starting snapshot", 3}, {"log", "snapshot complete", 2}, {"log", "creating new snapshot", 2},
		{"log", "installing snapshot", 1}, {"log", "copied to local snapshot", 1}, {"log", "Installed remote snapshot", 1}, {"log", "clearing log suffix", 1}, {"log", "entering candidate state", 2},
		{"fd_pwrite", "", 400}, {"path_rename", "", 3}, {"fd_sync", "", 200}, {"socket_dial", "", 30}, {"poll_oneoff", "", 5000},
		{"sync", "raft.db", 40}, {"sync", "raft.db", 200}, {"sync", "raft.db", 1000}, // what a commit wrote is on its way then
	}
	k := kinds[d.IntN(len(kinds))]
	e := &schedule.Event{Kind: k.kind, Match: k.match, Count: 1 + d.IntN(k.most)}
	if k.kind != "log" || d.IntN(3) == 0 {
		e.Node = d.NodeName()
	}
	return e
}

// drawAftermath draws a raft message and one of the next calls on the disk, in the midst of what the machine has to store for it.
func drawAftermath(d *schedule.Drawer) *schedule.Event {
	e := drawMessage(d)
	if d.IntN(3) == 0 { // a term and a vote are stored one after the other
		e = &schedule.Event{Kind: onWire, Match: d.Of(tap.VoteAsked.Sender(), tap.VoteAsked.Receiver(), tap.VoteAsked.Receiver()), Count: 1}
	}
	e.Then = &schedule.Event{Kind: d.Of("sync", "sync", "write"), Match: "raft.db", Count: 1 + d.IntN(5)}
	if e.Match == tap.SnapshotSent.Receiver() || d.IntN(6) == 0 {
		e.Then = &schedule.Event{Kind: anyDiskCall, Count: int(d.Count(1, 60))}
	}
	return e
}

func crashLoop(x *nemesis, s *strike) func() {
	var up func()
	stop := x.repeat(func() time.Duration { return time.Duration(100+s.draw.IntN(2500)) * time.Millisecond }, func() {
		if up != nil {
			up()
			up = nil
			return
		}
		up = x.crashAs(s, s.fault.Mode, s.nodes)
	})
	up = x.crashAs(s, s.fault.Mode, s.nodes)
	return func() {
		stop()
		if up != nil {
			up()
		}
	}
}

// crashInRecovery: Bytes is the number of the disk call at which the node crashes again.
func crashInRecovery(x *nemesis, s *strike) func() {
	var ends []func()
	var waits []*waiting
	up := x.crashAs(s, s.fault.Mode, s.nodes)
	x.world.timeline.After(100*time.Millisecond, func() {
		up()
		if x.over {
			return
		}
		for _, n := range s.nodes {
			again := func(on *Node) {
				x.world.reach("crash in recovery")
				ends = append(ends, x.crashAs(s, s.fault.Mode, []*Node{on}))
			}
			waits = append(waits, x.await(&schedule.Event{Kind: anyDiskCall, Node: n.Name, Count: int(s.fault.Bytes)}, again))
		}
	})
	return func() {
		for _, q := range waits {
			x.waiting = without(x.waiting, q)
		}
		for _, end := range ends {
			end()
		}
	}
}

// anyDiskCall is the kind of event that every call on the disk is.
const anyDiskCall = "disk"
