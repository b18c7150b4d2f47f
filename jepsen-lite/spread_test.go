package jepsenlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// TestShardOfKeys shows H(key) = lastByte(key) % ShardCount by the receipts, from every node, on every path.
func TestShardOfKeys(t *testing.T) {
	c := startCluster(t, 3, 3)
	ctx := within(t, time.Minute)
	for key, shard := range map[string]string{"user:a": "1", "user:b": "2", "user:c": "0"} {
		for i, n := range c.Nodes {
			value := fmt.Sprint(key, i)
			reply, err := n.Put(ctx, key, value)
			check(t, err)
			wantReceipt(t, reply, shard)
			reply, err = c.Nodes[len(c.Nodes)-1-i].Get(ctx, key)
			check(t, err)
			wantReceipt(t, reply, shard)
			if string(reply.Body) != value {
				t.Errorf("%s reads %q, want %q", key, reply.Body, value)
			}
		}
	}
	evenSpread(ctx, t, c)
}

func wantReceipt(t *testing.T, reply *cluster.Reply, shard string) {
	t.Helper()
	node := reply.Header.Get(wire.HeaderNode)
	if reply.Status/100 != 2 || reply.Header.Get(wire.HeaderShard) != shard || len(node) < 2 || node[1:2] != shard {
		t.Errorf("%s, shard %q; want success by a node of shard %s", reply, reply.Header.Get(wire.HeaderShard), shard)
	}
}

// evenSpread stores keys of random bytes and compares the shards' shares, as the cluster counts them, with those that the
// slot table gives: 86, 85 and 85 of 256 slots.
func evenSpread(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	const keys = 3000
	random := rand.New(rand.NewPCG(1, 2))
	before := keysByShard(ctx, t, c)
	for i := range keys {
		key := []byte(fmt.Sprintf("%06d........", i))
		for at := 6; at < len(key); at++ {
			key[at] = byte(random.Uint32())
		}
		reply, err := c.Nodes[i%len(c.Nodes)].Put(ctx, string(key), "x")
		check(t, err)
		if want := fmt.Sprint(int(key[len(key)-1]) % 3); reply.Status != 201 || reply.Header.Get(wire.HeaderShard) != want {
			t.Fatalf("put %q: %s, shard %s, want 201 of shard %s", key, reply, reply.Header.Get(wire.HeaderShard), want)
		}
	}
	after := keysByShard(ctx, t, c)
	const deviation = 26 // of a binomial distribution with 3000 keys and a third of them each
	sum := 0
	for shard := range c.Shards() {
		got := int(after[shard] - before[shard])
		sum += got
		if got < keys/3-5*deviation || got > keys/3+5*deviation {
			t.Errorf("shard %d holds %d of %d random keys", shard, got, keys)
		}
	}
	if sum != keys {
		t.Errorf("the shards hold %d new keys, want %d", sum, keys)
	}
	t.Logf("keys by shard: %v before, %v after %d random keys", before, after, keys)
}

func keysByShard(ctx context.Context, t *testing.T, c *cluster.Cluster) map[uint32]uint64 {
	t.Helper()
	counts := map[uint32]uint64{}
	for shard := range c.Shards() {
		leader, err := c.Leader(ctx, shard)
		check(t, err)
		status, err := leader.Status(ctx)
		check(t, err)
		counts[shard] = status.Keys
	}
	return counts
}
