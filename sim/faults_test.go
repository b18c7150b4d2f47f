package sim

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/schedule"
)

// contextOfAllTests is for what outlives a single test.
var contextOfAllTests = context.Background()

// sight is a fault and how it must look from inside the machines.
type sight struct {
	fault schedule.Fault
	check func(t *testing.T, p *probed)
}

const (
	second = schedule.Duration(time.Second)
	begin  = 3 * time.Second // of every fault here
)

// TestEveryFaultIsSeen lets each class strike a cluster of probes: it must take effect, look as it should from inside, and
// leave a whole world behind.
func TestEveryFaultIsSeen(t *testing.T) {
	sights := map[string]sight{}
	for _, family := range []map[string]sight{crashSights(), processSights(), clockSights(), cutSights(), linkSights(), diskSights(), damageSights(), operationSights(), keyedSights()} {
		maps.Copy(sights, family)
	}
	for id := range sights {
		if _, ok := classes()[id]; !ok {
			t.Errorf("no class %q", id)
		}
	}
	for _, c := range Classes() {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			s, ok := sights[c.ID]
			if !ok {
				t.Fatal("nobody says how this class looks from inside")
			}
			s.see(t, c.ID)
		})
	}
}

// see lets a fault of the class strike.
func (s sight) see(t *testing.T, id string) {
	t.Helper()
	if s.fault.At == 0 {
		s.fault.At = schedule.Duration(begin)
	}
	s.fault.ID = id
	p := probe(t, s.fault)
	if p.nemesis.fired[id] == 0 {
		t.Error("had no effect")
	}
	s.check(t, p)
	p.healthy()
	p.plain()
	p.drawn(id)
}

// drawn checks that the report has the fault, as a window if it lasted.
func (p *probed) drawn(id string) {
	i := slices.IndexFunc(p.annotations, func(a lin.Annotation) bool { return a.Kind == "fault" && strings.HasPrefix(a.Text, id) })
	if i < 0 {
		p.t.Errorf("no annotation of it in %+v", p.annotations)
		return
	}
	moment := id == "clock-jump" || id == "stale-connection"
	if a := p.annotations[i]; !moment && a.End-a.Start < int64(p.Faults[0].For)/2 {
		p.t.Errorf("its window is %s, it lasts for %s", time.Duration(a.End-a.Start), time.Duration(p.Faults[0].For))
	}
}

// TestDrawnFaultsStrike draws each class as a swarm does: it must be able to strike without a failure, and twice the same.
func TestDrawnFaultsStrike(t *testing.T) {
	for batch := range slices.Chunk(ClassesOf(Tolerated), 8) {
		t.Run(strings.Join(batch, " "), func(t *testing.T) {
			t.Parallel()
			s := schedule.Draw(7, schedule.Defaults{Duration: probeFor, Classes: batch, All: true}, DrawFault)
			p := probe(t, s.Faults...)
			p.healthy()
			p.plain()
			again := probe(t, s.Faults...)
			if p.trace.Sum() != again.trace.Sum() || !maps.Equal(p.nemesis.fired, again.nemesis.fired) {
				t.Errorf("another world grew from the same schedule: %v, then %v", p.nemesis.fired, again.nemesis.fired)
			}
		})
	}
}

// TestStrikesAgain: a fault with Again strikes at the next such events too, each time one step further behind the first of the two.
func TestStrikesAgain(t *testing.T) {
	on := &schedule.Event{Kind: "write", Node: "s0n1", Match: "raft.db", Count: 5, Then: &schedule.Event{Kind: "sync", Match: "raft.db", Count: 1}}
	p := probe(t, schedule.Fault{ID: "crash-on-event", At: schedule.Duration(begin), On: on, Again: 2, For: second / 2, Mode: "kill"})
	starts := p.starts("s0n1")
	if len(starts) != 4 || p.nemesis.fired["crash-on-event"] != 3 {
		t.Fatalf("%d starts, want 4", len(starts))
	}
	before := begin
	for i, s := range starts[1:] {
		if syncs := len(p.of("s0n1", "disk", before, s.at)); syncs != 4+i { // the last one kills, and so does not return
			t.Errorf("life %d: %d syncs returned, want %d", i+1, syncs, 4+i)
		}
		before = s.at
	}
	p.healthy()
	p.plain()
}

