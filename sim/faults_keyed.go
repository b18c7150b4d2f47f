package sim

import (
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/tap"
	"github.com/kvorum/kvorum/sim/vnet"
)

// keyedFaults are two faults at once, or one at an event: what they find takes a coincidence that the others leave to chance.
func keyedFaults() map[string]class {
	return map[string]class{
		"error-on-event": {
			line: "a disk fails for a moment (EIO or ENOSPC) from a rare event on, such as a truncation, an installed snapshot or an election, or a raft message, many of which make it store something",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				on := drawDiskEvent(d)
				if d.IntN(3) == 0 {
					on = drawMessage(d) // what a message makes a machine store fails
				}
				return schedule.Fault{On: on, For: d.Between(20*time.Millisecond, 3*time.Second), Mode: d.Of("write", "write", "sync", "read", "space")}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.failCalls(s, func(c disk.Call) (disk.Verdict, bool) { return failsAs(s.fault.Mode, c) })
			},
		},
		"stall-on-event": {
			line: "one sync or read hangs for seconds right after a rare event, such as an election, a vote or a snapshot's arrival",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				hangs := d.Between(100*time.Millisecond, 8*time.Second)
				on := drawDiskEvent(d)
				if d.IntN(2) == 0 {
					on = drawMessage(d)
				}
				return schedule.Fault{On: on, For: hangs, Amount: time.Duration(hangs).Seconds(), Mode: d.Of("sync", "sync", "sync", "read")}
			},
			strike: diskStall,
		},
		"cut-on-event": {
			line: "a machine is cut off from all others of the cluster right at a raft message that it sends or is sent, such as a hand-over, a vote or the first word of a leader",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{On: drawMessage(d), Again: d.IntN(3), For: d.Between(200*time.Millisecond, 8*time.Second), Mode: d.Of("both", "out", "in")}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.cut(s, x.between(sided(hostsOf(s.nodes), s.fault.Mode)))
			},
		},
		"transfer-cut": {
			line: "an operator hands leadership over, and the leader is cut off from all others of the cluster as its last word to the successor is on its way, or soon after",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				shard := d.ShardName()
				return schedule.Fault{Nodes: []string{"leader:" + shard}, Mode: shard, For: d.Between(time.Second, 8*time.Second), Amount: time.Duration(d.Between(20*time.Microsecond, 300*time.Millisecond)).Seconds()}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.handOver(s, seconds(s.fault.Amount), func() func() { return x.cut(s, x.between(sided(hostsOf(s.nodes), "both"))) })
			},
		},
		"transfer-lag": {
			line: "an operator hands leadership over, and from the leader's last word to the successor on it hears everything late, in order: first what was said in its own time, then of the other",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				shard := d.ShardName()
				return schedule.Fault{Nodes: []string{"leader:" + shard}, Mode: shard, For: d.Between(time.Second, 5*time.Second), Amount: time.Duration(d.Between(30*time.Millisecond, 700*time.Millisecond)).Seconds()} // leases last 200 ms to 1 s
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.handOver(s, 0, func() func() {
					return x.degrade(s, x.between(sided(hostsOf(s.nodes), "in")), func(c *vnet.Conditions) { c.Delay += seconds(s.fault.Amount) }, func(l *vnet.Link) int64 { return l.Carried.Packets })
				})
			},
		},
		"late-snapshot": {
			line: "as left-behind, and then the connections on which the snapshot is sent carry it only seconds later, overtaken by newer ones, in half of the cases just as the leader stops for a while",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: follower(d), For: d.Between(6*time.Second, 15*time.Second), Amount: time.Duration(d.Between(time.Second, 8*time.Second)).Seconds(), Mode: d.Of("", leaderStops)}
			},
			strike: lateSnapshot,
		},
	}
}

// drawMessage draws a raft message to strike at, on either side of it.
func drawMessage(d *schedule.Drawer) *schedule.Event {
	// Votes twice as often: what they store must not be half done.
	few := []tap.Message{tap.VoteAsked, tap.VoteAsked, tap.VoteGranted, tap.EntriesOppose, tap.SnapshotSent, tap.SnapshotTaken, tap.LeadHandedOver, tap.ReignsFirstWord}
	many := []tap.Message{tap.EntriesSent, tap.EntriesTaken}
	e := &schedule.Event{Kind: onWire, Count: 1}
	m := many[d.IntN(len(many))]
	if n := d.IntN(len(few) + len(many)); n < len(few) {
		m = few[n]
	} else {
		e.Count = int(d.Count(1, 200))
	}
	e.Match = d.Of(m.Sender(), m.Receiver())
	return e
}

