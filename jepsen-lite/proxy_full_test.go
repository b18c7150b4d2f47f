//go:build deploy

package jepsenlite

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// TestFullQueueSaysSoAtOnce: what finds HAProxy's queue full does not wait for its timeout: 503, Retry-After, not-applied.
func TestFullQueueSaysSoAtOnce(t *testing.T) {
	// Two requests at each server: at the leader alone for a write, at each of three replicas for a read.
	for method, sent := range map[string]int{http.MethodPut: 2, http.MethodGet: 6} {
		t.Run(method, func(t *testing.T) { fullQueueSaysSo(within(t, 80*time.Second), t, method, sent) })
	}
}

func fullQueueSaysSo(ctx context.Context, t *testing.T, method string, sent int) {
	const requests, queued = 40, 3
	c := newCluster(t, 3, 3)
	h := newHAProxy(t, c)
	h.SetEnv("KVORUM_LB_SERVER_CONNECTIONS=2")
	for old, replacement := range map[string]string{
		"\nglobal\n":              "\nglobal\n    nbthread 1\n", // several threads may let one more in
		"fall 1 rise 1 observe":   "fall 1000 rise 1 observe",   // servers stay up, however silent
		"fall 2 rise 1 on-marked": "fall 1000 rise 1 on-marked",
		"timeout queue 2s":        "timeout queue 30s",
		"timeout server 15s":      "timeout server 30s",
		"queue ge 1024":           fmt.Sprintf("queue ge %d", queued),
	} {
		check(t, h.Replace(old, replacement))
	}
	check(t, c.Start(ctx))
	check(t, h.Start())
	check(t, h.WaitUp(ctx, 3, 3))
	for _, n := range c.Shard(0) {
		check(t, n.Pause(ctx))
	}
	type answer struct {
		*cluster.Reply
		err error
	}
	answers := make(chan answer, requests)
	start := time.Now()
	for i := range requests {
		go func() {
			reply, err := h.Front.Do(ctx, method, fmt.Sprintf("/v1/kv/full-%d-0", i), []byte("v"))
			answers <- answer{reply, err}
		}()
	}
	late := time.After(10 * time.Second)
	refused := 0
	for tooLate := false; refused < requests-sent-queued && !tooLate; {
		select {
		case a := <-answers:
			check(t, a.err)
			refused++
			wantProblem(t, a.Reply, http.StatusServiceUnavailable, wire.NotApplied)
			if a.Header.Get("Retry-After") == "" {
				t.Errorf("%s without Retry-After", a)
			}
		case <-late:
			tooLate = true
			t.Errorf("only %d of %d requests were refused within 10s, want %d", refused, requests, requests-sent-queued)
		}
	}
	t.Logf("%d of %d refused within %s", refused, requests, time.Since(start).Round(time.Millisecond))
	for _, n := range c.Shard(0) {
		check(t, n.Resume())
	}
	for ; refused < requests; refused++ { // those that wait go on
		a := <-answers
		check(t, a.err)
		if a.Status >= 500 && a.Outcome() == wire.NotApplied {
			t.Errorf("%s, of a request that was in the queue or at a node", a)
		}
	}
}