// plain checks that no rule of a fault is left.
func (p *probed) plain() {
	x := p.nemesis
	if n := len(x.links) + len(x.disks) + len(x.machines) + len(x.clocks) + len(x.active); n > 0 {
		p.t.Errorf("%d rules are still in force", n)
	}
	if p.network.Holding() {
		p.t.Error("a connection is still held")
	}
	for link, c := range p.plainLinks {
		if got := p.network.Link(link[0], link[1]).Conditions(); got != c {
			p.t.Errorf("link %s to %s is %+v, want %+v", link[0].Name, link[1].Name, got, c)
		}
	}
	for _, n := range p.nodes {
		if n.disk.Capacity != 0 || n.clock.Rate() != 1 || n.host.Refuse || n.up && n.machine.Paused() {
			p.t.Errorf("%s: capacity %d, rate %v, refuses %t", n.Name, n.disk.Capacity, n.clock.Rate(), n.host.Refuse)
		}
		if !n.broken && (n.holds != 0 || n.pauses != 0 || !n.up) {
			p.t.Errorf("%s: held %d times, paused %d times, up %t", n.Name, n.holds, n.pauses, n.up)
		}
	}
}

// during are a node's lines while the fault lasts.
func (p *probed) during(who, word string) []seen {
	f := p.Faults[0]
	return p.of(who, word, time.Duration(f.At), time.Duration(f.At+f.For))
}

func (p *probed) before(who, word string) []seen {
	return p.of(who, word, 0, time.Duration(p.Faults[0].At))
}

func (p *probed) after(who, word string) []seen {
	f := p.Faults[0]
	return p.of(who, word, time.Duration(f.At+f.For), p.now())
}

// most is the greatest number at the word of the lines.
func most(list []seen, word int) (n int64) {
	for _, l := range list {
		n = max(n, l.number(word))
	}
	return n
}

func want(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Errorf(format, args...)
	}
}

// starts are what each life of the node found.
func (p *probed) starts(who string) []seen { return p.of(who, "found", 0, p.now()) }

func crashSights() map[string]sight {
	lost := func(t *testing.T, p *probed) {
		starts := p.starts("s0n1")
		if len(starts) != 2 {
			t.Fatalf("%d starts, want 2", len(starts))
		}
		acknowledged := most(p.before("s0n1", "disk"), 1)
		want(t, starts[1].number(1) >= acknowledged && starts[1].number(1) <= acknowledged+1, "%d synced blocks found, %d were acknowledged", starts[1].number(1), acknowledged)
		written := most(p.before("s0n1", "unsynced"), 1)
		want(t, starts[1].number(2) < written, "%d of %d unsynced blocks found, want fewer", starts[1].number(2), written)
	}
	everybody := func(t *testing.T, p *probed) {
		for _, n := range p.nodes {
			want(t, len(p.starts(n.Name)) == 2, "%s started %d times, want 2", n.Name, len(p.starts(n.Name)))
		}
		want(t, len(p.during("", "beat")) <= 3, "somebody beats")
	}
	return map[string]sight{
		"kill": {schedule.Fault{Nodes: []string{"s0n1"}, For: 2 * second}, func(t *testing.T, p *probed) {
			starts := p.starts("s0n1")
			if len(starts) != 2 {
				t.Fatalf("%d starts, want 2", len(starts))
			}
			written := most(p.before("s0n1", "unsynced"), 1)
			want(t, starts[1].number(2) >= written && starts[1].number(2) <= written+1, "%d of %d unsynced blocks found, want all", starts[1].number(2), written)
			want(t, len(p.during("s0n1", "beat")) <= 1, "it beats")
			want(t, count(p.during("s0n0", "ping"), "s0n1", "refused") > 5, "peers are not refused")
		}},
		"power": {schedule.Fault{Nodes: []string{"s0n1"}, For: 2 * second}, func(t *testing.T, p *probed) {
			lost(t, p)
			want(t, count(p.during("s0n0", "ping"), "s0n1", "refused") == 0, "a machine without power answers")
		}},
		"power-shard":   {schedule.Fault{Nodes: []string{"shard:0"}, For: second}, everybody},
		"power-cluster": {schedule.Fault{Nodes: []string{"all"}, For: second}, everybody},
		"crash-on-event": {schedule.Fault{On: &schedule.Event{Kind: "sync", Node: "s0n1", Match: "raft.db", Count: 10}, Mode: "power", For: second}, func(t *testing.T, p *probed) {
			starts := p.starts("s0n1")
			if len(starts) != 2 {
				t.Fatalf("%d starts, want 2", len(starts))
			}
			syncs := len(p.of("s0n1", "disk", begin, starts[1].at))
			want(t, syncs == 9, "%d syncs returned before the crash at the tenth", syncs)
			want(t, starts[1].number(1) == most(p.of("s0n1", "disk", 0, starts[1].at), 1)+1, "the tenth sync did not reach the platter")
		}},
		"crash-loop": {schedule.Fault{Nodes: []string{"s0n1"}, For: 7 * second, Mode: "kill"}, func(t *testing.T, p *probed) {
			want(t, len(p.starts("s0n1")) >= 3, "%d starts, want 3 at least", len(p.starts("s0n1")))
		}},
		"crash-in-recovery": {schedule.Fault{Nodes: []string{"s0n1"}, For: 2 * second, Mode: "power", Bytes: 2}, func(t *testing.T, p *probed) {
			life := p.node("s0n1").life
			want(t, life == 3 && len(p.starts("s0n1")) == 2, "%d lives, of which %d came to serve, want 3 and 2", life, len(p.starts("s0n1")))
		}},
	}
}

