package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

const (
	diskBytes = 96 << 20 // room for a log, snapshots and the reserve
	stall     = 10 * time.Second
)

// clusterOnDisk starts a shard of three whose first node has its data on a disk of its own, and makes that node lead.
func clusterOnDisk(ctx context.Context, t *testing.T) (*cluster.Cluster, *cluster.Node, *cluster.Disk) {
	t.Helper()
	c := newCluster(t, 1, 3)
	disk := newDisk(t, c, diskBytes)
	n := c.Nodes[0]
	n.Data = filepath.Join(disk.Mount, "data")
	n.SetFlags("--data=" + n.Data)
	check(t, c.Start(ctx))
	check(t, makeLeader(ctx, c, n))
	return c, n, disk
}

// makeLeader moves the leadership of n's shard to n.
func makeLeader(ctx context.Context, c *cluster.Cluster, n *cluster.Node) error {
	return cluster.WaitFor(ctx, n.Name+" to lead", func(ctx context.Context) error {
		leader, err := c.Leader(ctx, n.Shard)
		if err != nil || leader == n {
			return err
		}
		path := fmt.Sprintf("/v1/cluster/shards/%d/transfer-leader", n.Shard)
		reply, err := n.Do(ctx, http.MethodPost, path, []byte(`{"to":"`+n.Name+`"}`), "Content-Type", "application/json")
		if err != nil {
			return err
		}
		return fmt.Errorf("transfer: %s", reply)
	})
}

// caughtUp waits until n's disk is well again, it is ready, and it holds the same state as the leader.
func caughtUp(ctx context.Context, c *cluster.Cluster, n *cluster.Node) error {
	return cluster.WaitFor(ctx, n.Name+" to recover", func(ctx context.Context) error {
		if err := n.Health(ctx, "ready"); err != nil {
			return err
		}
		leader, err := c.Leader(ctx, n.Shard)
		if err != nil {
			return err
		}
		want, err := leader.Status(ctx)
		if err != nil {
			return err
		}
		got, err := n.Status(ctx)
		if err != nil {
			return err
		}
		if got.Disk != "ok" || got.AppliedIndex < want.AppliedIndex || got.AppliedIndex == want.AppliedIndex && got.Digest != want.Digest {
			return fmt.Errorf("disk %s, applied %d, digest %s; the leader %s has applied %d, digest %s",
				got.Disk, got.AppliedIndex, got.Digest, leader.Name, want.AppliedIndex, want.Digest)
		}
		return nil
	})
}

// TestDiskFull fills the disk under a leader, and later under a follower. The node says so (507), the others go on, and
// it comes back by itself once there is room.
func TestDiskFull(t *testing.T) {
	ctx := within(t, time.Minute)
	c, victim, disk := clusterOnDisk(ctx, t)
	w := startWriters(ctx, t, 4, c.Endpoints())
	check(t, w.waitAcked(ctx, 200))

	check(t, disk.Fill())
	start := time.Now()
	check(t, otherLeads(ctx, c, victim))
	t.Logf("the leader's disk is full: another leads after %s", time.Since(start).Round(time.Millisecond))
	check(t, w.waitAcked(ctx, 300))
	check(t, sayDisk(ctx, victim, "full"))
	check(t, disk.Free())
	start = time.Now()
	check(t, caughtUp(ctx, c, victim))
	t.Logf("space is free again: recovered after %s", time.Since(start).Round(time.Millisecond))

	check(t, disk.Fill())
	check(t, w.waitAcked(ctx, 300)) // it is a follower: nothing is to be seen from outside
	check(t, sayDisk(ctx, victim, "full"))
	staysFull(ctx, t, victim)
	check(t, w.waitAcked(ctx, 300))
	check(t, disk.Free())
	check(t, caughtUp(ctx, c, victim))
	check(t, makeLeader(ctx, c, victim)) // it is as good as any other again
	check(t, w.waitAcked(ctx, 200))
	w.stop()
	w.verify(ctx, t, c.Endpoints())
}

