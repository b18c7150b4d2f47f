package shardrouter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// runRouter runs a standalone router of the fake cluster until the test ends, and sees that Run joins.
func runRouter(t *testing.T, cfg shardrouter.Config) string {
	t.Helper()
	cfg.Self = peer.Identity{Cluster: "fake", Node: "router-test"}
	r := shardrouter.New(cfg)
	server := httptest.NewServer(r.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
		}
		server.Close()
	})
	return server.URL
}

func fakeTable(version uint64, owner func(slot int) uint32, shards map[uint32][]wire.Member) wire.Table {
	table := wire.Table{Cluster: "fake", Epoch: 1, Version: version, SlotFunction: "last-byte", ShardCount: 2, Slots: make([]uint32, 256), Shards: shards}
	for slot := range table.Slots {
		table.Slots[slot] = owner(slot)
	}
	return table
}

func member(n *fakeNode) wire.Member { return wire.Member{ID: n.id, PeerAddress: n.address} }

func half(slot int) uint32 { return uint32(slot % 2) }

func writeThrough(t *testing.T, base, path string) (reply, error) {
	t.Helper()
	return (&cluster{}).try(request{method: "PUT", base: base, path: path, body: []byte("v")})
}

// TestTableFromAnySeed: the only seed is of another shard than 0. It passes the table on, and that tells the rest.
func TestTableFromAnySeed(t *testing.T) {
	zero, one := newFakeNode(t, "s0n0", 0), newFakeNode(t, "s1n0", 1)
	table := fakeTable(4, half, map[uint32][]wire.Member{0: {member(zero)}, 1: {member(one)}})
	for _, n := range []*fakeNode{zero, one} {
		n.set(func() { n.role, n.key, n.table, n.members = "leader", n.accept, table, []wire.Member{member(n)} })
	}
	base := runRouter(t, shardrouter.Config{Seeds: []string{one.address}, LeaderWait: 5 * time.Second}) // not even the shard count is given
	for path, node := range map[string]string{"/v1/kv/b": "s0n0", "/v1/kv/a": "s1n0"} {
		eventually(t, path+" is answered by "+node, func() error {
			r, err := writeThrough(t, base, path)
			if err != nil || r.header.Get(wire.HeaderNode) != node {
				return fmt.Errorf("%d %s %v", r.status, r.body, err)
			}
			return nil
		})
	}
}

// TestWithoutATable: nothing is known and nobody is there. That is "not ready", not a wrong answer.
func TestWithoutATable(t *testing.T) {
	base := runRouter(t, shardrouter.Config{Seeds: []string{"127.0.0.1:1"}})
	spec := loadDescription(t)
	for _, q := range []request{
		{method: "PUT", base: base, path: "/v1/kv/x", body: []byte("v")}, {method: "GET", base: base, path: "/v1/kv/x"}, {method: "GET", base: base, path: "/v1/kv"},
		{method: "GET", base: base, path: "/v1/operations/x"}, {method: "POST", base: base, path: "/v1/batch", body: []byte(`{"op":"get","key":"x"}`)}, {method: "GET", base: base, path: "/v1/health/ready"},
	} {
		r, err := (&cluster{}).try(q)
		if err != nil {
			t.Fatal(err)
		}
		spec.check(t, q, r)
		wantStatus(t, r, 503, wire.NotApplied)
		if p := problemIn(t, r); p.Code != wire.CodeNotReady {
			t.Errorf("%s %s: %+v", q.method, q.path, p)
		}
	}
}

// TestStaleAddresses: the table knows only addresses of the past; the seeds are right.
func TestStaleAddresses(t *testing.T) {
	zero, one := newFakeNode(t, "s0n0", 0), newFakeNode(t, "s1n0", 1)
	old := fakeTable(9, half, map[uint32][]wire.Member{0: {{ID: "s0n0", PeerAddress: one.address}}, 1: {{ID: "s1n0", PeerAddress: "127.0.0.1:1"}}})
	for _, n := range []*fakeNode{zero, one} {
		n.set(func() { n.role, n.key, n.table, n.members = "leader", n.accept, old, []wire.Member{member(n)} })
	}
	base := runRouter(t, shardrouter.Config{Seeds: []string{zero.address, one.address}, ShardCount: 2})
	for path, node := range map[string]string{"/v1/kv/b": "s0n0", "/v1/kv/a": "s1n0"} {
		eventually(t, path+" is answered by "+node, func() error {
			r, err := writeThrough(t, base, path)
			if err != nil || r.header.Get(wire.HeaderNode) != node {
				return fmt.Errorf("%d %s %v", r.status, r.body, err)
			}
			return nil
		})
	}
	eventually(t, "the table has been seen", func() error {
		r, err := (&cluster{}).try(request{method: "GET", base: base, path: "/v1/cluster/table"})
		var table wire.Table
		if err := json.Unmarshal(r.body, &table); err != nil || table.Version != 9 {
			return fmt.Errorf("version %d, %v", table.Version, err)
		}
		return err
	})
}

