package shardrouter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/node"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// TestMessages: what a refusal says must be true of the request that was made, and of use to who made it.
func TestMessages(t *testing.T) {
	c := sharedCluster(t)
	c.put(t, c.front(), "message/a", "v")
	revision := strings.Trim(c.get(t, c.front(), "message/a").header.Get("Etag"), `"`)
	there, absent := keyPath("message/a"), keyPath("message/none-a")
	condition := func(name, value string) map[string]string { return map[string]string{name: value} }
	cases := []struct {
		request
		code   wire.Code
		title  string
		detail string
	}{
		{request{method: "PUT", path: there, header: condition("If-None-Match", "*")}, wire.CodePreconditionFailed, "condition", "the key is at revision " + revision + ", and was to be created only if absent"},
		{request{method: "PUT", path: there, header: condition("If-Match", `"999999"`)}, wire.CodePreconditionFailed, "condition", "the key is at revision " + revision + ", not at revision 999999: read it"},
		{request{method: "DELETE", path: there, header: condition("If-Match", `"999999"`)}, wire.CodePreconditionFailed, "condition", "at revision " + revision + ", not at revision 999999"},
		{request{method: "GET", path: there, header: condition("If-Match", `"999999"`)}, wire.CodePreconditionFailed, "condition", "at revision " + revision + ", not at revision 999999"},
		{request{method: "PUT", path: absent, header: condition("If-Match", "*")}, wire.CodePreconditionFailed, "condition", "the key is absent, and was to be updated only if present"},
		{request{method: "PUT", path: absent, header: condition("If-Match", `"7"`)}, wire.CodePreconditionFailed, "condition", "the key is absent, not at revision 7"},
		{request{method: "DELETE", path: absent, header: condition("If-Match", "*")}, wire.CodePreconditionFailed, "condition", "the key is absent"},
		{request{method: "GET", path: absent, header: condition("If-Match", "*")}, wire.CodePreconditionFailed, "condition", "the key is absent"},
		{request{method: "GET", path: absent}, wire.CodeNotFound, "no such key", "absent"},
		{request{method: "POST", path: "/v1/cluster/shards/9/snapshot"}, wire.CodeNoSuchShard, "no such shard", "no shard 9: the shards are 0, 1, 2"},
		{request{method: "POST", path: "/v1/cluster/shards/9/transfer-leader"}, wire.CodeNoSuchShard, "no such shard", "no shard 9: the shards are 0, 1, 2"},
		{request{method: "POST", path: "/v1/cluster/shards/-1/snapshot"}, wire.CodeInvalidRequest, "malformed", `"-1" is not the number of one`},
		{request{method: "POST", path: "/v1/cluster/shards/0/snapshot?wait=1"}, wire.CodeInvalidRequest, "malformed", "wait"},
		{request{method: "POST", path: "/v1/cluster/shards/0/snapshot", body: []byte(`{"to":"x"}`)}, wire.CodeInvalidRequest, "malformed", "to"},
		{request{method: "POST", path: "/v1/cluster/shards/0/transfer-leader?to=s0n1"}, wire.CodeInvalidRequest, "malformed", "to"},
		{request{method: "POST", path: "/v1/cluster/shards/0/transfer-leader", body: []byte(`{"To":"s0n1"}`)}, wire.CodeInvalidRequest, "malformed", `it is spelt "to"`},
		{request{method: "POST", path: "/v1/cluster/shards/0/transfer-leader", body: []byte(`{"to":1}`)}, wire.CodeInvalidRequest, "malformed", "want text in quotes"},
		{request{method: "GET", path: "/v1/operations/never-used"}, wire.CodeNoSuchOperation, "Idempotency-Key", "does not mean that it was not applied"},
	}
	for _, tc := range cases {
		for _, base := range []string{c.front(), c.base(c.leader(t, 1))} {
			tc.base = base
			r := c.do(t, tc.request)
			var problem wire.Problem
			if err := json.Unmarshal(r.body, &problem); err != nil || problem.Code != tc.code || !strings.Contains(problem.Title, tc.title) || !strings.Contains(problem.Detail, tc.detail) {
				t.Errorf("%s %s %v: %s (%v), want %s, %q, %q", tc.method, tc.path, tc.header, r.body, err, tc.code, tc.title, tc.detail)
			}
			if strings.Contains(string(r.body), "Go struct") || strings.Contains(string(r.body), "Go value") {
				t.Errorf("%s speaks of Go's types", r.body)
			}
		}
	}
}

// TestBatchMessages: a line's refusal speaks of fields, not of the headers and paths of other requests.
func TestBatchMessages(t *testing.T) {
	c := sharedCluster(t)
	c.put(t, c.front(), "message/b", "v")
	lines := []struct{ line, detail string }{
		{`{"op":"put","key":"message/b","value":"w","if_absent":true}`, "was to be created only if absent"},
		{`{"op":"put","key":"message/none-b","value":"w","if_present":true}`, "was to be updated only if present"},
		{`{"op":"delete","key":"message/b","if_revision":999999}`, "not at revision 999999"},
		{`{"op":"get"}`, "the key is missing or empty: give key, or key_base64"},
		{`{"key":"k"}`, "op is missing: give put, get or delete"},
		{`{"op":"fetch","key":"k"}`, `op "fetch" is unknown`},
		{`{"op":"get","key":"k","if_present":true}`, "leave out if_absent"},
		{`{"op":"put","key":"k"}`, "a put needs value or value_base64"},
		{`{"op":"put","key":"k","value":"v","Key":"l"}`, `field "Key" is unknown: it is spelt "key"`},
		{`{"op":"get","key":"k"}{"op":"get","key":"l"}`, "--data-binary"},
		{`get k`, "the line is not JSON"},
		{`[]`, "want one object"},
	}
	var body strings.Builder
	for _, l := range lines {
		body.WriteString(l.line + "\n")
	}
	for i, result := range c.rawBatch(t, c.front(), []byte(body.String())) {
		if result.Problem == nil || !strings.Contains(result.Problem.Detail, lines[i].detail) || strings.Contains(result.Problem.Detail, "If-") || strings.Contains(result.Problem.Detail, "/v1/") {
			t.Errorf("%s: %+v, want %q", lines[i].line, result.Problem, lines[i].detail)
		}
	}
}

// TestWriteWhileForming: who writes to a cluster that is not complete hears what it waits for, not only that there is no
// leader.
func TestWriteWhileForming(t *testing.T) {
	members := []wire.Member{{ID: "n0", PeerAddress: "127.0.0.1:1", APIAddress: "127.0.0.1:1"}, {ID: "n1", PeerAddress: "127.0.0.1:1", APIAddress: "127.0.0.1:1"}}
	n, err := node.Open(t.Context(), node.Config{
		Cluster: "half", Node: "n0", ShardCount: 2, SlotFunction: store.LastByte, DataDir: t.TempDir(), Listen: "127.0.0.1:0", PeerListen: "127.0.0.1:0",
		Members: members, Tuning: quick(), Timing: node.Timing{LeaderWait: 1e6}, DrainTime: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(t.Context()); err != nil {
			t.Log(err)
		}
	})
	c := &cluster{spec: loadDescription(t)}
	for key, want := range map[string]string{"b": "every member must be up once; not met yet: n1", "a": "shard 1 has not registered yet"} {
		r := c.do(t, request{method: "PUT", base: "http://" + n.APIAddress(), path: keyPath(key), body: []byte("v")})
		if r.status != http.StatusServiceUnavailable || !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %s, want %q", fmt.Sprint(r.status), r.body, want)
		}
	}
}
