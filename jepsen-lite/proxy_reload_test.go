//go:build deploy

package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// gets reads keys that are there, through HAProxy, until stopped.
type gets struct {
	stopped atomic.Bool
	done    sync.WaitGroup
	n       atomic.Int64

	mu     sync.Mutex
	failed []string
}

func startGets(ctx context.Context, t *testing.T, front *cluster.Node, clients int) *gets {
	t.Helper()
	for shard := range uint32(3) {
		reply, err := front.Put(ctx, keyOf(shard, "get"), "there")
		check(t, err)
		if reply.Status != 201 {
			t.Fatal(reply)
		}
	}
	g := &gets{}
	for i := range clients {
		g.done.Go(func() {
			for number := i; !g.stopped.Load() && ctx.Err() == nil; number++ {
				reply, err := front.Get(ctx, keyOf(uint32(number%3), "get"))
				g.n.Add(1)
				if err != nil || string(reply.Body) != "there" {
					g.mu.Lock()
					g.failed = append(g.failed, fmt.Sprintf("%v %v", reply, err))
					g.mu.Unlock()
				}
			}
		})
	}
	return g
}

func (g *gets) stop() {
	g.stopped.Store(true)
	g.done.Wait()
}

// TestReloadAndKillsInFront: reloads under load lose nothing, the router's death is not noticed, and without HAProxy every node
// still answers for every key.
func TestReloadAndKillsInFront(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	p := startProxied(ctx, t, calm()...)
	g := startGets(ctx, t, p.h.Front, 4)
	w := startCounted(ctx, "http://"+p.h.Front.API, countedWriters, 0, 1, 2)
	const reloads = 5
	for range reloads {
		check(t, w.waitAcked(ctx, 0, 20))
		check(t, p.h.Reload(ctx))
		check(t, w.waitAcked(ctx, 1, 20))
		check(t, p.h.WaitUp(ctx, p.Shards(), 3))
	}
	check(t, p.r.Kill())
	check(t, w.waitAcked(ctx, 2, 50))
	leader, err := p.Leader(ctx, 1)
	check(t, err)
	before := p.checksOnly(ctx, t, leader, w)
	check(t, p.r.Start())
	check(t, w.waitAcked(ctx, 0, 20))
	w.stop()
	g.stop()
	for i, what := range g.failed {
		if i < 5 {
			t.Errorf("a GET failed: %s", what)
		}
	}
	repeats, executed, sent, err := w.repeats(ctx, p.h.Front)
	check(t, err)
	for _, what := range repeats { // an acknowledged write that is not there is one of them
		t.Error(what)
	}
	for outcome, n := range w.outcomes {
		if !strings.HasSuffix(outcome, " applied") && !strings.HasPrefix(outcome, "HTTP/2 refused") {
			t.Errorf("%d writes got: %s", n, outcome)
		}
	}
	t.Logf("%d reloads, the router killed and started: %d GETs, %d failed; %d PUTs sent, %d executed, replies %v; without a router HAProxy's own checks found a new leader after %s",
		reloads, g.n.Load(), len(g.failed), sent, executed, w.outcomes, before.Round(time.Millisecond))
	check(t, p.h.Kill())
	for _, n := range p.Nodes {
		for shard := range uint32(3) {
			reply, err := n.Get(ctx, keyOf(shard, "get"))
			check(t, err)
			if string(reply.Body) != "there" {
				t.Errorf("without HAProxy, %s: %s", n.Name, reply)
			}
			put, err := n.Put(ctx, keyOf(shard, "put-at-"+n.Name+"-"), n.Name)
			check(t, err)
			if put.Status != 201 || put.Outcome() != wire.Applied || put.Header.Get(wire.HeaderShard) != strconv.Itoa(int(shard)) {
				t.Errorf("without HAProxy, a PUT to shard %d at %s: %s", shard, n.Name, put)
			}
		}
	}
}

// checksOnly hands over leadership while no router runs, and waits until HAProxy has found it out.
func (p *proxied) checksOnly(ctx context.Context, t *testing.T, leader *cluster.Node, w *counted) time.Duration {
	t.Helper()
	to := p.Others(leader)[0].Name
	var start time.Time
	check(t, cluster.WaitFor(ctx, "a hand-over to "+to, func(ctx context.Context) error { // refused while it is not fit for it
		start = time.Now()
		reply, err := leader.Do(ctx, http.MethodPost, fmt.Sprintf("/v1/cluster/shards/%d/transfer-leader", leader.Shard), []byte(`{"to":"`+to+`"}`))
		if err == nil && reply.Status != 200 {
			err = errors.New(reply.String())
		}
		return err
	}))
	check(t, p.waitPushed(ctx, leader.Shard, to))
	found := time.Since(start)
	check(t, w.waitAcked(ctx, leader.Shard, 20))
	return found
}