func processSights() map[string]sight {
	paused := func(t *testing.T, p *probed, who string) {
		f := p.Faults[0]
		want(t, len(p.of(who, "beat", time.Duration(f.At)+200*time.Millisecond, time.Duration(f.At+f.For))) == 0, "%s beats", who)
		slept := time.Duration(most(p.of(who, "beat", 0, p.now()), 3)) * time.Microsecond
		want(t, slept > time.Duration(f.For)-200*time.Millisecond, "%s slept %s at most: its clock stood", who, slept)
		want(t, len(p.starts(who)) == 1, "%s started anew", who)
	}
	beats := func(of []seen) int64 { return most(of, 3) }
	return map[string]sight{
		"pause": {schedule.Fault{Nodes: []string{"s0n1"}, For: 3 * second}, func(t *testing.T, p *probed) { paused(t, p, "s0n1") }},
		"pause-leader": {schedule.Fault{At: 1, On: &schedule.Event{Kind: "log", Match: "leads the shard", Count: 1}, For: 2 * second}, func(t *testing.T, p *probed) {
			list := p.of("s0n0", "beat", 0, p.now())
			want(t, len(list) > 0 && list[0].at > 2*time.Second, "it beats right after it was elected")
		}},
		"slow-cpu": {schedule.Fault{Nodes: []string{"s0n1"}, For: 3 * second, Amount: 150}, func(t *testing.T, p *probed) {
			before, during := beats(p.before("s0n1", "beat")), beats(p.during("s0n1", "beat"))
			want(t, during > before+1000, "as fast as ever: a beat took %d us, before that %d", during, before)
		}},
		"late-timers": {schedule.Fault{Nodes: []string{"s0n1"}, For: 3 * second, Amount: 0.2}, func(t *testing.T, p *probed) {
			want(t, beats(p.before("s0n1", "beat")) < 103_000 && beats(p.during("s0n1", "beat")) > 110_000, "timers are in time: %d us", beats(p.during("s0n1", "beat")))
		}},
		"starve": {schedule.Fault{Nodes: []string{"s0n1"}, For: 4 * second, Amount: 1, Mode: "newest"}, func(t *testing.T, p *probed) {
			orders := func(list []seen) int {
				different := map[string]bool{}
				for _, l := range list {
					different[l.text(1)] = true
				}
				return len(different)
			}
			want(t, orders(p.before("s0n1", "order")) > 8, "%d different orders without", orders(p.before("s0n1", "order")))
			want(t, orders(p.during("s0n1", "order")) <= 3, "%d different orders", orders(p.during("s0n1", "order")))
		}},
	}
}

