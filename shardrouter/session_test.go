package shardrouter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// TestSessionOfOtherData: a token that this cluster cannot have given is refused, by proof and so without waiting for it to
// come true; read-timeout, which says "try again", would be wrong for ever.
func TestSessionOfOtherData(t *testing.T) {
	c := sharedCluster(t)
	key := keyPath("other-data/a") // shard 1
	c.put(t, c.front(), "other-data/a", "v")
	refuse := func(q request, token string, says ...string) {
		t.Helper()
		for _, base := range c.bases() {
			q.base, q.header = base, map[string]string{wire.HeaderSession: token}
			r := c.do(t, q)
			wantStatus(t, r, 409, wire.NotApplied)
			for _, text := range append(says, string(wire.CodeSessionUnknown), "leave it out") {
				if q.method != "HEAD" && !strings.Contains(string(r.body), text) {
					t.Errorf("%s %s: %s does not say %q", q.method, q.path, r.body, text)
				}
			}
		}
	}
	for _, consistency := range []string{"linearizable", "stale", "bounded&max_stale=1ns", "bounded&max_stale=1h"} {
		refuse(request{method: "GET", path: key + "?consistency=" + consistency}, "1:1000000000", "index 1000000000 of shard 1")
		refuse(request{method: "GET", path: "/v1/kv?consistency=" + consistency}, "1:1000000000", "index 1000000000 of shard 1")
	}
	refuse(request{method: "HEAD", path: key}, "1:1000000000")
	for _, q := range []request{
		{method: "GET", path: key}, {method: "DELETE", path: key}, {method: "PUT", path: key, body: []byte("w")},
		{method: "GET", path: "/v1/kv"}, {method: "GET", path: "/v1/operations/k"},
		{method: "POST", path: "/v1/batch", body: []byte(`{"op":"delete","key":"other-data/a"}`)},
	} {
		refuse(q, "0:1,3:1", "names shard 3")
	}
	r := c.do(t, request{method: "GET", base: c.front(), path: key, header: map[string]string{wire.HeaderSession: "0:1000000000"}})
	if string(r.body) != "v" { // another shard's mark is not this one's to judge, and a refused write does nothing
		t.Errorf("%d %s", r.status, r.body)
	}
	newest := c.put(t, c.front(), "other-data/a", "w").header.Get(wire.HeaderIndex)
	for _, base := range c.bases() { // the newest index there is counts as true everywhere
		r := c.do(t, request{method: "GET", base: base, path: key + "?consistency=stale", header: map[string]string{wire.HeaderSession: fmt.Sprint("1:", newest)}})
		if string(r.body) != "w" {
			t.Errorf("%s: %d %s", base, r.status, r.body)
		}
	}
}