// TestDiskFullAnswers507 leaves a full leader nobody to hand over to: it must refuse writes as not applied, with 507, and
// take them again when there is room.
func TestDiskFullAnswers507(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	c := newCluster(t, 1, 1)
	disk := newDisk(t, c, diskBytes)
	n := c.Nodes[0]
	n.SetFlags("--data=" + filepath.Join(disk.Mount, "data"))
	check(t, c.Start(ctx))
	check(t, putUntilAcked(ctx, n, "k", "before"))
	check(t, disk.Fill())
	refused := ""
	check(t, cluster.WaitFor(ctx, "a 507", func(ctx context.Context) error {
		reply, err := n.Put(ctx, "k", strings.Repeat("while full ", 10_000)) // the log must need new blocks
		if err != nil {
			return err
		}
		refused = reply.String()
		if reply.Status != http.StatusInsufficientStorage {
			return errors.New(refused)
		}
		if reply.Outcome() != wire.NotApplied {
			t.Errorf("507 with outcome %q", reply.Outcome())
		}
		return nil
	}))
	t.Log(refused)
	check(t, disk.Free())
	check(t, putUntilAcked(ctx, n, "k", "after"))
	reply, err := n.Get(ctx, "k")
	check(t, err)
	if string(reply.Body) != "after" {
		t.Errorf("read %s", reply)
	}
}

// otherLeads waits until a node other than victim leads. The victim is not asked: it may not even answer.
func otherLeads(ctx context.Context, c *cluster.Cluster, victim *cluster.Node) error {
	return cluster.WaitFor(ctx, "a leader other than "+victim.Name, func(ctx context.Context) error {
		var said []error
		for _, n := range c.Others(victim) {
			err := n.Health(ctx, "leader")
			if err == nil {
				return nil
			}
			said = append(said, err)
		}
		return errors.Join(said...)
	})
}

func sayDisk(ctx context.Context, n *cluster.Node, state string) error {
	return cluster.WaitFor(ctx, n.Name+" to say disk "+state, func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err == nil && status.Disk != state {
			err = fmt.Errorf("it says disk %q", status.Disk)
		}
		return err
	})
}

// staysFull watches over several of the node's own probes (every 500 ms): it must not take the room that it freed itself for
// the end of the trouble.
func staysFull(ctx context.Context, t *testing.T, n *cluster.Node) {
	t.Helper()
	start := time.Now()
	check(t, cluster.WaitFor(ctx, "two seconds to pass", func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err != nil || status.Disk != "full" || status.Ready {
			t.Errorf("%s says disk %q, ready %v, while its disk is full (%v)", n.Name, status.Disk, status.Ready, err)
			return nil
		}
		if left := 2*time.Second - time.Since(start); left > 0 {
			return fmt.Errorf("%s left", left)
		}
		return nil
	}))
}

// TestDiskStall freezes the leader's disk for ten seconds: the library alone would keep it leader for good. Another one
// takes over, reads are never old, and the node comes back by itself.
func TestDiskStall(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	c, victim, disk := clusterOnDisk(ctx, t)
	w := startWriters(ctx, t, 4, c.Endpoints())
	check(t, w.waitAcked(ctx, 200))
	before := w.acked.Load()
	check(t, disk.Freeze(ctx))
	start := time.Now()
	check(t, otherLeads(ctx, c, victim))
	elected := time.Since(start)
	reads := oldReads{t: t, victim: victim, least: 1}
	check(t, putUntilAcked(ctx, c.Others(victim)[0], pausedKey, "1"))
	served := time.Since(start)
	for time.Since(start) < stall {
		reads.judge(victim.Get(ctx, pausedKey))
		reads.least++
		check(t, putUntilAcked(ctx, c.Others(victim)[0], pausedKey, fmt.Sprint(reads.least)))
	}
	acked := w.acked.Load() - before
	check(t, disk.Thaw(ctx))
	thawed := time.Now()
	check(t, caughtUp(ctx, c, victim))
	t.Logf("the leader's disk stood still for %s: another leads after %s, a new write acknowledged after %s; during the stall %d writes acknowledged to those who were there before, reads at the stalled node: %d new, %d refused; recovered %s after the end",
		thawed.Sub(start).Round(time.Millisecond), elected.Round(time.Millisecond), served.Round(time.Millisecond), acked,
		reads.fresh, reads.refused, time.Since(thawed).Round(time.Millisecond))
	if served >= stall {
		t.Errorf("a write was acknowledged only after %s: when the stall was over", served)
	}
	check(t, w.waitAcked(ctx, 100))
	check(t, makeLeader(ctx, c, victim))
	check(t, w.waitAcked(ctx, 100))
	w.stop()
	w.verify(ctx, t, c.Endpoints())
}
