package sim

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim/schedule"
)

// ahead is how far the wall clock is before the true time, and mono how far the monotonic clock has come, at a beat.
func ahead(l seen) time.Duration {
	const epoch = 1_767_225_600_000_000
	return time.Duration(l.number(2)-epoch)*time.Microsecond - l.at
}

func mono(l seen) time.Duration { return time.Duration(l.number(1)) * time.Microsecond }

// rateOf is how fast the monotonic clock ran from the first to the last of the beats.
func rateOf(list []seen) float64 {
	first, last := list[0], list[len(list)-1]
	return float64(mono(last)-mono(first)) / float64(last.at-first.at)
}

func near(a, b time.Duration) bool { return math.Abs(float64(a-b)) < float64(20*time.Millisecond) }

func clockSights() map[string]sight {
	last := func(list []seen) seen { return list[len(list)-1] }
	one := []string{"s0n1"}
	return map[string]sight{
		"clock-offset": {schedule.Fault{Nodes: one, For: 3 * second, Amount: -600}, func(t *testing.T, p *probed) {
			want(t, near(ahead(last(p.during("s0n1", "beat"))), -600*time.Second), "wall clock is %s ahead, want -10m", ahead(last(p.during("s0n1", "beat"))))
			want(t, near(ahead(last(p.after("s0n1", "beat"))), 0), "wall clock stays %s ahead", ahead(last(p.after("s0n1", "beat"))))
			want(t, near(mono(last(p.after("s0n1", "beat"))), p.now()) || rateOf(p.of("s0n1", "beat", 0, p.now())) > 0.999, "the monotonic clock jumped too")
		}},
		"clock-jump": {schedule.Fault{Nodes: one, Amount: 90}, func(t *testing.T, p *probed) {
			want(t, near(ahead(last(p.after("s0n1", "beat"))), 90*time.Second), "wall clock is %s ahead, want 90s", ahead(last(p.after("s0n1", "beat"))))
		}},
		"clock-strobe": {schedule.Fault{Nodes: one, For: 3 * second, Amount: 5}, func(t *testing.T, p *probed) {
			right, wrong := 0, 0
			for _, l := range p.during("s0n1", "beat") {
				if near(ahead(l), 0) {
					right++
				} else if near(ahead(l), 5*time.Second) {
					wrong++
				}
			}
			want(t, right > 2 && wrong > 2, "right %d times, wrong %d times", right, wrong)
			want(t, near(ahead(last(p.after("s0n1", "beat"))), 0), "wall clock stays %s ahead", ahead(last(p.after("s0n1", "beat"))))
		}},
		"clock-drift": {schedule.Fault{Nodes: one, For: 4 * second, Amount: 1.1}, func(t *testing.T, p *probed) {
			rate := rateOf(p.during("s0n1", "beat"))
			want(t, rate > 1.09 && rate < 1.11, "rate %v, want 1.1", rate)
			want(t, math.Abs(rateOf(p.after("s0n1", "beat"))-1) < 0.01, "rate %v afterwards", rateOf(p.after("s0n1", "beat")))
			want(t, math.Abs(rateOf(p.during("s0n0", "beat"))-1) < 0.01, "another clock drifts too")
		}},
		"clock-wobble": {schedule.Fault{Nodes: one, For: 5 * second, Amount: 0.9}, func(t *testing.T, p *probed) {
			list, rates := p.during("s0n1", "beat"), map[int]bool{}
			for i := range len(list) - 4 {
				rate := rateOf(list[i : i+4])
				want(t, rate > 0.89 && rate < 1.11, "rate %v", rate)
				rates[int(100*rate)] = true
			}
			want(t, len(rates) >= 3, "rates %v, want several", rates)
		}},
		"clock-coarse": {schedule.Fault{Nodes: one, For: 3 * second, Amount: 0.016}, func(t *testing.T, p *probed) {
			fine := 0
			for _, l := range p.during("s0n1", "beat")[1:] {
				want(t, l.number(2)%16_000 == 0, "wall clock shows %d us", l.number(2))
			}
			for _, l := range p.before("s0n1", "beat") {
				fine += min(1, int(l.number(2)%16_000))
			}
			want(t, fine > 20, "clocks are coarse without the fault")
		}},
		"freeze": {schedule.Fault{Nodes: one, For: 3 * second}, func(t *testing.T, p *probed) {
			list := p.of("s0n1", "beat", 0, p.now())
			want(t, near(last(list).at-mono(last(list))-(list[0].at-mono(list[0])), 3*time.Second), "the monotonic clock lost %s, want 3s", last(list).at-mono(last(list)))
			want(t, near(ahead(last(list)), 0), "the wall clock is %s ahead", ahead(last(list)))
			want(t, len(p.of("s0n1", "beat", begin+200*time.Millisecond, begin+3*time.Second)) == 0, "it beats")
			want(t, most(list, 3) < 130_000, "a sleep of 100 ms took %d us of its own clock", most(list, 3))
		}},
		"suspend": {schedule.Fault{Nodes: one, For: 5 * second, Amount: 2}, func(t *testing.T, p *probed) {
			list := p.of("s0n1", "beat", 0, p.now())
			want(t, near(last(list).at-mono(last(list))-(list[0].at-mono(list[0])), 3*time.Second), "the monotonic clock lost %s, want 3s", last(list).at-mono(last(list)))
			want(t, len(p.of("s0n1", "beat", begin+200*time.Millisecond, begin+3*time.Second)) == 0, "it beats")
			want(t, len(p.of("s0n1", "beat", begin+3*time.Second, begin+5*time.Second)) > 10, "it does not go on before the end")
			pings := p.of("s0n1", "ping", begin+3*time.Second, begin+5*time.Second)
			want(t, count(pings, "<nil>") > 0 && count(pings, "<nil>") < len(pings), "%d of %d pings failed while its connections came back", len(pings)-count(pings, "<nil>"), len(pings))
		}},
	}
}

