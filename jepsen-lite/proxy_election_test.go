//go:build deploy

package jepsenlite

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// TestWritesWaitForTheElection: a leader is killed, and right after that writes for its shard are sent: to HAProxy, to the
// router, to each node that lives. The election takes longer here than it takes with the default timings when its first round
// of votes is lost. All of them wait; none is refused.
func TestWritesWaitForTheElection(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	// A follower misses its leader after 2.2 to 4.4 s; a leader that is waited for gets 8 s.
	p := startProxied(ctx, t, "--heartbeat-timeout=2200ms", "--election-timeout=2200ms", "--leader-lease-timeout=500ms")
	for kill := range 3 {
		leader, err := p.Leader(ctx, uint32(kill))
		check(t, err)
		check(t, leader.Kill())
		fronts := []*cluster.Node{p.h.Front, p.r.Front}
		for _, n := range p.Nodes {
			if n != leader {
				fronts = append(fronts, n)
			}
		}
		took := make([]time.Duration, len(fronts))
		var sending sync.WaitGroup
		for i, front := range fronts {
			sending.Go(func() {
				start := time.Now()
				reply, err := putPastTheDead(ctx, t, front, leader, fmt.Sprintf("wait-%s-%s", front.Name, keyOf(leader.Shard, "k")))
				if took[i] = time.Since(start); err != nil || reply.Outcome() != wire.Applied {
					t.Errorf("a PUT at %s after the death of %s: %v %v after %v", front.Name, leader.Name, reply, err, took[i])
				}
			})
		}
		sending.Wait()
		list := sorted(took)
		t.Logf("after the death of %s: %d writes waited %v to %v", leader.Name, len(fronts), list[0].Round(time.Millisecond), list[len(list)-1].Round(time.Millisecond))
		if list[0] < time.Second {
			t.Errorf("a write was answered after %v: nobody can lead by then", list[0])
		}
		check(t, leader.Start())
		check(t, leader.WaitReady(ctx))
	}
}

// putPastTheDead writes a key. A front that has not seen yet that a leader's connections ended may pass the write on into one
// of them, and then can't know what became of it: it says so, and the write is sent again.
func putPastTheDead(ctx context.Context, t *testing.T, front, dead *cluster.Node, key string) (*cluster.Reply, error) {
	t.Helper()
	for {
		reply, err := front.Do(ctx, http.MethodPut, cluster.KeyPath(key), []byte("v"))
		if err != nil || reply.Outcome() != wire.Unknown || !strings.Contains(string(reply.Body), "node "+dead.Name+" did not answer") {
			return reply, err
		}
		t.Logf("a PUT at %s went into a connection of %s, which was dead: %s", front.Name, dead.Name, reply)
	}
}
