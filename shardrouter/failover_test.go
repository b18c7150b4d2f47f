package shardrouter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/node"
	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// writers write unique keys through all nodes until stopped, and note what each write came to.
type writers struct {
	c    *cluster
	stop chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	by   map[wire.Outcome][]string // keys, by outcome
	bad  []string
}

func startWriters(c *cluster, bases []string) *writers {
	w := &writers{c: c, stop: make(chan struct{}), by: map[wire.Outcome][]string{}}
	for i, base := range bases {
		w.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-w.stop:
					return
				default:
				}
				w.write(base, fmt.Sprintf("writers/%d/%d", i, n))
			}
		})
	}
	return w
}

func (w *writers) write(base, key string) {
	r, err := w.c.try(request{method: "PUT", base: base, path: keyPath(key), body: []byte(key), header: map[string]string{"If-None-Match": "*"}})
	w.mu.Lock()
	defer w.mu.Unlock()
	outcome := wire.Outcome(r.header.Get(wire.HeaderOutcome))
	if err != nil {
		w.bad = append(w.bad, err.Error())
		return
	}
	if r.status != 201 {
		w.bad = append(w.bad, fmt.Sprintf("%d %s", r.status, r.body))
	}
	w.by[outcome] = append(w.by[outcome], key)
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.by[wire.Applied])
}

// check reads everything back: acknowledged means there, not-applied means not there.
func (w *writers) check(t *testing.T, base string) {
	t.Helper()
	close(w.stop)
	w.wg.Wait()
	for outcome, want := range map[wire.Outcome]int{wire.Applied: 200, wire.NotApplied: 404} {
		for _, key := range w.by[outcome] {
			if r := w.c.get(t, base, key); r.status != want {
				t.Errorf("%s was %s, but reading it gives %d", key, outcome, r.status)
			}
		}
	}
	t.Logf("applied %d, not applied %d, unknown %d", len(w.by[wire.Applied]), len(w.by[wire.NotApplied]), len(w.by[wire.Unknown]))
}

// TestTransferUnderLoad: leadership goes round; clients see latency, not errors.
func TestTransferUnderLoad(t *testing.T) {
	c := ownCluster(t, 1, 3)
	w := startWriters(c, c.bases())
	for range 6 {
		before, leader := w.count(), c.leader(t, 0)
		to := c.follower(t, 0).Controller().Node()
		r := c.do(t, request{method: "POST", base: c.front(), path: "/v1/cluster/shards/0/transfer-leader", body: []byte(`{"to":"` + to + `"}`)})
		wantStatus(t, r, 200, wire.Applied)
		var reply wire.TransferReply
		if err := json.Unmarshal(r.body, &reply); err != nil || reply.Leader != to || reply.From != leader.Controller().Node() {
			t.Fatalf("%s, want from %s to %s", r.body, leader.Controller().Node(), to)
		}
		eventually(t, "writes go on", func() error {
			if w.count() < before+50 {
				return fmt.Errorf("%d more", w.count()-before)
			}
			return nil
		})
	}
	w.check(t, c.front())
	if len(w.by[wire.NotApplied]) > 0 || len(w.bad) > len(w.by[wire.Unknown]) {
		t.Errorf("clients saw %d refusals, first of %d: %s", len(w.by[wire.NotApplied]), len(w.bad), w.bad[0])
	}
}

// TestWaitingWriteHearsOfTheNextLeader: what waits at a replica of the shard goes on as soon as that replica hears who leads
// now, not after a pause.
func TestWaitingWriteHearsOfTheNextLeader(t *testing.T) {
	c := ownCluster(t, 1, 3)
	old, to := c.leader(t, 0).Controller(), c.follower(t, 0).Controller().Node()
	var members []wire.Member
	for _, n := range c.dev.Nodes {
		members = append(members, wire.Member{ID: n.Controller().Node(), PeerAddress: n.PeerAddress()})
	}
	r := shardrouter.New(shardrouter.Config{
		Self: peer.Identity{Cluster: "dev", Node: old.Node()}, Local: replica.New(old, replica.Options{}), ShardCount: 1, Members: members,
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	waits, found := make(chan struct{}), make(chan string, 1)
	go func() {
		node, err := r.NextLeader(ctx, 0, old.Node(), func() { close(waits) })
		if err != nil {
			node = err.Error()
		}
		found <- node
	}()
	<-waits
	if err := old.TransferLeadership(ctx, to); err != nil {
		t.Fatal(err)
	}
	if node := <-found; node != to {
		t.Fatalf("the write goes on to %q, want %q", node, to)
	}
}

// TestLeaderStops: the leader is shut down properly under load. Requests sent to the others see no refusal.
func TestLeaderStops(t *testing.T) {
	c := ownCluster(t, 1, 3)
	leader := c.leader(t, 0)
	var others []string
	for _, n := range c.dev.Nodes {
		if n != leader {
			others = append(others, c.base(n))
		}
	}
	w := startWriters(c, append(others, c.front()))
	eventually(t, "writes go", func() error {
		if w.count() < 50 {
			return fmt.Errorf("%d", w.count())
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := leader.Close(ctx); err != nil {
		t.Fatal(err)
	}
	before := w.count()
	eventually(t, "writes go on", func() error {
		if w.count() < before+100 {
			return fmt.Errorf("%d more", w.count()-before)
		}
		return nil
	})
	w.check(t, c.front())
	if len(w.by[wire.NotApplied]) > 0 || len(w.bad) > len(w.by[wire.Unknown]) {
		t.Errorf("clients saw %d refusals, first of %d: %s", len(w.by[wire.NotApplied]), len(w.bad), w.bad[0])
	}
	var survivor *node.Node
	for _, n := range c.dev.Nodes {
		if n != leader {
			survivor = n
		}
	}
	r := c.do(t, request{method: "GET", base: c.base(survivor), path: "/v1/cluster"})
	var status wire.ClusterStatus
	if err := json.Unmarshal(r.body, &status); err != nil {
		t.Fatal(err)
	}
	for _, m := range status.Shards[0].Replicas {
		if (m.ID == leader.Controller().Node()) != (m.Status == nil && m.Error != "") {
			t.Errorf("replica %+v", m)
		}
	}
}

// TestRestartOnOtherPorts: the same data, all addresses new. The table knows the old ones until the shards register again.
func TestRestartOnOtherPorts(t *testing.T) {
	folder := t.TempDir()
	first := openCluster(t, folder, 2, 3, quick())
	for _, key := range []string{"ports/a", "ports/b"} {
		first.put(t, first.front(), key, "v")
	}
	folderKept := *first
	folderKept.folder = ""
	if err := folderKept.close(); err != nil {
		t.Fatal(err)
	}
	second := openCluster(t, folder, 2, 3, quick())
	defer second.close()
	for _, base := range second.bases() {
		for _, key := range []string{"ports/a", "ports/b"} {
			if r := second.get(t, base, key); r.status != 200 {
				t.Fatalf("%s through %s: %d %s", key, base, r.status, r.body)
			}
			second.put(t, base, key, "again")
		}
	}
	eventually(t, "the table has the new addresses", func() error {
		r := second.do(t, request{method: "GET", base: second.front(), path: "/v1/cluster/table"})
		var table wire.Table
		if err := json.Unmarshal(r.body, &table); err != nil {
			return err
		}
		for shard, members := range table.Shards {
			for i, m := range members {
				if n := second.shard(shard)[i]; m.PeerAddress != n.PeerAddress() || m.ID != n.Controller().Node() {
					return fmt.Errorf("shard %d has %+v", shard, m)
				}
			}
		}
		return nil
	})
}