func diskSights() map[string]sight {
	one := []string{"s0n1"}
	says := func(word, text string, atLeast, atMost int) func(t *testing.T, p *probed) {
		return func(t *testing.T, p *probed) {
			n := count(p.during("s0n1", word), text)
			want(t, n >= atLeast && n <= atMost, "%d times %s ... %s, want %d to %d", n, word, text, atLeast, atMost)
			want(t, count(p.during("s0n0", word), text) == 0, "on another disk too")
			want(t, count(p.before("s0n1", word), text) == 0, "without the fault too")
		}
	}
	// alive: the other goroutines of the machine run on while one waits for the disk
	alive := func(t *testing.T, p *probed) {
		want(t, most(p.of("s0n1", "beat", 0, p.now()), 3) < 103_000, "a beat took %d us while the disk was slow", most(p.of("s0n1", "beat", 0, p.now()), 3))
		want(t, count(p.during("s0n1", "ping"), "<nil>") == len(p.during("s0n1", "ping")), "pings fail while the disk is slow")
	}
	return map[string]sight{
		"slow-disk": {schedule.Fault{Nodes: one, For: 4 * second, Amount: 0.4}, func(t *testing.T, p *probed) {
			want(t, most(p.during("s0n1", "disk"), 2) > 300, "a sync took %d ms at most", most(p.during("s0n1", "disk"), 2))
			alive(t, p)
		}},
		"disk-stall": {schedule.Fault{Nodes: one, For: 5 * second, Amount: 5, Mode: "sync"}, func(t *testing.T, p *probed) {
			want(t, len(p.of("s0n1", "disk", begin+500*time.Millisecond, begin+5*time.Second)) == 0, "syncs return")
			want(t, most(p.of("s0n1", "disk", 0, p.now()), 2) > 4900, "a sync took %d ms at most", most(p.of("s0n1", "disk", 0, p.now()), 2))
			alive(t, p)
		}},
		"stall-cut": {schedule.Fault{Nodes: one, For: 4 * second, Amount: 5, Mode: "sync"}, func(t *testing.T, p *probed) {
			want(t, len(p.of("s0n1", "disk", begin+500*time.Millisecond, begin+5*time.Second)) == 0, "syncs return")
			apart("01", "12")(t, p)
			want(t, most(p.of("s0n1", "beat", 0, p.now()), 3) < 103_000, "a beat took %d us while the disk hung", most(p.of("s0n1", "beat", 0, p.now()), 3))
		}},
		"sync-error":  {schedule.Fault{Nodes: one, For: 2 * second, Mode: "forgotten", Bytes: 3}, says("disk", "I/O error", 1, 1)},
		"write-error": {schedule.Fault{Nodes: one, For: 2 * second, Amount: 1}, says("disk", "I/O error", 10, 99)},
		"read-error":  {schedule.Fault{Nodes: one, For: 2 * second, Amount: 1}, says("read", "I/O error", 10, 99)},
		"name-error":  {schedule.Fault{Nodes: one, For: 2 * second, Amount: 1}, says("name", "I/O error", 10, 99)},
		"disk-full":   {schedule.Fault{Nodes: one, For: 2 * second, Bytes: 1000}, says("disk", "No space left", 10, 99)},
		"short-io": {schedule.Fault{Nodes: one, For: 2 * second, Amount: 1}, func(t *testing.T, p *probed) {
			short := 0
			for _, l := range p.during("s0n1", "read") {
				if l.text(2) == "<nil>" && l.number(1) < 100 && l.number(1) > 0 {
					short++
				}
			}
			want(t, short > 10, "%d short reads", short)
			want(t, count(p.during("s0n1", "disk"), "<nil>") == len(p.during("s0n1", "disk")), "writes fail")
		}},
	}
}

