package shardrouter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

func TestAnyNodeAnswersForAnyKey(t *testing.T) {
	c := sharedCluster(t)
	for shard := range uint32(3) {
		leader := c.leader(t, shard).Controller().Node()
		for i, base := range c.bases() {
			key := fmt.Sprintf("any/%d/%c", i, 'a'+(shard+2)%3) // 'a' is on shard 1
			w := c.put(t, base, key, "v")
			if w.header.Get(wire.HeaderShard) != fmt.Sprint(shard) || w.header.Get(wire.HeaderNode) != leader || w.header.Get(wire.HeaderConsistency) != "linearizable; leader" {
				t.Fatalf("written through %s: %v, want shard %d, node %s", base, w.header, shard, leader)
			}
			r := c.get(t, base, key)
			if r.status != 200 || r.header.Get(wire.HeaderShard) != fmt.Sprint(shard) || !strings.HasPrefix(r.header.Get(wire.HeaderConsistency), "linearizable; ") {
				t.Fatalf("read through %s: %d %v", base, r.status, r.header)
			}
			// A node answers reads of its own shard itself, leader or not.
			if i > 0 && c.dev.Nodes[i-1].Controller().Shard() == shard && r.header.Get(wire.HeaderNode) != c.dev.Nodes[i-1].Controller().Node() {
				t.Fatalf("node %s passed a read of its own shard on to %s", c.dev.Nodes[i-1].Controller().Node(), r.header.Get(wire.HeaderNode))
			}
			c.do(t, request{method: "DELETE", base: base, path: keyPath(key)})
		}
	}
}

func TestIdempotency(t *testing.T) {
	c := sharedCluster(t)
	for i, base := range c.bases() {
		key, other := fmt.Sprintf("idem/%d/a", i), fmt.Sprintf("idem/%d/other-a", i)
		idem := map[string]string{wire.HeaderIdempotencyKey: fmt.Sprintf("idem/%%%d", i)}
		lookup := request{method: "GET", base: base, path: fmt.Sprintf("/v1/operations/idem%%2F%%25%d", i)}
		wantStatus(t, c.do(t, lookup), 404, wire.Unknown)

		put := request{method: "PUT", base: base, path: keyPath(key), body: []byte("once"), header: idem}
		first := c.do(t, put)
		wantStatus(t, first, 201, wire.Applied)
		c.put(t, base, key, "something else")
		put.base = c.bases()[(i+3)%len(c.bases())]
		again := c.do(t, put)
		wantStatus(t, again, 201, wire.Applied)
		for _, name := range []string{"ETag", wire.HeaderIndex, wire.HeaderTerm} {
			if again.header.Get(name) != first.header.Get(name) {
				t.Fatalf("the repeat's %s is %s, the first's %s", name, again.header.Get(name), first.header.Get(name))
			}
		}
		if again.header.Get(wire.HeaderReplayed) != "true" || first.header.Get(wire.HeaderReplayed) != "" {
			t.Fatalf("replayed: %v, then %v", first.header, again.header)
		}
		if got := c.get(t, base, key); string(got.body) != "something else" {
			t.Fatalf("the repeat was executed: %q", got.body)
		}
		wantStatus(t, c.do(t, request{method: "PUT", base: base, path: keyPath(key), body: []byte("another"), header: idem}), 422, wire.NotApplied)
		wantStatus(t, c.do(t, request{method: "DELETE", base: base, path: keyPath(other), header: idem}), 422, wire.NotApplied)

		r := c.do(t, lookup)
		wantStatus(t, r, 200, wire.Applied)
		var found wire.Operation
		if err := json.Unmarshal(r.body, &found); err != nil || found.Status != 201 || found.Outcome != wire.Applied || found.Shard != 1 || found.Slot != 'a' || fmt.Sprintf("\"%d\"", found.Revision) != first.header.Get("ETag") {
			t.Fatalf("the operation is %s (%v)", r.body, err)
		}
	}
}

func TestIdempotentRefusalIsReplayed(t *testing.T) {
	c := sharedCluster(t)
	path := keyPath("idem/refused")
	header := map[string]string{wire.HeaderIdempotencyKey: "refused", "If-Match": "*"}
	update := request{method: "PUT", base: c.front(), path: path, body: []byte("v"), header: header}
	wantStatus(t, c.do(t, update), 412, wire.NotApplied)
	c.put(t, c.front(), "idem/refused", "now there")
	again := c.do(t, update)
	wantStatus(t, again, 412, wire.NotApplied)
	if again.header.Get(wire.HeaderReplayed) != "true" {
		t.Fatalf("not marked as replayed: %v", again.header)
	}
	r := c.do(t, request{method: "GET", base: c.front(), path: "/v1/operations/refused"})
	var found wire.Operation
	if err := json.Unmarshal(r.body, &found); err != nil || found.Outcome != wire.NotApplied || found.Status != 412 {
		t.Fatalf("the operation is %s (%v)", r.body, err)
	}
}