// drawDiskEvent draws an event after which a disk has something to do that must not be half done, or one of the next syncs of the log
// after it: what follows a truncation is what must not be missing.
func drawDiskEvent(d *schedule.Drawer) *schedule.Event {
	logs := []string{"clearing log suffix", "clearing log suffix", "clearing log suffix", "installing snapshot", "copied to local snapshot", "Installed remote snapshot", "starting snapshot", "creating new snapshot", "compacting logs", "entering candidate state", "leads the shard", "entering follower state"}
	if n := d.IntN(len(logs) + 3); n < len(logs) {
		e := &schedule.Event{Kind: "log", Match: logs[n], Count: 1 + d.IntN(2)}
		if d.IntN(2) == 0 {
			e.Then = &schedule.Event{Kind: "sync", Match: "raft.db", Count: 1 + d.IntN(4)}
		}
		return e
	}
	kind := d.Of("rename", "truncate", "create")
	return &schedule.Event{Kind: kind, Count: 1 + d.IntN(4)}
}

func failsAs(mode string, c disk.Call) (disk.Verdict, bool) {
	switch mode {
	case "read":
		return disk.Verdict{Errno: disk.EIO}, c.Kind == disk.Read
	case "sync":
		return disk.Verdict{Errno: disk.EIO}, c.Kind == disk.Sync
	case "space":
		return disk.Verdict{Errno: disk.ENOSPC}, c.Kind == disk.Write
	}
	return disk.Verdict{Errno: disk.EIO}, c.Kind == disk.Write
}

// stopsFor is how long the leader stops in late-snapshot: longer than an election takes to begin.
const stopsFor = 2 * time.Second

// silentWord is how long after an operator's word a fault strikes at a leader that has said nothing to its successor.
const silentWord = 2 * time.Second

// handOver lets an operator hand the lead over, and begins a fault so long after the leader's word to its successor. The
// strike's Mode is the shard.
func (x *nemesis) handOver(s *strike, later time.Duration, begin func() (end func())) func() {
	over, begun := false, false
	ends := []func(){x.errand("transfer "+s.fault.Mode, x.world.nodes, nil)}
	beginAfter := func(d time.Duration) {
		x.world.timeline.After(d, func() {
			if !over && !begun {
				begun = true
				ends = append(ends, begin())
			}
		})
	}
	var waits []*waiting
	for _, n := range s.nodes {
		waits = append(waits, x.await(&schedule.Event{Kind: onWire, Node: n.Name, Match: tap.LeadHandedOver.Sender()}, func(*Node) { beginAfter(later) }))
	}
	beginAfter(silentWord)
	return func() {
		over = true
		for _, q := range waits {
			x.waiting = without(x.waiting, q)
		}
		all(ends)()
	}
}

// leaderStops is the mode of late-snapshot in which nobody leads for a while after it has arrived: what it spoils then lasts.
const leaderStops = "leader stops"

// lateSnapshot: Amount is how long the connections between leader and follower are held once the snapshot is on its way, in seconds.
func lateSnapshot(x *nemesis, s *strike) func() {
	if len(s.nodes) == 0 {
		return nil
	}
	over := false
	var waits []*waiting
	var held []func()
	end := x.leaveBehind(s, func(leader *Node) {
		q := x.await(&schedule.Event{Kind: "log", Node: leader.Name, Match: "installing snapshot"}, func(*Node) {
			if over {
				return
			}
			late, gone := x.world.network.Hold(leader.host, s.nodes[0].host, 1, s.draw), false
			release := func() {
				if gone {
					return
				}
				gone = true
				if s.fault.Mode == leaderStops && !over {
					held = append(held, x.pauseFor(stopsFor, x.ofRole("leader", s.nodes[0].Shard)))
				}
				x.letGo(s, late)
			}
			held = append(held, release)
			x.world.timeline.After(seconds(s.fault.Amount), release)
		})
		waits = append(waits, q)
	})
	return func() {
		over = true
		for _, q := range waits {
			x.waiting = without(x.waiting, q)
		}
		end()
		for i := 0; i < len(held); i++ {
			held[i]()
		}
	}
}

// pauseFor stops processes for so long, or until the end that it returns.
func (x *nemesis) pauseFor(d time.Duration, nodes []*Node) (end func()) {
	goOn, over := x.pauseNodes(nodes), false
	end = func() {
		if !over {
			over = true
			goOn()
		}
	}
	x.world.timeline.After(d, end)
	return end
}
