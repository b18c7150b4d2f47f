//go:build deploy

package jepsenlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

const (
	countedWriters = 8
	planned        = 20 // leader changes by hand-over
)

// kills is how often leaders are killed: 20, or KVORUM_KILLS.
func kills(t *testing.T) int {
	text := os.Getenv("KVORUM_KILLS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	check(t, err)
	return n
}

// percentile is the value that a part q of the list does not exceed, 0 of an empty one. With 20 values the 99th is the largest.
func percentile(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	list = sorted(list)
	return list[min(len(list)-1, int(q*float64(len(list))))]
}

func sorted(list []time.Duration) []time.Duration {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// TestLeaderChangesThroughHAProxy: writes stall only for as long as a change takes, and no hop of ours repeats one.
func TestLeaderChangesThroughHAProxy(t *testing.T) {
	names := []string{"none: longest gap between acknowledgements", "planned: longest gap between acknowledgements", "planned: HAProxy told, after the reply",
		"kill: longest gap between acknowledgements", "kill: election", "kill: gap beyond the election", "kill: HAProxy told, after the election"}
	n := kills(t)
	ctx := within(t, time.Minute+time.Duration(n)*10*time.Second)
	p := startProxied(ctx, t)
	w := startCounted(ctx, "http://"+p.h.Front.API, countedWriters, 0, 1, 2)
	rows := map[string][]time.Duration{}
	for i := range planned { // what the machine does by itself
		start := time.Now()
		check(t, w.waitAcked(ctx, uint32(i%3), 20))
		gap, _ := w.stall(uint32(i%3), start, start.Add(200*time.Millisecond))
		rows[names[0]] = append(rows[names[0]], gap)
	}
	for i := 0; len(rows[names[1]]) < planned; i++ {
		p.handOver(ctx, t, w, uint32(i%3), rows)
	}
	for i := range n {
		p.killLeader(ctx, t, w, uint32(i%3), rows)
	}
	w.stop()
	repeats, executed, sent, err := w.repeats(ctx, p.h.Front)
	check(t, err)
	for _, what := range repeats {
		t.Error(what)
	}
	t.Logf("%d writes sent once each, %d executed, %d repeated; replies: %v; by protocol: %v; connections in HTTP/2 refused: %d", sent, executed, len(repeats), w.outcomes, w.carried, w.refused)
	if w.carried["HTTP/1.1"] == 0 || len(w.carried) != 1 || w.refused == 0 {
		t.Errorf("replies by protocol: %v, %d connections in HTTP/2 refused: HTTP/2 was to be tried, and refused each time", w.carried, w.refused)
	}
	table(t, "leader changes under load of 8 writers", rows, names...)
	// A hand-over has no pause in it, only some six disk writes one after the other: about 20 ms where nothing else runs, which
	// is the goal. Three times that is a pause, by a retry or a check. Where the disk or the processor is so busy that writes stall
	// without any event (the median of 20 hand-overs was 56 ms with seventeen times as much to run as can), three times that.
	bound := max(60*time.Millisecond, 3*percentile(rows[names[0]], 0.5))
	if p50 := percentile(rows[names[1]], 0.5); p50 > bound {
		t.Errorf("half of the hand-overs stalled writes for %s or more, want at most %s", p50, bound)
	}
	// Once somebody leads, writes that wait go on at once; 300 ms is the goal. It is above HAProxy's pause before a second try
	// (timeout connect, 200 ms), which a write may just have begun, and far below a check's second, which would mean that nobody
	// told HAProxy. How long the election takes is not HAProxy's doing, so it is taken off.
	if p99 := percentile(rows[names[5]], 0.99); p99 > 300*time.Millisecond {
		t.Errorf("of 100 kills one stalled writes for %s or more beyond the election, want at most 300 ms", p99)
	}
	// The whole of it is bounded too, for nine of ten: an election that is lost once takes another timeout or two, and on a machine
	// with much else to do one in ten may be.
	const followed = 3 * time.Second
	if p90 := percentile(rows[names[3]], 0.9); p90 > followed {
		t.Errorf("of ten kills one stalled writes for %s or more, want at most %s", p90, followed)
	}
}

// handOver moves a shard's leadership on while writes go on.
func (p *proxied) handOver(ctx context.Context, t *testing.T, w *counted, shard uint32, rows map[string][]time.Duration) {
	t.Helper()
	leader, err := p.Leader(ctx, shard)
	check(t, err)
	check(t, w.waitAcked(ctx, shard, 20))
	to := p.Others(leader)[0].Name
	start := time.Now()
	body, err := json.Marshal(wire.TransferRequest{To: to})
	check(t, err)
	// Asked by the router, so that the proxy is not in the way of its own measurement.
	reply, err := p.r.Front.Do(ctx, http.MethodPost, fmt.Sprintf("/v1/cluster/shards/%d/transfer-leader", shard), body)
	check(t, err)
	if reply.Status != 200 {
		t.Logf("hand-over of shard %d to %s: %s", shard, to, reply) // not fit at the moment: no measurement, once more
		return
	}
	done := time.Now()
	check(t, p.waitPushed(ctx, shard, to))
	rows["planned: HAProxy told, after the reply"] = append(rows["planned: HAProxy told, after the reply"], time.Since(done))
	check(t, w.waitAcked(ctx, shard, 20))
	gap, _ := w.stall(shard, start, done.Add(100*time.Millisecond))
	rows["planned: longest gap between acknowledgements"] = append(rows["planned: longest gap between acknowledgements"], gap)
}

func (p *proxied) waitPushed(ctx context.Context, shard uint32, leader string) error {
	for {
		have, err := p.h.Leader(ctx, shard)
		if have == leader || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}

// killLeader kills a shard's leader with -9 while writes go on, and starts it again.
func (p *proxied) killLeader(ctx context.Context, t *testing.T, w *counted, shard uint32, rows map[string][]time.Duration) {
	t.Helper()
	leader, err := p.Leader(ctx, shard)
	check(t, err)
	check(t, w.waitAcked(ctx, shard, 20))
	start := time.Now()
	check(t, leader.Kill())
	next, elected := p.nextLeader(ctx, t, leader)
	election := elected.Sub(start)
	check(t, p.waitPushed(ctx, shard, next))
	pushed := time.Since(elected)
	check(t, w.waitAcked(ctx, shard, 20))
	gap, _ := w.stall(shard, start, elected.Add(100*time.Millisecond))
	for name, d := range map[string]time.Duration{"kill: longest gap between acknowledgements": gap, "kill: election": election,
		"kill: gap beyond the election": max(0, gap-election), "kill: HAProxy told, after the election": pushed} {
		rows[name] = append(rows[name], d)
	}
	check(t, leader.Start())
	check(t, leader.WaitReady(ctx))
}

// nextLeader asks the others without a pause who leads now.
func (p *proxied) nextLeader(ctx context.Context, t *testing.T, killed *cluster.Node) (name string, when time.Time) {
	t.Helper()
	for ctx.Err() == nil {
		for _, n := range p.Others(killed) {
			if n.Health(ctx, "leader") == nil {
				return n.Name, time.Now()
			}
		}
		<-time.After(2 * time.Millisecond) // the machine has other work
	}
	t.Fatal("nobody leads: ", ctx.Err())
	return "", time.Time{}
}

// TestRepeatedWritesAreSeen: with a HAProxy that sends writes again which it had sent already, the same counting finds
// repeats.
func TestRepeatedWritesAreSeen(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	p := newProxied(t)
	check(t, cluster.SendsAgain(p.h.Folder))
	p.start(ctx, t)
	w := startCounted(ctx, "http://"+p.h.Front.API, 2*countedWriters, 0, 1, 2)
	n := p.killUntilRepeated(ctx, t, w, 40)
	w.stop()
	repeats, _, _, err := w.repeats(ctx, p.h.Front)
	check(t, err)
	if len(repeats) == 0 {
		t.Fatalf("%d kills, and no write was seen to be repeated: the counting finds nothing; replies: %v", n, w.outcomes)
	}
	t.Logf("seen after %d kills: %s", n, repeats[0])
}

// killUntilRepeated kills leaders until a write was executed more often than sent, and says how many.
func (p *proxied) killUntilRepeated(ctx context.Context, t *testing.T, w *counted, most int) int {
	t.Helper()
	for n := range most {
		if w.anyRepeated() {
			return n
		}
		p.killLeader(ctx, t, w, uint32(n%3), map[string][]time.Duration{})
	}
	return most
}