// TestMovedSlot: the hint is stale, the old owner refuses, and the table says where the slot is now.
func TestMovedSlot(t *testing.T) {
	zero, one := newFakeNode(t, "s0n0", 0), newFakeNode(t, "s1n0", 1)
	shards := map[uint32][]wire.Member{0: {member(zero)}, 1: {member(one)}}
	for _, n := range []*fakeNode{zero, one} {
		n.set(func() { n.role, n.key, n.table = "leader", n.accept, fakeTable(1, half, shards) })
	}
	base := runRouter(t, shardrouter.Config{Seeds: []string{zero.address}, LeaderWait: 300 * time.Millisecond})
	eventually(t, "shard 1 answers for a", func() error {
		if r, err := writeThrough(t, base, "/v1/kv/a"); err != nil || r.header.Get(wire.HeaderNode) != "s1n0" {
			return fmt.Errorf("%d %v", r.status, err)
		}
		return nil
	})
	one.set(func() { one.key = refuse(wire.CodeMisdirected, "") })
	moved := fakeTable(2, func(slot int) uint32 { return 0 }, shards)
	moved.Epoch = 2
	zero.set(func() { zero.table = moved })
	one.set(func() { one.table = moved })
	eventually(t, "shard 0 answers for a", func() error {
		if r, err := writeThrough(t, base, "/v1/kv/a"); err != nil || r.header.Get(wire.HeaderNode) != "s0n0" {
			return fmt.Errorf("%d %s %v", r.status, r.body, err)
		}
		return nil
	})
}

// TestListingBreaksOff: a shard goes away in the middle. The last line says so, and the cursor goes on after what was sent.
func TestListingBreaksOff(t *testing.T) {
	f := newFakeCluster(t, 1, nil)
	f.nodes[0].set(func() {
		f.nodes[0].rows = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", ndjson)
			w.Header().Set(wire.HeaderSession, "0:7")
			for _, key := range []string{"a", "b", "c"} {
				_ = json.NewEncoder(w).Encode(wire.Entry{Key: []byte(key), Value: []byte("v"), Revision: 1})
			}
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	c := &cluster{spec: f.spec}
	entries, end := c.list(t, f.server.URL, "")
	if len(entries) != 3 || end.Complete || end.Problem == nil || end.Problem.Outcome != wire.NotApplied || end.Cursor == "" {
		t.Fatalf("%d entries, end %+v %+v", len(entries), end, end.Problem)
	}
	f.nodes[0].set(func() { f.nodes[0].rows = refuse(wire.CodeReadTimeout, "") })
	wantStatus(t, f.do(t, "GET", "/v1/kv", nil), 503, wire.NotApplied)
}

// TestBatchBreaksOff: the results that don't come are unknown for writes, not applied for reads; those that came stand.
func TestBatchBreaksOff(t *testing.T) {
	f := newFakeCluster(t, 1, nil)
	f.lead(0)
	calls := 0
	f.nodes[0].set(func() {
		f.nodes[0].batch = func(w http.ResponseWriter, r *http.Request) {
			calls++
			w.Header().Set(wire.HeaderSession, "0:7")
			_ = json.NewEncoder(w).Encode(wire.BatchResult{Status: 201, Outcome: wire.Applied, Revision: 1})
			problem := wire.NewProblem(wire.CodeMisdirected, "scripted")
			_ = json.NewEncoder(w).Encode(wire.BatchResult{Index: 1, Status: 421, Outcome: wire.NotApplied, Problem: &problem})
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	c := &cluster{spec: f.spec}
	var ops []wire.BatchOperation
	for i, op := range []string{"put", "put", "put", "get", "delete"} {
		ops = append(ops, wire.BatchOperation{Op: op, Key: fmt.Appendf(nil, "k%d", i)})
	}
	results := c.batch(t, f.server.URL, ops)
	want := []struct {
		status  int
		outcome wire.Outcome
	}{{201, wire.Applied}, {503, wire.NotApplied}, {504, wire.Unknown}, {503, wire.NotApplied}, {504, wire.Unknown}}
	for i, w := range want {
		if results[i].Status != w.status || results[i].Outcome != w.outcome {
			t.Errorf("result %d is %+v, want %+v", i, results[i], w)
		}
	}
	if calls != 1 {
		t.Fatalf("the batch was sent %d times", calls)
	}
	f.nodes[0].set(func() { f.nodes[0].batch = func(w http.ResponseWriter, r *http.Request) { vanish(w, r) } })
	for i, r := range c.batch(t, f.server.URL, ops) {
		if (ops[i].Op == "get") != (r.Outcome == wire.NotApplied) || r.Outcome == wire.Applied {
			t.Errorf("after a lost reply, %s is %+v", ops[i].Op, r)
		}
	}
}
