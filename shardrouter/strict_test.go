package shardrouter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/kvorum/kvorum/node"
	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// askPeer sends a request to one node's peer port, as another node would.
func askPeer(t *testing.T, n *node.Node, method, path string, body []byte) reply {
	t.Helper()
	self := peer.Identity{Cluster: "dev", Node: "router-strict"}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, _, err := peer.Dial(ctx, self, peer.API, peer.Target{Address: n.PeerAddress(), Shard: n.Controller().Shard(), Node: n.Controller().Node()})
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://peer"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, text}
}

// TestStrictReplica: on the peer port a replica answers for itself only.
func TestStrictReplica(t *testing.T) {
	c := sharedCluster(t)
	leader, follower := c.leader(t, 1), c.follower(t, 1)
	c.put(t, c.front(), "strict/a", "v")
	c.put(t, c.front(), "strict/b", "v") // shard 2

	for _, n := range []*node.Node{leader, follower} {
		if r := askPeer(t, n, "GET", "/v1/kv/strict%2Fa", nil); r.status != 200 || string(r.body) != "v" || r.header.Get(wire.HeaderNode) != n.Controller().Node() {
			t.Errorf("own key: %d %s", r.status, r.body)
		}
		for _, query := range []string{"", "?consistency=stale"} {
			r := askPeer(t, n, "GET", "/v1/kv/strict%2Fb"+query, nil)
			wantStatus(t, r, http.StatusMisdirectedRequest, wire.NotApplied)
		}
		wantStatus(t, askPeer(t, n, "GET", "/v1/kv", nil), 404, wire.NotApplied)
		wantStatus(t, askPeer(t, n, "POST", replica.PathStatus, nil), 405, wire.NotApplied)
	}
	wantStatus(t, askPeer(t, leader, "PUT", "/v1/kv/strict%2Fb", []byte("wrong")), http.StatusMisdirectedRequest, wire.NotApplied)

	line := []byte(`{"op":"put","key":"strict/a","value":"w"}`)
	for path, method := range map[string]string{"/v1/kv/strict%2Fa": "PUT", replica.PathBatch: "POST"} {
		r := askPeer(t, follower, method, path, line)
		wantStatus(t, r, http.StatusMisdirectedRequest, wire.NotApplied)
		if got := r.header.Get(wire.HeaderLeader); got != leader.Controller().Node() {
			t.Errorf("%s at a follower: the hint is %q, the leader %s", path, got, leader.Controller().Node())
		}
	}
	wantStatus(t, askPeer(t, follower, "POST", replica.PathTransfer, nil), http.StatusMisdirectedRequest, wire.NotApplied)
	wantStatus(t, askPeer(t, leader, "POST", replica.PathRegister, []byte(`{"shard":1,"members":[{"id":"x"}]}`)), http.StatusMisdirectedRequest, wire.NotApplied)
	if got := c.get(t, c.front(), "strict/a"); string(got.body) != "v" {
		t.Errorf("a refused write took effect: %q", got.body)
	}

	// Lines of the listing are only this shard's, and the batch's results say which keys are not.
	r := askPeer(t, follower, "GET", replica.PathRows+"?prefix=strict/", nil)
	if lines := bytes.Count(r.body, []byte("\n")); r.status != 200 || lines != 2 {
		t.Errorf("rows of one shard: %d lines: %s", lines, r.body)
	}
	r = askPeer(t, leader, "POST", replica.PathBatch, []byte(`{"op":"put","key":"strict/b","value":"w"}`+"\n"+`{"op":"get","key":"strict/b"}`))
	for range 2 {
		line, rest, _ := bytes.Cut(r.body, []byte("\n"))
		var result wire.BatchResult
		if err := json.Unmarshal(line, &result); err != nil || result.Status != http.StatusMisdirectedRequest || result.Outcome != wire.NotApplied {
			t.Errorf("another shard's key in a batch: %s (%v)", line, err)
		}
		r.body = rest
	}

	// Any node passes the table on.
	var table wire.Table
	if r := askPeer(t, follower, "GET", replica.PathTable, nil); json.Unmarshal(r.body, &table) != nil || table.Version == 0 {
		t.Errorf("the table at shard 1: %d %.200s", r.status, r.body)
	}
}
