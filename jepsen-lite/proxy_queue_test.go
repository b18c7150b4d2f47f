//go:build deploy

package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// TestQueuesAreBounded: a leader that takes no more lets writes wait in HAProxy's queue, not for ever: 503, Retry-After, and
// not-applied, which is true: none of them shows up later. What was sent is unknown, and says so.
func TestQueuesAreBounded(t *testing.T) {
	ctx := within(t, 90*time.Second)
	c := newCluster(t, 3, 3)
	h := newHAProxy(t, c)
	h.SetEnv("KVORUM_LB_SERVER_CONNECTIONS=2")
	// Servers stay up, however silent: the queue is what this is about.
	check(t, h.Replace("fall 1 rise 1 observe layer4", "fall 1000 rise 1 observe layer4"))
	check(t, h.Replace("timeout server 15s", "timeout server 5s"))
	check(t, c.Start(ctx))
	check(t, h.Start())
	check(t, cluster.WaitFor(ctx, "a write", func(ctx context.Context) error {
		reply, err := h.Front.Put(ctx, keyOf(0, "queue"), "v")
		if err == nil && reply.Outcome() != wire.Applied {
			err = errors.New(reply.String())
		}
		return err
	}))
	for _, n := range c.Shard(0) { // else the others would elect, and HAProxy would know
		check(t, n.Pause(ctx))
	}
	const writes = 40
	replies := make([]*cluster.Reply, writes)
	errs := make([]error, writes)
	start := time.Now()
	var sending sync.WaitGroup
	for i := range writes {
		sending.Go(func() {
			replies[i], errs[i] = h.Front.Do(ctx, http.MethodPut, fmt.Sprintf("/v1/kv/queue-%d-0", i), []byte("v"))
		})
	}
	sending.Wait()
	took := time.Since(start)
	for _, n := range c.Shard(0) {
		check(t, n.Resume())
	}
	check(t, errors.Join(errs...))
	check(t, c.WaitReady(ctx))
	outcomes := map[string]int{}
	for i, reply := range replies {
		outcomes[fmt.Sprintf("%d %s", reply.Status, reply.Outcome())]++
		switch reply.Status {
		case http.StatusServiceUnavailable:
			wantProblem(t, reply, reply.Status, wire.NotApplied)
			if reply.Header.Get("Retry-After") == "" {
				t.Errorf("%s without Retry-After", reply)
			}
			now, err := c.Shard(0)[0].Get(ctx, fmt.Sprintf("queue-%d-0", i))
			check(t, err)
			if now.Status != http.StatusNotFound {
				t.Errorf("write %d was said to be not applied, and is there: %s", i, now)
			}
		case http.StatusGatewayTimeout:
			wantProblem(t, reply, reply.Status, wire.Unknown)
		default:
			t.Errorf("%s", reply)
		}
	}
	t.Logf("%d writes to a shard that hangs: %v within %s", writes, outcomes, took.Round(time.Millisecond))
	if outcomes["503 not-applied"] < writes/2 || outcomes["504 unknown"] == 0 || took > 20*time.Second {
		t.Errorf("got %v in %s", outcomes, took)
	}
}
