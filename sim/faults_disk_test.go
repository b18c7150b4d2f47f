package sim

import (
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/schedule"
)

// TestDiskTakesTime: the ways in which a call other than a sync can hang or be slow, seen from inside. Only who made the call
// waits; sockets and standard output, which the same calls serve, never do.
func TestDiskTakesTime(t *testing.T) {
	one := []string{"s0n1"}
	// took checks that calls took so many milliseconds at least, and all others of the same machine none.
	took := func(ms int64, slow ...string) func(t *testing.T, p *probed) {
		return func(t *testing.T, p *probed) {
			for _, call := range []string{"pread", "read", "write"} {
				var worst int64
				for _, l := range p.of("s0n1", "took", 0, p.now()) {
					if l.what[1] == call {
						worst = max(worst, l.number(2))
					}
				}
				isSlow := strings.Contains(" "+strings.Join(slow, " ")+" ", " "+call+" ")
				want(t, isSlow && worst >= ms || !isSlow && worst < 10, "a %s took %d ms at most, should be slow: %t", call, worst, isSlow)
			}
			want(t, most(p.of("s0n1", "beat", 0, p.now()), 3) < 103_000, "a beat took %d us while the disk was slow", most(p.of("s0n1", "beat", 0, p.now()), 3))
			want(t, count(p.during("s0n1", "ping"), "<nil>") == len(p.during("s0n1", "ping")), "pings fail while the disk is slow")
			want(t, most(p.of("s0n1", "ping", 0, p.now()), 2) < 10, "a ping took %d ms", most(p.of("s0n1", "ping", 0, p.now()), 2))
			want(t, most(p.of("s0n0", "took", 0, p.now()), 2) < 10, "another disk is slow, too")
		}
	}
	// hangs checks that one call took so many milliseconds, whichever of them came first, and that all else went on.
	hangs := func(ms int64) func(t *testing.T, p *probed) {
		return func(t *testing.T, p *probed) {
			hung := 0
			for _, l := range append(p.of("s0n1", "took", 0, p.now()), p.of("s0n1", "disk", 0, p.now())...) {
				if l.number(2) >= 10 {
					hung++
					want(t, l.number(2) >= ms && l.number(2) < ms+30, "%s, want %d ms", l.text(0), ms)
				}
			}
			want(t, hung == 1, "%d calls hung", hung)
			want(t, most(p.of("s0n1", "beat", 0, p.now()), 3) < 103_000, "a beat took %d us while the disk hung", most(p.of("s0n1", "beat", 0, p.now()), 3))
		}
	}
	for id, modes := range map[string]map[string]sight{
		"slow-disk": {
			"read":  {schedule.Fault{Nodes: one, For: 4 * second, Amount: 0.2}, took(100, "pread", "read")},
			"write": {schedule.Fault{Nodes: one, For: 4 * second, Amount: 0.2}, took(100, "write")},
		},
		"disk-stall": {
			"read":  {schedule.Fault{Nodes: one, For: 4 * second, Amount: 3}, hangs(3000)},
			"write": {schedule.Fault{Nodes: one, For: 4 * second, Amount: 3}, hangs(3000)},
		},
		"stall-on-event": {
			"read": {schedule.Fault{On: &schedule.Event{Kind: "sync", Node: "s0n1", Match: "raft.db", Count: 10}, For: 4 * second, Amount: 3}, hangs(3000)},
		},
	} {
		for mode, s := range modes {
			t.Run(id+" "+mode, func(t *testing.T) {
				t.Parallel()
				s.fault.Mode = mode
				s.see(t, id)
			})
		}
	}
}
