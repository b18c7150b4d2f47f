package shardrouter_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/shardrouter"
)

// leaderNews collects what WatchLeaders tells.
type leaderNews struct {
	mu   sync.Mutex
	list []shardrouter.Leader
}

func (n *leaderNews) tell(l shardrouter.Leader) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, l)
}

// last is the latest of a shard.
func (n *leaderNews) last(shard uint32) (latest shardrouter.Leader, count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.list {
		if l.Shard == shard {
			latest = l
			count++
		}
	}
	return latest, count
}

// TestWatchLeaders: each shard's leader is told of once per term, from the moment at which it leads, and
// the first table is told of too.
func TestWatchLeaders(t *testing.T) {
	c := ownCluster(t, 2, 3)
	var seeds []string
	for _, n := range c.dev.Nodes {
		seeds = append(seeds, n.PeerAddress())
	}
	r := shardrouter.New(shardrouter.Config{Self: peer.Identity{Cluster: "dev", Node: "router-watch"}, Seeds: seeds[len(seeds)-1:]})
	before, changed := r.Table()
	if before.Version != 0 {
		t.Fatalf("a table before Run: %+v", before)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	news := &leaderNews{}
	running.Go(func() { _ = r.Run(ctx) })
	running.Go(func() { r.WatchLeaders(ctx, news.tell) })
	defer func() { cancel(); running.Wait() }()
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("no news of a table")
	}
	eventually(t, "both leaders", func() error { return errors.Join(toldOf(c, t, news, 0), toldOf(c, t, news, 1)) })
	_, before0 := news.last(0)

	old := c.leader(t, 0)
	follower := c.follower(t, 0)
	if err := old.Controller().TransferLeadership(t.Context(), follower.Controller().Node()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new leader of shard 0", func() error { return toldOf(c, t, news, 0) })
	if latest, count := news.last(0); count < before0+1 || latest.Node != follower.Controller().Node() {
		t.Errorf("told %d times, last %+v", count, latest)
	}
}

func toldOf(c *cluster, t *testing.T, news *leaderNews, shard uint32) error {
	leader := c.leader(t, shard)
	latest, _ := news.last(shard)
	if latest.Node != leader.Controller().Node() || latest.Term != leader.Controller().Status().Term {
		return fmt.Errorf("told %+v, the leader is %s", latest, leader.Controller().Node())
	}
	return nil
}