func TestOperationInSeveralSlots(t *testing.T) {
	c := sharedCluster(t)
	for _, key := range []string{"several/a", "several/b"} {
		c.do(t, request{method: "PUT", base: c.front(), path: keyPath(key), body: []byte("v"), header: map[string]string{wire.HeaderIdempotencyKey: "several"}})
	}
	r := c.do(t, request{method: "GET", base: c.front(), path: "/v1/operations/several"})
	wantStatus(t, r, 409, wire.NotApplied)
	r = c.do(t, request{method: "GET", base: c.front(), path: fmt.Sprintf("/v1/operations/several?slot=%d", 'b')})
	var found wire.Operation
	if err := json.Unmarshal(r.body, &found); err != nil || found.Slot != 'b' || found.Shard != 2 {
		t.Fatalf("the operation is %s (%v)", r.body, err)
	}
	for _, base := range c.bases() { // some of them execute it themselves, some forward it
		r := c.do(t, request{method: "GET", base: base, path: fmt.Sprintf("/v1/operations/several?slot=%d", 'b'), header: map[string]string{wire.HeaderSession: "0:1"}})
		if session := r.header.Get(wire.HeaderSession); r.header.Get(wire.HeaderShard) != "2" || !strings.HasPrefix(session, "0:1,2:") {
			t.Errorf("the receipt through %s is of shard %q, session %q", base, r.header.Get(wire.HeaderShard), session)
		}
	}
}

func TestSessionReadsItsWritesEverywhere(t *testing.T) {
	c := sharedCluster(t)
	session := ""
	for round := range 20 {
		for shard := range uint32(3) {
			key, value := fmt.Sprintf("session/%c", 'a'+(shard+2)%3), fmt.Sprint(round)
			w := c.do(t, request{method: "PUT", base: c.front(), path: keyPath(key), body: []byte(value), header: map[string]string{wire.HeaderSession: session}})
			session = w.header.Get(wire.HeaderSession)
			marks, err := replica.ParseSession(session)
			if err != nil || marks.Index(store.Shard(shard)) == 0 || fmt.Sprint(marks.Index(store.Shard(shard))) != w.header.Get(wire.HeaderIndex) {
				t.Fatalf("the session is %q after a write at %s (%v)", session, w.header.Get(wire.HeaderIndex), err)
			}
			if round > 0 && len(marks) != 3 {
				t.Fatalf("the session %q forgot a shard", session)
			}
			for _, n := range c.shard(shard) { // stale, at every replica: but not behind the session
				r := c.do(t, request{method: "GET", base: c.base(n), path: keyPath(key) + "?consistency=stale", header: map[string]string{wire.HeaderSession: session}})
				if string(r.body) != value || r.header.Get(wire.HeaderNode) != n.Controller().Node() || !strings.HasPrefix(r.header.Get(wire.HeaderConsistency), "stale; ") {
					t.Fatalf("node %s answers %q (%v), want %q", n.Controller().Node(), r.body, r.header, value)
				}
			}
		}
	}
}

func TestBoundedAndStaleReads(t *testing.T) {
	c := sharedCluster(t)
	c.put(t, c.front(), "bounded/a", "v")
	for _, base := range c.bases() {
		for query, says := range map[string]string{"?consistency=bounded&max_stale=1m": "bounded; ", "?consistency=bounded&max_stale=1ns": "bounded; ", "?consistency=linearizable": "linearizable; "} {
			r := c.do(t, request{method: "GET", base: base, path: keyPath("bounded/a") + query})
			if r.status == 200 && string(r.body) != "v" || !strings.HasPrefix(r.header.Get(wire.HeaderConsistency), says) {
				t.Fatalf("%s%s: %d %q %v", base, query, r.status, r.body, r.header)
			}
		}
		eventually(t, "a stale read sees the write", func() error {
			r := c.do(t, request{method: "GET", base: base, path: keyPath("bounded/a") + "?consistency=stale"})
			if string(r.body) != "v" || !strings.HasPrefix(r.header.Get(wire.HeaderConsistency), "stale; ") {
				return fmt.Errorf("%d %q %v", r.status, r.body, r.header)
			}
			return nil
		})
	}
	// Stale reads of another shard are spread over its replicas.
	seen := map[string]bool{}
	for range 12 {
		r := c.do(t, request{method: "GET", base: c.front(), path: keyPath("bounded/a") + "?consistency=stale"})
		seen[r.header.Get(wire.HeaderNode)] = true
	}
	if len(seen) != 3 {
		t.Fatalf("stale reads went to %v", seen)
	}
}

