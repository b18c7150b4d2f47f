//go:build deploy

package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// routingRun sends checks and remembers what to look for in HAProxy's log.
type routingRun struct {
	name    string
	row     func(slot int) string // of HAProxy's map
	leaders []string              // by shard
	n       atomic.Int64
	wrong   atomic.Int64
	mu      sync.Mutex
	sent    map[string]routingCheck // by request id
	replies map[string]*cluster.Reply
}

func (p *proxied) newRoutingRun(ctx context.Context, t *testing.T, name string, row func(slot int) string) *routingRun {
	t.Helper()
	return &routingRun{name: name, row: row, leaders: p.leaders(ctx, t), sent: map[string]routingCheck{}, replies: map[string]*cluster.Reply{}}
}

// leaders are the leaders of all shards as the nodes say, not HAProxy.
func (p *proxied) leaders(ctx context.Context, t *testing.T) (names []string) {
	t.Helper()
	for shard := range p.Shards() {
		leader, err := p.Leader(ctx, shard)
		check(t, err)
		names = append(names, leader.Name)
	}
	return names
}

func (run *routingRun) complain(t *testing.T, format string, a ...any) {
	if run.wrong.Add(1) <= 20 {
		t.Errorf(format, a...)
	}
}

func (run *routingRun) one(t *testing.T, client *rawClient, k routingCheck) error {
	id := run.name + "-" + strconv.FormatInt(run.n.Add(1), 10)
	run.mu.Lock()
	run.sent[id] = k
	run.mu.Unlock()
	body := k.send
	if k.method == "PUT" && body == "" {
		body = k.key
	}
	reply, err := client.do(k.method, k.target, id, body)
	if err != nil {
		return fmt.Errorf("%s %.100s: %w", k.method, k.target, err)
	}
	run.mu.Lock()
	run.replies[id] = reply
	run.mu.Unlock()
	shard := reply.Header.Get(wire.HeaderShard)
	switch {
	case !slices.Contains(k.status, reply.Status), k.body != "" && string(reply.Body) != k.body:
		run.complain(t, "%s %.100s: %s, want status %v, body %q", k.method, k.target, reply, k.status, k.body)
	case k.outcome != "" && reply.Outcome() != k.outcome:
		run.complain(t, "%s %.100s: %s, want %s", k.method, k.target, reply, k.outcome)
	case !reply.Outcome().Valid() || reply.Header.Get(wire.HeaderRequestID) != id:
		run.complain(t, "%s %.100s: %s has no outcome, or not the request's id: %v", k.method, k.target, reply, reply.Header)
	case k.key != "" && shard != "" && shard != strconv.Itoa(int(k.key[len(k.key)-1])%3):
		run.complain(t, "%s %.100s: answered by shard %s", k.method, k.target, shard)
	}
	return nil
}

func (run *routingRun) all(t *testing.T, address string, lists [][]routingCheck) {
	t.Helper()
	work := make(chan []routingCheck)
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			client, err := dialRaw(address)
			for list := range work {
				for _, k := range list {
					if err == nil {
						err = run.one(t, client, k)
					}
				}
			}
			errs <- err
		}()
	}
	for _, list := range lists {
		work <- list
	}
	close(work)
	for range cap(errs) {
		check(t, <-errs)
	}
}

// backend is where HAProxy must send a check by its map, and the shard that its log must name.
func (run *routingRun) backend(k routingCheck) (backend, shard string) {
	if k.anywhere {
		return "kv_any", "-"
	}
	slot, _ := k.last()
	shard, _, _ = strings.Cut(run.row(slot), ":")
	if !slices.Contains([]string{"s0", "s1", "s2"}, shard) {
		return "kv_any", shard
	}
	if k.reads() {
		return "kv_" + shard + "_r", shard
	}
	return "kv_" + shard + "_w", shard
}

// judge compares HAProxy's own choices, as its log tells them, with its map, and the receipts with the shards' leaders.
func (run *routingRun) judge(ctx context.Context, t *testing.T, h *cluster.HAProxy) {
	t.Helper()
	var log map[string][]cluster.Access
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	check(t, cluster.WaitFor(short, "HAProxy's log", func(context.Context) (err error) {
		log, err = h.Log()
		for id, k := range run.sent {
			if len(log[id]) == 0 {
				return errors.Join(err, fmt.Errorf("no line of request %s, %s %.100s", id, k.method, k.target))
			}
		}
		return err
	}))
	for id, k := range run.sent {
		if problem := run.misrouted(k, log[id], run.replies[id]); problem != "" {
			run.complain(t, "%s %.100s: %s; HAProxy's log says %+v", k.method, k.target, problem, log[id])
		}
	}
}