func keyedSights() map[string]sight {
	return map[string]sight{
		"error-on-event": {schedule.Fault{On: &schedule.Event{Kind: "sync", Node: "s0n1", Match: "raft.db", Count: 10}, Mode: "write", For: second}, func(t *testing.T, p *probed) {
			all := p.of("s0n1", "disk", begin, p.now())
			failed := count(all, "I/O error")
			want(t, failed >= 5 && failed <= 40, "%d of %d writes failed", failed, len(all))
			for i, l := range all {
				if strings.Contains(strings.Join(l.what, " "), "I/O error") {
					want(t, i >= 9 && i <= 11, "the first that failed is number %d", i+1)
					break
				}
			}
			want(t, count(p.of("s0n0", "disk", 0, p.now()), "I/O error") == 0, "on another disk too")
		}},
		"stall-on-event": {schedule.Fault{On: &schedule.Event{Kind: "write", Node: "s0n1", Match: "raft.db", Count: 10}, For: 4 * second, Amount: 4, Mode: "sync"}, func(t *testing.T, p *probed) {
			all := p.of("s0n1", "disk", begin, p.now())
			want(t, len(all) > 10 && all[9].number(2) > 3900 || all[10].number(2) > 3900, "the tenth sync or the one after it took no 4 s")
			want(t, most(all, 2) < 4100, "one took %d ms", most(all, 2))
			want(t, most(p.of("s0n1", "beat", 0, p.now()), 3) < 103_000, "a beat took %d us while the disk hung", most(p.of("s0n1", "beat", 0, p.now()), 3))
		}},
		"cut-on-event": {schedule.Fault{On: &schedule.Event{Kind: "sync", Node: "s0n1", Match: "raft.db", Count: 10}, Mode: "both", For: 4 * second}, apart("01", "12")},
		"transfer-cut": {schedule.Fault{Nodes: []string{"s0n1"}, Mode: "0", For: 4 * second, Amount: 0.3}, apart("01", "12")},
		"transfer-lag": {schedule.Fault{Nodes: []string{"s0n1"}, Mode: "0", For: 4 * second, Amount: 0.2}, func(t *testing.T, p *probed) {
			want(t, most(p.before("s0n1", "ping"), 2) < 10, "a ping takes %d ms without the fault", most(p.before("s0n1", "ping"), 2))
			late := most(p.during("s0n1", "ping"), 2)
			want(t, late >= 200 && late < 390, "a ping takes %d ms at most, with one way late by 200", late)
			want(t, most(p.during("s0n0", "ping"), 2) >= 200, "what it hears is not late")
		}},
		"late-snapshot": {schedule.Fault{Nodes: []string{"follower:0"}, For: 8 * second, Amount: 2}, func(t *testing.T, p *probed) {
			want(t, count(p.during("s0n0", "ping"), "s0n1", "timeout")+count(p.during("s0n1", "ping"), "s0n0", "timeout") > 0, "no connection is held")
		}},
	}
}

func operationSights() map[string]sight {
	stops := func(t *testing.T, p *probed, who ...string) {
		for _, n := range who {
			stopped := p.of(n, "stopping", 0, p.now())
			want(t, len(stopped) == 1 && len(p.starts(n)) == 2, "%s stopped %d times and started %d times", n, len(stopped), len(p.starts(n)))
		}
	}
	nothing := func(*testing.T, *probed) {} // it counts when the reply is there
	return map[string]sight{
		"transfer-leader": {schedule.Fault{Mode: "0", For: 2 * second}, nothing},
		"snapshot":        {schedule.Fault{Mode: "0", For: 2 * second}, nothing},
		"stop":            {schedule.Fault{Nodes: []string{"s0n1"}, For: 2 * second}, func(t *testing.T, p *probed) { stops(t, p, "s0n1") }},
		"rolling-restart": {schedule.Fault{Nodes: []string{"shard:0"}, For: 6 * second}, func(t *testing.T, p *probed) { stops(t, p, "s0n0", "s0n1", "s0n2") }},
	}
}
