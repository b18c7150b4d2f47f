package netns_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// startShard starts a shard of three real nodes, each in a network of its own.
func startShard(ctx context.Context, t *testing.T) (*cluster.Cluster, *netns.Network) {
	t.Helper()
	n, err := netns.New(ctx, "s0n0", "s0n1", "s0n2")
	if errors.Is(err, netns.ErrNoNamespaces) && os.Getenv("KVORUM_CI") != "1" {
		t.Skip(err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	dir := t.TempDir()
	binary, err := cluster.Build(ctx, dir, false)
	check(t, err)
	c, err := cluster.New(cluster.Options{
		Binary: binary, Dir: dir, Shards: 1, Replicas: 3, Flags: cluster.FastRaft(),
		Place: func(name string) cluster.Place {
			return cluster.Place{Host: n.Address(name).String(), Command: n.Command(name)}
		},
	})
	check(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.LogTails(30))
		}
		check(t, c.Close())
	})
	check(t, c.Start(ctx))
	return c, n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put waits until one of the nodes has acknowledged a write.
func put(ctx context.Context, nodes []*cluster.Node, key, value string) error {
	return cluster.WaitFor(ctx, "an acknowledged write", func(ctx context.Context) error {
		var said []error
		for _, n := range nodes {
			short, cancel := context.WithTimeout(ctx, 2*time.Second)
			reply, err := n.Put(short, key, value)
			cancel()
			if err == nil && reply.Status/100 == 2 {
				return nil
			}
			said = append(said, fmt.Errorf("%s: %s, %w", n.Name, reply, err))
		}
		return errors.Join(said...)
	})
}

// agree waits until every node serves the value, linearizably.
func agree(ctx context.Context, nodes []*cluster.Node, key, value string) error {
	return cluster.WaitFor(ctx, "all nodes to serve "+value, func(ctx context.Context) error {
		for _, n := range nodes {
			reply, err := n.Get(ctx, key)
			if err != nil || string(reply.Body) != value {
				return fmt.Errorf("%s: %s, %w", n.Name, reply, err)
			}
		}
		return nil
	})
}

// otherLeads waits until a node other than old says that it leads.
func otherLeads(ctx context.Context, c *cluster.Cluster, old *cluster.Node) (leader *cluster.Node, err error) {
	return leader, cluster.WaitFor(ctx, "a leader other than "+old.Name, func(ctx context.Context) error {
		var said []error
		for _, n := range c.Others(old) {
			err := n.Health(ctx, "leader")
			if err == nil {
				leader = n
				return nil
			}
			said = append(said, err)
		}
		return errors.Join(said...)
	})
}

func names(nodes []*cluster.Node) (all []string) {
	for _, n := range nodes {
		all = append(all, n.Name)
	}
	return all
}

// cutLeader cuts links of the present leader for as long as the others need to elect one and to acknowledge a write, checks that
// the cut leader acknowledges none, heals, and waits until there is one leader and all serve the same.
func cutLeader(ctx context.Context, t *testing.T, c *cluster.Cluster, n *netns.Network, round int, partition func([]string, string) []netns.Link) {
	t.Helper()
	old, err := c.Leader(ctx, 0)
	check(t, err)
	check(t, put(ctx, c.Nodes, "key", fmt.Sprint("before ", round)))
	start := time.Now()
	f, err := n.Cut(ctx, partition(names(c.Nodes), old.Name)...)
	check(t, err)
	next, err := otherLeads(ctx, c, old)
	check(t, err)
	elected := time.Since(start)
	value := fmt.Sprint("during ", round)
	check(t, put(ctx, c.Others(old), "key", value))
	served := time.Since(start)
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	if reply, err := old.Put(short, "another", "x"); err == nil && reply.Status/100 == 2 {
		t.Errorf("the cut leader %s acknowledged a write: %s", old.Name, reply)
	}
	cancel()
	dropped, err := f.Dropped(ctx)
	check(t, err)
	for i, packets := range dropped {
		if packets == 0 {
			t.Errorf("nothing was dropped on %v", f.Links[i])
		}
	}
	check(t, f.Heal(ctx))
	healed := time.Now()
	last, err := c.Leader(ctx, 0)
	check(t, err)
	after := fmt.Sprint("after ", round)
	check(t, put(ctx, c.Nodes, "key", after))
	check(t, agree(ctx, c.Nodes, "key", after))
	t.Logf("%s cut: %s leads after %s, a write acknowledged after %s, packets dropped %v; healed: %s leads, all agree after %s",
		old.Name, next.Name, elected.Round(time.Millisecond), served.Round(time.Millisecond), dropped, last.Name, time.Since(healed).Round(time.Millisecond))
}

// TestLeaderCutOff: a leader that nobody reaches, one that nobody hears, and one that hears nobody: each time another one leads,
// and when the cut has ended there is one leader.
func TestLeaderCutOff(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, n := startShard(ctx, t)
	for round, partition := range []func([]string, string) []netns.Link{netns.One, netns.Mute, netns.Deaf} {
		cutLeader(ctx, t, c, n, round, partition)
	}
}
