package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// What each method sends.
func TestRequests(t *testing.T) {
	tests := map[string]struct {
		do      write
		line    string
		headers string // name: value, separated by |
		body    string
	}{
		"put":    {put, "PUT /v1/kv/k", "", "v"},
		"create": {func(ctx context.Context, c *Client) error { _, err := c.Create(ctx, "k", []byte("v")); return err }, "PUT /v1/kv/k", "If-None-Match: *", "v"},
		"update": {func(ctx context.Context, c *Client) error { _, err := c.Update(ctx, "k", []byte("v")); return err }, "PUT /v1/kv/k", "If-Match: *", "v"},
		"update at": {func(ctx context.Context, c *Client) error {
			_, err := c.Update(ctx, "k", nil, IfRevision(3))
			return err
		}, "PUT /v1/kv/k", `If-Match: "3"`, ""},
		"compare-and-set": {func(ctx context.Context, c *Client) error {
			_, err := c.CompareAndSet(ctx, "k", []byte("v"), 12, IdempotencyKey("i"))
			return err
		}, "PUT /v1/kv/k", `If-Match: "12"|Idempotency-Key: i`, "v"},
		"delete at":   {func(ctx context.Context, c *Client) error { _, err := c.Delete(ctx, "k", IfRevision(3)); return err }, "DELETE /v1/kv/k", `If-Match: "3"`, ""},
		"bounded get": {func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, "k", MaxStale(5e8)); return err }, "GET /v1/kv/k?consistency=bounded&max_stale=500ms", "", ""},
		"stale get": {func(ctx context.Context, c *Client) error {
			_, err := c.Get(ctx, "k", Consistency(wire.Stale))
			return err
		}, "GET /v1/kv/k?consistency=stale", "", ""},
		"get if changed": {func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, "k", IfChanged(3)); return err }, "GET /v1/kv/k", `If-None-Match: "3"`, ""},
		"get at":         {func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, "k", IfRevision(3)); return err }, "GET /v1/kv/k", `If-Match: "3"`, ""},
		"get if there":   {func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, "k", IfPresent()); return err }, "GET /v1/kv/k", `If-Match: *`, ""},
		"plain get":      {get, "GET /v1/kv/k", "", ""},
		"health":         {func(ctx context.Context, c *Client) error { return c.Health(ctx, "ready") }, "GET /v1/health/ready", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := serve(t, nil, done(200))
			if err := test.do(testContext(t), c); err != nil {
				t.Fatal(err)
			}
			r := s.requests()[0]
			if line := r.method + " " + r.uri; line != test.line || r.body != test.body {
				t.Errorf("%q with body %q", line, r.body)
			}
			for header := range strings.SplitSeq(test.headers, "|") {
				headerName, want, _ := strings.Cut(header, ": ")
				if got := r.header.Get(headerName); got != want {
					t.Errorf("%s: %q, want %q", headerName, got, want)
				}
			}
		})
	}
}

func TestClusterCalls(t *testing.T) {
	ctx := testContext(t)
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	c, s := serve(t, nil, answer(`{"shard":1,"from":"a","leader":"b"}`), answer(`{"shard":2,"replicas":{"a":7}}`), answer(`{"idempotency_key":"x/y","status":201,"outcome":"applied"}`),
		answer(`{"shards":[{"shard":0,"leader":"a"}]}`), problem(wire.CodeNotFound), answer("not json"))
	if r, err := c.TransferLeader(ctx, 1, "b"); err != nil || r.Leader != "b" {
		t.Error(r, err)
	}
	if r, err := c.Snapshot(ctx, 2); err != nil || r.Replicas["a"] != 7 {
		t.Error(r, err)
	}
	if r, err := c.Operation(ctx, "x/y"); err != nil || r.Status != 201 {
		t.Error(r, err)
	}
	if r, err := c.ClusterStatus(ctx); err != nil || r.Shards[0].Leader != "a" {
		t.Error(r, err)
	}
	if _, err := c.Operation(ctx, "z"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := c.Table(ctx); err == nil {
		t.Error("a table that is no JSON was taken")
	}
	var lines []string
	for _, r := range s.requests() {
		lines = append(lines, r.method+" "+r.uri+" "+r.body)
	}
	want := `POST /v1/cluster/shards/1/transfer-leader {"to":"b"};POST /v1/cluster/shards/2/snapshot ;GET /v1/operations/x%2Fy ;GET /v1/cluster ;GET /v1/operations/z ;GET /v1/cluster/table `
	if got := strings.Join(lines, ";"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, config := range []Config{{}, {Endpoints: []string{"127.0.0.1:80"}}, {Endpoints: []string{"ftp://x"}}, {Endpoints: []string{"http://x/path"}},
		{Endpoints: []string{"http://x"}, Consistency: "strong"}, {Endpoints: []string{"http://x"}, Consistency: wire.Bounded}} {
		if _, err := New(config); err == nil {
			t.Errorf("%+v was taken", config)
		}
	}
}
