package jepsenlite

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// TestGracefulStopLosesNothing restarts every leader under load by SIGTERM, then everybody at once.
func TestGracefulStopLosesNothing(t *testing.T) {
	c := startCluster(t, 3, 3)
	ctx := within(t, 2*time.Minute)
	w := startWriters(ctx, t, 6, c.Endpoints())
	for shard := range c.Shards() {
		check(t, w.waitAcked(ctx, 200))
		leader, err := c.Leader(ctx, shard)
		check(t, err)
		terminateGracefully(ctx, t, leader)
		_, err = c.Leader(ctx, shard)
		check(t, err)
		check(t, leader.Start())
		check(t, leader.WaitReady(ctx))
	}
	check(t, w.waitAcked(ctx, 200))
	var all sync.WaitGroup
	for _, n := range c.Nodes {
		all.Go(func() { terminateGracefully(ctx, t, n) })
	}
	all.Wait()
	check(t, c.Start(ctx))
	w.stop() // only now: writers without any node try until they find one
	w.verify(ctx, t, c.Endpoints())
}

// terminateGracefully sends SIGTERM and watches from outside, each time by a new connection: the node says that it is not
// ready for more than a second before its port closes, and ends within 10 s with exit code 0.
func terminateGracefully(ctx context.Context, t *testing.T, n *cluster.Node) {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	var notReady, lastAnswer time.Time
	var watcher sync.WaitGroup
	watcher.Go(func() { notReady, lastAnswer = watchReadiness(watching, n) })
	exit, err := n.Terminate(ctx)
	cancel()
	watcher.Wait()
	if err != nil {
		t.Error(err)
		return
	}
	if exit.Code != 0 || exit.Took > 10*time.Second {
		t.Errorf("%s ended with exit code %d after %s, want 0 within 10s", n.Name, exit.Code, exit.Took)
	}
	seen := lastAnswer.Sub(notReady)
	if notReady.IsZero() || seen <= time.Second {
		t.Errorf("%s: not ready first seen at %v, last answer at %v: not more than a second between", n.Name, notReady, lastAnswer)
		return
	}
	t.Logf("%s: answered for %s that it is not ready, ended after %s", n.Name, seen.Round(time.Millisecond), exit.Took.Round(time.Millisecond))
}

// watchReadiness polls until the node's port is closed, each time by a new connection. It gives the times of the first
// answer that was not ready and of the last answer at all: what lies between was surely open and not ready.
func watchReadiness(ctx context.Context, n *cluster.Node) (notReady, lastAnswer time.Time) {
	asker := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	_ = cluster.WaitFor(ctx, "closed port", func(ctx context.Context) error { // ended by ctx: the caller sees zero times
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.API+"/v1/health/ready", nil)
		if err != nil {
			return err
		}
		response, err := asker.Do(request)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED) && !notReady.IsZero():
			return nil
		case err != nil:
			return err
		}
		_ = response.Body.Close()
		lastAnswer = time.Now()
		if response.StatusCode != http.StatusOK && notReady.IsZero() {
			notReady = lastAnswer
		}
		return errors.New("still open")
	})
	return notReady, lastAnswer
}