func TestClusterAndHealth(t *testing.T) {
	c := sharedCluster(t)
	eventually(t, "all shards are registered everywhere", func() error {
		for _, base := range c.bases() {
			r := c.do(t, request{method: "GET", base: base, path: "/v1/cluster/table"})
			var table wire.Table
			if err := json.Unmarshal(r.body, &table); err != nil {
				return err
			}
			if len(table.Shards) != 3 || table.Slots['a'] != 1 || table.Slots[255] != 0 || table.Epoch != 1 {
				return fmt.Errorf("%s goes by %s", base, r.body)
			}
		}
		return nil
	})
	for _, base := range c.bases() {
		r := c.do(t, request{method: "GET", base: base, path: "/v1/cluster"})
		wantStatus(t, r, 200, wire.Applied)
		var status wire.ClusterStatus
		if err := json.Unmarshal(r.body, &status); err != nil || len(status.Shards) != 3 {
			t.Fatalf("%s (%v)", r.body, err)
		}
		for _, shard := range status.Shards {
			if len(shard.Replicas) != 3 || shard.Slots < 85 || shard.Leader != c.leader(t, shard.Shard).Controller().Node() {
				t.Fatalf("shard %+v", shard)
			}
			for _, member := range shard.Replicas {
				if member.Status == nil || member.Status.Node != member.ID || !member.Status.Ready || member.Status.APIAddress != member.APIAddress || member.Status.Version != "test" {
					t.Fatalf("replica %+v of shard %d", member, shard.Shard)
				}
			}
		}
		for _, path := range []string{"/v1/health/live", "/v1/health/ready", "/v1/openapi.yaml", "/metrics"} {
			for _, method := range []string{"GET", "HEAD"} {
				wantStatus(t, c.do(t, request{method: method, base: base, path: path}), 200, wire.Applied)
			}
		}
	}
	for _, n := range c.dev.Nodes {
		want := http.StatusServiceUnavailable
		if n == c.leader(t, n.Controller().Shard()) {
			want = http.StatusOK
		}
		if r := c.do(t, request{method: "GET", base: c.base(n), path: "/v1/health/leader"}); r.status != want {
			t.Fatalf("node %s: leader check %d, want %d", n.Controller().Node(), r.status, want)
		}
	}
	if r := c.do(t, request{method: "GET", base: c.front(), path: "/v1/health/leader"}); r.status != http.StatusServiceUnavailable {
		t.Fatalf("a router leads: %d", r.status)
	}
}

func TestSnapshotOfAShard(t *testing.T) {
	c := sharedCluster(t)
	c.put(t, c.front(), "snapshot/a", "v")
	r := c.do(t, request{method: "POST", base: c.front(), path: "/v1/cluster/shards/1/snapshot"})
	wantStatus(t, r, 200, wire.Applied)
	var reply wire.SnapshotReply
	if err := json.Unmarshal(r.body, &reply); err != nil || len(reply.Replicas) != 3 || reply.Shard != 1 {
		t.Fatalf("%s (%v)", r.body, err)
	}
}

func TestMetricsCountOutcomes(t *testing.T) {
	c := sharedCluster(t)
	base := c.base(c.leader(t, 1))
	c.put(t, base, "metrics/a", "v")
	c.put(t, base, "metrics/b", "v") // shard 2: forwarded
	c.get(t, base, "metrics/absent-a")
	text := string(c.do(t, request{method: "GET", base: base, path: "/metrics"}).body)
	for _, want := range []string{
		`kvorum_operations_total{code="ok",operation="put",outcome="applied"}`,
		`kvorum_operations_total{code="not-found",operation="get",outcome="applied"}`,
		`kvorum_operation_seconds_count{operation="put"}`,
		`kvorum_forwards_total{result="answered"}`,
		"kvorum_router_waits_total", "kvorum_requests_in_flight", "kvorum_request_bytes_in_flight", "kvorum_table_epoch 1", "kvorum_table_version ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}
