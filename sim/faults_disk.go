package sim

import (
	"cmp"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/schedule"
)

func diskFaults() map[string]class {
	// failing makes a class of calls that fail. Amount is the chance of each.
	failing := func(line string, call func(s *strike) func(disk.Call) (disk.Verdict, bool)) class {
		return class{
			line: line, tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(50*time.Millisecond, 6*time.Second), Amount: []float64{0.02, 0.2, 1}[d.IntN(3)]}
			},
			strike: func(x *nemesis, s *strike) func() { return x.failCalls(s, call(s)) },
		}
	}
	return map[string]class{
		"slow-disk": {
			line: "each sync takes longer, by milliseconds up to a second, or each read, or each write, by up to a tenth of that",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				f := schedule.Fault{Nodes: d.OneNode(), For: d.Between(time.Second, 15*time.Second), Amount: time.Duration(d.Between(2*time.Millisecond, time.Second)).Seconds(), Mode: d.Of("sync", "sync", "read", "write")}
				if f.Mode != "sync" {
					f.Amount /= 10 // there are many of them to each sync
				}
				return f
			},
			strike: slowDisk,
		},
		"disk-stall": {
			line: "one sync, read or write hangs for up to 20 s",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				hangs := d.Between(500*time.Millisecond, 20*time.Second)
				return schedule.Fault{Nodes: d.OneNode(), For: hangs, Amount: time.Duration(hangs).Seconds(), Mode: d.Of("sync", "sync", "write", "read")}
			},
			strike: diskStall,
		},
		"stall-cut": {
			line: "a leader's sync hangs while the machine is cut off from all others of the cluster, clients excepted: raft stands still in it, and does not step down",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				hangs := d.Between(time.Second, 12*time.Second)
				return schedule.Fault{Nodes: []string{"leader:" + d.ShardName()}, For: hangs, Amount: time.Duration(hangs).Seconds() * (0.7 + 0.5*d.Float64()), Mode: "sync"}
			},
			strike: func(x *nemesis, s *strike) func() {
				heal := x.cut(s, x.between(sided(hostsOf(s.nodes), "both")))
				return all([]func(){heal, diskStall(x, s)})
			},
		},
		"sync-error": {
			line: "one sync fails with EIO; what it should have kept is forgotten, so that later syncs say all is well without it (fsyncgate), or stays to be synced",
			tier: Tolerated,
			draw: func(d *schedule.Drawer) schedule.Fault {
				return schedule.Fault{Nodes: d.OneNode(), For: d.Between(100*time.Millisecond, 8*time.Second), Mode: d.Of("forgotten", "kept"), Bytes: 1 + int64(d.IntN(20))}
			},
			strike: syncError,
		},
		"write-error": failing("writes fail with EIO; some bytes may have been written", func(s *strike) func(disk.Call) (disk.Verdict, bool) {
			return func(c disk.Call) (disk.Verdict, bool) {
				if c.Kind != disk.Write || s.draw.Float64() >= s.fault.Amount {
					return disk.Verdict{}, false
				}
				return disk.Verdict{Errno: disk.EIO, Partial: s.draw.IntN(c.Bytes + 1)}, true
			}
		}),
		"read-error": failing("reads fail with EIO", func(s *strike) func(disk.Call) (disk.Verdict, bool) {
			return func(c disk.Call) (disk.Verdict, bool) {
				return disk.Verdict{Errno: disk.EIO}, c.Kind == disk.Read && s.draw.Float64() < s.fault.Amount
			}
		}),
		"name-error": failing("files cannot be made, renamed or removed: EIO", func(s *strike) func(disk.Call) (disk.Verdict, bool) {
			return func(c disk.Call) (disk.Verdict, bool) {
				name := c.Kind == disk.Create || c.Kind == disk.Rename || c.Kind == disk.Remove || c.Kind == disk.SyncFolder
				return disk.Verdict{Errno: disk.EIO}, name && s.draw.Float64() < s.fault.Amount
			}
		}),
		"short-io": failing("reads and writes do less than they were asked to, and say so", func(s *strike) func(disk.Call) (disk.Verdict, bool) {
			return func(c disk.Call) (disk.Verdict, bool) {
				if c.Kind != disk.Read && c.Kind != disk.Write || c.Bytes < 2 || s.draw.Float64() >= s.fault.Amount {
					return disk.Verdict{}, false
				}
				return disk.Verdict{Short: 1 + s.draw.IntN(c.Bytes-1)}, true
			}
		}),
		"disk-full": {
			line: "a disk is full, or nearly so, for a while: ENOSPC",
			tier: Tolerated, lasts: true,
			draw: func(d *schedule.Drawer) schedule.Fault {
				nodes := d.OneNode()
				if d.IntN(2) == 0 {
					nodes = []string{"leader:" + d.ShardName()}
				}
				return schedule.Fault{Nodes: nodes, For: d.Between(500*time.Millisecond, 12*time.Second), Bytes: d.Count(1, 200_000)}
			},
			strike: diskFull,
		},
	}
}

// failCalls decides about calls on the disks of the strike's nodes for a while. It counts each call decided on.
func (x *nemesis) failCalls(s *strike, call func(disk.Call) (disk.Verdict, bool)) (end func()) {
	counted := func(c disk.Call) (disk.Verdict, bool) {
		v, decided := call(c)
		if decided {
			x.took(s)
		}
		return v, decided
	}
	var ends []func()
	for _, n := range s.nodes {
		ends = append(ends, x.disk(&diskRule{node: n, call: counted}))
	}
	return all(ends)
}

// delayCalls makes calls on the disks of the strike's nodes take longer for a while.
func (x *nemesis) delayCalls(s *strike, delay func(disk.Kind) time.Duration) (end func()) {
	var ends []func()
	for _, n := range s.nodes {
		ends = append(ends, x.disk(&diskRule{node: n, delay: func(kind disk.Kind, _ string, _ int) time.Duration {
			d := delay(kind)
			if d > 0 {
				x.took(s)
			}
			return d
		}}))
	}
	return all(ends)
}

// slowDisk: Mode is the kind of calls; "", as in schedules of before there were others, is sync.
func slowDisk(x *nemesis, s *strike) func() {
	slow := cmp.Or(s.fault.Mode, disk.Sync.String())
	return x.delayCalls(s, func(kind disk.Kind) time.Duration {
		if kind.String() != slow {
			return 0
		}
		return seconds(s.fault.Amount * (0.5 + s.draw.Float64()))
	})
}

func diskStall(x *nemesis, s *strike) func() {
	stalled := false
	return x.delayCalls(s, func(kind disk.Kind) time.Duration {
		if stalled || kind.String() != s.fault.Mode {
			return 0
		}
		stalled = true
		return seconds(s.fault.Amount)
	})
}

// syncError: Bytes is the number of the sync that fails, from 1.
func syncError(x *nemesis, s *strike) func() {
	left := s.fault.Bytes
	return x.failCalls(s, func(c disk.Call) (disk.Verdict, bool) {
		if c.Kind != disk.Sync {
			return disk.Verdict{}, false
		}
		left--
		return disk.Verdict{Errno: disk.EIO, Dropped: s.fault.Mode == "forgotten"}, left == 0
	})
}

func diskFull(x *nemesis, s *strike) func() {
	sum := func() (refused int64) {
		for _, n := range s.nodes {
			refused += n.disk.Refused
		}
		return refused
	}
	var ends []func()
	for _, n := range s.nodes {
		ends = append(ends, x.disk(&diskRule{node: n, capacity: n.disk.Used() + s.fault.Bytes}))
	}
	return x.counting(s, sum, all(ends))
}
