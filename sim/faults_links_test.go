package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim/schedule"
)

// failures counts pings from one node to another that failed while the fault lasted.
func (p *probed) failedPings(from, to string) int {
	list := p.during(from, "ping")
	return count(list, to) - count(list, to, "<nil>")
}

// apart checks which pairs of nodes did not hear each other, and that the others did. A pair is "01".
func apart(pairs ...string) func(t *testing.T, p *probed) {
	return func(t *testing.T, p *probed) {
		for _, pair := range []string{"01", "02", "12"} {
			a, b := "s0n"+pair[:1], "s0n"+pair[1:]
			failed := p.failedPings(a, b) > 1 && p.failedPings(b, a) > 1
			whole := p.failedPings(a, b) == 0 && p.failedPings(b, a) == 0
			if cut := strings.Contains(strings.Join(pairs, " "), pair); cut && !failed || !cut && !whole {
				t.Errorf("%s and %s: %d and %d pings failed, cut: %t", a, b, p.failedPings(a, b), p.failedPings(b, a), cut)
			}
		}
		for _, line := range strings.Split(strings.TrimSpace(p.crowd.errors.String()), "\n") {
			want(t, strings.Contains(line, "<nil>"), "a client says %s", line)
		}
	}
}

func cutSights() map[string]sight {
	one := []string{"s0n1"}
	return map[string]sight{
		"partition": {schedule.Fault{Nodes: []string{"s0n0", "s0n2"}, For: 4 * second}, apart("01", "12")},
		"isolate":   {schedule.Fault{Nodes: one, For: 4 * second, Mode: "in"}, apart("01", "12")},
		"thirds":    {schedule.Fault{For: 4 * second}, apart("01", "02", "12")},
		"bridge": {schedule.Fault{For: 4 * second}, func(t *testing.T, p *probed) {
			cut := 0
			for _, pair := range []string{"01", "02", "12"} {
				if p.failedPings("s0n"+pair[:1], "s0n"+pair[1:]) > 1 {
					cut++
				}
			}
			want(t, cut == 1, "%d pairs are apart, want 1", cut)
		}},
		"ring": {schedule.Fault{For: 7 * second}, func(t *testing.T, p *probed) {
			cut := 0
			for _, pair := range []string{"01", "02", "12"} {
				list := p.during("s0n"+pair[:1], "ping")
				if p.failedPings("s0n"+pair[:1], "s0n"+pair[1:]) > 0 && count(list, "s0n"+pair[1:], "<nil>") > 10 {
					cut++
				}
			}
			want(t, cut >= 2, "%d pairs were apart and together again, want 2 at least", cut)
		}},
		"flapping": {schedule.Fault{Nodes: one, For: 7 * second, Amount: 1, Mode: "both"}, func(t *testing.T, p *probed) {
			ok := count(p.during("s0n0", "ping"), "s0n1", "<nil>")
			want(t, p.failedPings("s0n0", "s0n1") > 1 && ok > 10, "%d pings failed, %d did not", p.failedPings("s0n0", "s0n1"), ok)
		}},
		"clients-cut": {schedule.Fault{Nodes: one, For: 4 * second, Mode: "both"}, func(t *testing.T, p *probed) {
			failed := 0
			for _, line := range strings.Split(strings.TrimSpace(p.crowd.errors.String()), "\n") {
				if !strings.Contains(line, "<nil>") {
					failed++
					want(t, strings.Contains(line, "s0n1"), "%s", line)
				}
			}
			want(t, failed > 2, "clients hear it")
			want(t, p.failedPings("s0n0", "s0n1") == 0, "the other nodes do not")
		}},
		"left-behind": {schedule.Fault{Nodes: []string{"follower:0"}, For: 6 * second}, func(t *testing.T, p *probed) {
			want(t, most(p.during("s0n0", "ping"), 2) > 300, "the follower is not cut off")
			late := p.of("s0n0", "ping", begin+3*time.Second, begin+6*time.Second)
			want(t, count(late, "s0n1", "<nil>") > 30, "it stays cut off after the leader's log was compacted")
		}},
		"cut-snapshot": {schedule.Fault{Nodes: []string{"follower:0"}, For: 6 * second, Bytes: 5500}, func(t *testing.T, p *probed) {
			list := append(p.during("s0n0", "ping"), p.during("s0n1", "ping")...)
			want(t, count(list, "reset") > 0, "no connection broke")
		}},
	}
}

