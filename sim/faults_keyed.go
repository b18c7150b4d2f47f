package sim

import (
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/schedule"
)

// keyedFaults are two faults at once, or one at an event: what they find takes a coincidence that the others leave to chance.
func keyedFaults() map[string]class {
	return map[string]class{
		"error-on-event": {
			line: "a disk fails for a moment (EIO or ENOSPC) from a rare event on, such as a truncation, an installed snapshot or an election",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{On: drawDiskEvent(d), For: d.Between(20*time.Millisecond, 3*time.Second), Mode: d.Of("write", "write", "sync", "read", "space")}
			},
			strike: func(x *nemesis, s *strike) func() {
				return x.failCalls(s, func(c disk.Call) (disk.Verdict, bool) { return failsAs(s.fault.Mode, c) })
			},
		},
		"transfer-cut": {
			line: "an operator hands leadership over, and the leader is cut off from all others of the cluster at that moment",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				shard := d.ShardName()
				return schedule.Fault{Nodes: []string{"leader:" + shard}, Mode: shard, For: d.Between(time.Second, 8*time.Second), Amount: time.Duration(d.Between(5*time.Millisecond, 500*time.Millisecond)).Seconds()}
			},
			strike: transferCut,
		},
	}
}

// drawDiskEvent draws an event after which a disk has something to do that must not be half done.
func drawDiskEvent(d *schedule.Drawer) *schedule.Event {
	logs := []string{"clearing log suffix", "installing snapshot", "copied to local snapshot", "Installed remote snapshot", "starting snapshot", "creating new snapshot", "compacting logs", "entering candidate state", "leads the shard", "entering follower state"}
	if n := d.IntN(len(logs) + 3); n < len(logs) {
		return &schedule.Event{Kind: "log", Match: logs[n], Count: 1 + d.IntN(2)}
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

// transferCut: Amount is how long after the operator's word the leader is cut off, in seconds, Mode the shard.
func transferCut(x *nemesis, s *strike) func() {
	over := false
	ends := []func(){x.errand("transfer "+s.fault.Mode, x.world.nodes, nil)}
	x.world.timeline.After(seconds(s.fault.Amount), func() {
		if !over {
			ends = append(ends, x.cut(s, x.between(sided(hostsOf(s.nodes), "both"))))
		}
	})
	return func() {
		over = true
		all(ends)()
	}
}
