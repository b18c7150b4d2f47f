package shardrouter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// TestManagementLostAfterSending: what was sent and not answered may have been done.
func TestManagementLostAfterSending(t *testing.T) {
	zero, one := newFakeNode(t, "s0n0", 0), newFakeNode(t, "s0n1", 0)
	shards := map[uint32][]wire.Member{0: {member(zero), member(one)}}
	for _, n := range []*fakeNode{zero, one} {
		n.set(func() { n.table = fakeTable(1, func(int) uint32 { return 0 }, shards) })
	}
	zero.set(func() { zero.role = "leader" })
	c := &cluster{spec: loadDescription(t)}
	base := runRouter(t, shardrouter.Config{Seeds: []string{zero.address, one.address}, LeaderWait: 300 * time.Millisecond})
	post := func(what string) reply {
		return c.do(t, request{method: "POST", base: base, path: "/v1/cluster/shards/0/" + what})
	}
	eventually(t, "the table is known", func() error {
		if r := post("snapshot"); r.status == http.StatusNotFound || problemIn(t, r).Code != wire.CodeUnreachable {
			return fmt.Errorf("%d %s", r.status, r.body)
		}
		return nil
	})
	wantStatus(t, post("snapshot"), 503, wire.NotApplied) // all refused
	lost := map[string]http.HandlerFunc{replica.PathSnapshot: vanish, replica.PathTransfer: vanish}
	zero.set(func() { zero.other = lost })
	wantStatus(t, post("snapshot"), 504, wire.Unknown)
	wantStatus(t, post("transfer-leader"), 504, wire.Unknown)
}

// TestOperationAtSilentShard: one shard knows the key, another can't be asked. It may know it, too.
func TestOperationAtSilentShard(t *testing.T) {
	zero, one := newFakeNode(t, "s0n0", 0), newFakeNode(t, "s1n0", 1)
	shards := map[uint32][]wire.Member{0: {member(zero)}, 1: {member(one)}}
	for _, n := range []*fakeNode{zero, one} {
		n.set(func() {
			n.role, n.table = "leader", fakeTable(1, half, shards)
			n.other = map[string]http.HandlerFunc{replica.PathOperations + "twice": func(w http.ResponseWriter, r *http.Request) {
				n.accept(w, &http.Request{Method: "HEAD"})
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(replica.ShardOperations{Operations: []wire.Operation{{IdempotencyKey: "twice", Outcome: wire.Applied, Status: 201, Revision: 1, Shard: n.shard, Slot: uint8(n.shard)}}})
			}}
		})
	}
	c := &cluster{spec: loadDescription(t)}
	base := runRouter(t, shardrouter.Config{Seeds: []string{zero.address}, LeaderWait: 300 * time.Millisecond})
	look := func(query string) reply {
		return c.do(t, request{method: "GET", base: base, path: "/v1/operations/twice" + query})
	}
	eventually(t, "both shards answer", func() error {
		if r := look(""); r.status != http.StatusConflict {
			return fmt.Errorf("%d %s", r.status, r.body)
		}
		return nil
	})
	one.set(func() { one.other = nil })
	wantStatus(t, look(""), 503, wire.NotApplied)
	wantStatus(t, look("?slot=0"), 200, wire.Applied)
	wantStatus(t, look("?slot=1"), 503, wire.NotApplied)
}