func linkSights() map[string]sight {
	one := []string{"s0n1"}
	slow := func(ms int64) func(t *testing.T, p *probed) {
		return func(t *testing.T, p *probed) {
			want(t, most(p.before("s0n1", "ping"), 2) < 10, "a ping takes %d ms without the fault", most(p.before("s0n1", "ping"), 2))
			want(t, most(p.during("s0n1", "ping"), 2) >= ms, "a ping takes %d ms at most", most(p.during("s0n1", "ping"), 2))
			want(t, count(p.during("s0n1", "ping"), "other bytes") == 0, "bytes were changed")
		}
	}
	silent := func(t *testing.T, p *probed) {
		want(t, p.failedPings("s0n0", "s0n1") > 0 && count(p.during("s0n0", "ping"), "s0n1", "timeout") > 0, "%d pings failed", p.failedPings("s0n0", "s0n1"))
		want(t, p.failedPings("s0n0", "s0n2") == 0, "pings between others failed")
	}
	broken := func(text string, pair bool) func(t *testing.T, p *probed) {
		return func(t *testing.T, p *probed) {
			list := append(p.during("s0n0", "ping"), p.during("s0n1", "ping")...)
			want(t, count(list, text) > 0, "nobody says %q", text)
			want(t, count(p.during("s0n2", "ping"), "s0n0", text)+count(p.during("s0n0", "ping"), "s0n2", text) == 0, "others are hit")
			want(t, !pair || count(p.during("s0n2", "ping"), text) == 0, "a third one is hit")
		}
	}
	return map[string]sight{
		"latency":   {schedule.Fault{Nodes: one, For: 3 * second, Amount: 0.1}, slow(200)},
		"jitter":    {schedule.Fault{Nodes: one, For: 3 * second, Amount: 0.1}, slow(100)},
		"tail":      {schedule.Fault{Nodes: one, For: 5 * second, Amount: 0.5}, slow(500)},
		"loss":      {schedule.Fault{Nodes: one, For: 3 * second, Amount: 0.2}, slow(200)},
		"bandwidth": {schedule.Fault{Nodes: one, For: 3 * second, Bytes: 6000}, slow(300)},
		"clog":      {schedule.Fault{Nodes: one, For: 3 * second, Mode: "in"}, silent},
		"clog-pair": {schedule.Fault{Nodes: []string{"s0n0", "s0n1"}, For: 3 * second}, func(t *testing.T, p *probed) {
			silent(t, p)
			want(t, p.failedPings("s0n2", "s0n1") == 0, "a third one is hit")
		}},
		"swizzle-clog": {schedule.Fault{Nodes: []string{"s0n0", "s0n1"}, For: 6 * second}, func(t *testing.T, p *probed) {
			want(t, p.failedPings("s0n2", "s0n1") > 0 && p.failedPings("s0n2", "s0n0") > 0, "not both are clogged")
		}},
		"reset":      {schedule.Fault{Nodes: one, For: 3 * second, Amount: 0.5}, broken("reset", false)},
		"cut-stream": {schedule.Fault{Nodes: []string{"s0n0", "s0n1"}, For: 3 * second, Bytes: 5500}, broken("reset", true)},
		"refuse":     {schedule.Fault{Nodes: one, For: 3 * second, Mode: "reset"}, broken("refused", false)},
		"late-connection": {schedule.Fault{Nodes: one, For: 2 * second, Amount: 1}, func(t *testing.T, p *probed) {
			soon, later := p.of("s0n0", "ping", begin, begin+time.Second), p.of("s0n0", "ping", begin+time.Second, begin+4*time.Second)
			want(t, count(soon, "s0n1", "timeout") == 1, "the held connection times out %d times", count(soon, "s0n1", "timeout"))
			want(t, count(later, "s0n1", "<nil>") > 20 && count(later, "s0n1", "timeout") == 0, "a new connection does not work")
		}},
		"stale-connection": {schedule.Fault{Nodes: one, Amount: 1}, func(t *testing.T, p *probed) {
			soon, later := p.of("s0n0", "ping", begin, begin+time.Second), p.of("s0n0", "ping", begin+time.Second, begin+3*time.Second)
			want(t, count(soon, "s0n1", "timeout") == 1, "the old connection times out %d times", count(soon, "s0n1", "timeout"))
			want(t, count(later, "s0n1", "<nil>") > 20, "a new connection does not work")
		}},
	}
}