func damageSights() map[string]sight {
	refuses := func(text string) func(t *testing.T, p *probed) {
		return func(t *testing.T, p *probed) {
			n := p.node("s0n1")
			want(t, n.broken && len(p.starts("s0n1")) == 1, "broken %t, %d starts", n.broken, len(p.starts("s0n1")))
			want(t, strings.Contains(n.words, text), "it says %q", n.words)
		}
	}
	one := []string{"s0n1"}
	forgets := func(t *testing.T, p *probed) {
		starts, acknowledged := p.starts("s0n1"), most(p.of("s0n1", "disk", 0, begin+2*time.Second), 1)
		want(t, len(starts) == 1 && p.node("s0n1").broken || len(starts) == 2 && starts[1].number(1) < acknowledged-5, "%d blocks were acknowledged, then found: %v", acknowledged, starts)
	}
	// inOrder: the file that it refuses holds what was written
	inOrder := func(p *probed) bool {
		files := p.node("s0n1").disk.Durable()
		log := string(files["data/raft.db"])
		return len(log) > 1000 && len(log)%100 == 0 && strings.Trim(log, "x") == "" && string(files["data/identity.json"]) == "--node=s0n1"
	}
	misread := func(text string) func(t *testing.T, p *probed) {
		return func(t *testing.T, p *probed) {
			refuses(text)(t, p)
			want(t, inOrder(p), "the file is damaged, too")
			want(t, p.nemesis.fired[p.Faults[0].ID] == 1, "%d reads were changed", p.nemesis.fired[p.Faults[0].ID])
		}
	}
	return map[string]sight{
		"bit-flip":      {schedule.Fault{Nodes: one, For: second, Mode: "raft.db"}, refuses("raft.db is damaged")},
		"truncation":    {schedule.Fault{Nodes: one, For: second, Mode: "raft.db", Amount: 0.512}, refuses("raft.db is damaged")},
		"vanished-file": {schedule.Fault{Nodes: one, For: second, Mode: "identity.json"}, refuses("no identity")},
		"wiped-disk": {schedule.Fault{Nodes: one, For: second}, func(t *testing.T, p *probed) {
			starts := p.starts("s0n1")
			want(t, len(starts) == 2 && starts[1].text(1) == "0 0 false" && p.node("s0n1").broken, "found: %v", starts)
		}},
		"swapped-disks": {schedule.Fault{Nodes: []string{"s0n1", "s0n2"}, For: 3 * second}, func(t *testing.T, p *probed) {
			for _, n := range []string{"s0n1", "s0n2"} {
				want(t, count(p.during(n, "probe:"), "identity") > 0, "%s takes a foreign disk", n)
				want(t, len(p.starts(n)) == 2, "%s started %d times", n, len(p.starts(n)))
			}
		}},
		"old-image":  {schedule.Fault{Nodes: one, For: 2 * second}, forgets},
		"lying-sync": {schedule.Fault{Nodes: one, For: 2 * second, Amount: 1}, forgets},
		"lost-write": {schedule.Fault{Nodes: one, For: 2 * second, Amount: 1}, forgets},
		"misdirected-write": {schedule.Fault{Nodes: one, For: 2 * second, Mode: "raft.db", Bytes: 5}, func(t *testing.T, p *probed) {
			refuses("raft.db is damaged")(t, p)
			want(t, !inOrder(p), "the file is in order")
		}},
		"read-flip":     {schedule.Fault{Nodes: one, For: 2 * second, Mode: "identity.json"}, misread("identity")},
		"log-read-flip": {schedule.Fault{Nodes: one, For: 2 * second, Mode: "raft.db", Amount: 0.1}, misread("raft.db is damaged")},
		"stale-read":    {schedule.Fault{Nodes: one, For: 2 * second, Mode: "raft.db", Amount: 0.1}, misread("raft.db is damaged")},
	}
}