// misrouted says what is wrong with the way that a request went, "" if nothing is.
func (run *routingRun) misrouted(k routingCheck, lines []cluster.Access, reply *cluster.Reply) string {
	a := lines[0]
	if len(lines) != 1 {
		return fmt.Sprintf("%d lines, want one", len(lines))
	}
	if k.nowhere {
		if a.Outcome != string(wire.NotApplied) {
			return "want not-applied"
		}
		return ""
	}
	slot := "-"
	if k.key != "" {
		number, _ := k.last()
		slot = strconv.Itoa(number)
	}
	backend, shard := run.backend(k)
	if a.Backend != backend || a.Slot != slot || a.Outcome == "-" || (shard != "" && a.Shard != shard) {
		return fmt.Sprintf("want slot %s, shard %s, backend %s", slot, shard, backend)
	}
	if a.Node != "-" && a.Node != reply.Header.Get(wire.HeaderNode) {
		return "the reply names " + reply.Header.Get(wire.HeaderNode)
	}
	if k.key == "" || k.reads() || reply.Outcome() != wire.Applied {
		return ""
	}
	_, owner := k.last()
	leader := run.leaders[owner]
	if a.Node != leader {
		return "written by another than the leader, " + leader
	}
	if shard == fmt.Sprintf("s%d", owner) && a.Server != leader {
		return "sent to another than the leader, " + leader
	}
	return ""
}

// spread counts what each replica did: writes of its shard, and reads.
func (run *routingRun) spread() (writes, reads map[string]int) {
	writes, reads = map[string]int{}, map[string]int{}
	for id, k := range run.sent {
		node := run.replies[id].Header.Get(wire.HeaderNode)
		switch {
		case node == "" || k.key == "":
		case k.reads():
			reads[node]++
		case run.replies[id].Outcome() == wire.Applied:
			writes[node]++
		}
	}
	return writes, reads
}

func TestHAProxyRouting(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	p := startProxied(ctx, t, calm()...)
	lists := routingLists()
	run := p.newRoutingRun(ctx, t, "route", trueRow)
	start := time.Now()
	run.all(t, p.h.Front.API, lists[:])
	run.all(t, p.h.Front.API, [][]routingCheck{routingOddities()})
	if now := p.leaders(ctx, t); !slices.Equal(now, run.leaders) {
		t.Fatalf("the leaders were %v and are %v: nothing can be said of where writes belonged", run.leaders, now)
	}
	run.judge(ctx, t, p.h)
	writes, reads := run.spread()
	t.Logf("%d requests through HAProxy in %s: %d wrong; leaders %v; writes executed by %v, reads by %v", run.n.Load(), time.Since(start).Round(time.Millisecond), run.wrong.Load(), run.leaders, writes, reads)
	if run.n.Load() < 4000 {
		t.Errorf("only %d checks", run.n.Load())
	}
	p.readsAreSpread(t, reads)
	t.Run("map", func(t *testing.T) { mapIsInUse(ctx, t, p.h) })
	t.Run("not HTTP", func(t *testing.T) { refusesWhatIsNoHTTP(t, p.h.Front.API) })
	t.Run("wrong maps", func(t *testing.T) { rightInSpiteOfTheMap(ctx, t, p) })
}

// readsAreSpread: each replica of a shard, leader or not, has a good part of its reads. By chance alone none of the three has
// less than a sixth of some hundreds.
func (p *proxied) readsAreSpread(t *testing.T, reads map[string]int) {
	t.Helper()
	for shard := range p.Shards() {
		all := 0
		for _, n := range p.Shard(shard) {
			all += reads[n.Name]
		}
		for _, n := range p.Shard(shard) {
			if all < 300 || reads[n.Name] < all/6 {
				t.Errorf("%s has %d of the %d reads of shard %d", n.Name, reads[n.Name], all, shard)
			}
		}
	}
}
