package faultfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// loneNode is a real node, a shard by itself, with its data on a disk whose power can be cut.
type loneNode struct {
	c    *cluster.Cluster
	n    *cluster.Node
	disk *Mount
	next int // number of the next write
}

// built is the real node, built when the first test asks for it.
type built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

var theNode built

func (b *built) program(ctx context.Context) (string, error) {
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "faultfs-"); b.err == nil {
			b.path, b.err = cluster.Build(ctx, b.dir, false)
		}
	})
	return b.path, b.err
}

func startLoneNode(ctx context.Context, t *testing.T) *loneNode {
	t.Helper()
	disk := mounted(t)
	dir := t.TempDir()
	binary, err := theNode.program(ctx)
	check(t, err)
	c, err := cluster.New(cluster.Options{Binary: binary, Dir: dir, Shards: 1, Replicas: 1, Flags: append(cluster.FastRaft(), "--snapshot-interval=300ms", "--snapshot-threshold=50", "--trailing-logs=50")})
	check(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.LogTails(30))
		}
		check(t, c.Close())
	})
	n := c.Nodes[0]
	n.Data = filepath.Join(disk.Folder, "data")
	n.SetFlags("--data=" + n.Data)
	check(t, c.Start(ctx))
	return &loneNode{c: c, n: n, disk: disk}
}

// writeAndCut writes numbered keys from several clients at once, cuts the power in the middle, and gives the acknowledged ones.
func (l *loneNode) writeAndCut(ctx context.Context, t *testing.T, acknowledgements int, p Plan, seed uint64) (acked []int, loss Loss) {
	t.Helper()
	var mu sync.Mutex
	enough := make(chan struct{})
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				mu.Lock()
				number := l.next
				l.next++
				mu.Unlock()
				reply, err := l.n.Put(ctx, fmt.Sprint("key", number), strconv.Itoa(number))
				if err != nil || reply.Status != 201 {
					return // the power is off
				}
				mu.Lock()
				if acked = append(acked, number); len(acked) == acknowledgements {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	loss, err := l.disk.PowerCut(p, seed, l.n.Kill)
	check(t, err)
	writers.Wait()
	return acked, loss
}

// lost restarts the node and counts the acknowledged writes that it does not have.
func (l *loneNode) lost(ctx context.Context, acked []int) (int, error) {
	if err := l.c.Start(ctx); err != nil {
		return 0, err
	}
	lost := 0
	for _, number := range acked {
		reply, err := l.n.Get(ctx, fmt.Sprint("key", number))
		if err != nil {
			return lost, err
		}
		if reply.Status != 200 || string(reply.Body) != strconv.Itoa(number) {
			lost++
		}
	}
	return lost, nil
}

// TestNodeSurvivesPowerCuts: a real node, cut off its power in the middle of writes again and again, with snapshots being
// taken, comes back each time with everything it acknowledged.
func TestNodeSurvivesPowerCuts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l := startLoneNode(ctx, t)
	var all []int
	for seed := range uint64(5) {
		start := time.Now()
		acked, loss := l.writeAndCut(ctx, t, 300, Mixed(), seed)
		all = append(all, acked...)
		lost, err := l.lost(ctx, all)
		check(t, err)
		t.Logf("seed %d: %d writes acknowledged so far, the cut took %+v, %d acknowledged are lost; %s", seed, len(all), loss, lost, time.Since(start).Round(time.Millisecond))
		if lost > 0 {
			t.Fatalf("%d of %d acknowledged writes are lost", lost, len(all))
		}
	}
	counters, err := l.disk.Counters()
	check(t, err)
	if counters.Lost.Bytes == 0 {
		t.Error("no cut took anything: nothing was shown")
	}
	snapshots, err := filepath.Glob(filepath.Join(l.n.Data, "snapshots", "*"))
	check(t, err)
	t.Logf("counters %+v, snapshots %d", counters, len(snapshots))
}

// TestLyingFsyncIsBeyondRaft: what is claimed above is worth something only if a disk that breaks its promise is seen: a shard of
// one loses acknowledged writes, or its node refuses the folder.
func TestLyingFsyncIsBeyondRaft(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l := startLoneNode(ctx, t)
	check(t, l.disk.Set(Faults{LyingFsync: true}))
	acked, loss := l.writeAndCut(ctx, t, 100, DropAll(), 1)
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	lost, err := l.lost(short, acked)
	t.Logf("%d acknowledged, the cut took %+v, %d lost, %v", len(acked), loss, lost, err)
	if lost == 0 && err == nil {
		t.Error("nothing is lost although fsync lied")
	}
}
