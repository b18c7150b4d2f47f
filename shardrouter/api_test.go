package shardrouter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

func TestFourFunctions(t *testing.T) {
	c := sharedCluster(t)
	for i, base := range c.bases() {
		key := fmt.Sprintf("four/%d", i)
		path := "/v1/kv/" + key
		wantStatus(t, c.do(t, request{method: "GET", base: base, path: path}), 404, wire.Applied)
		wantStatus(t, c.do(t, request{method: "HEAD", base: base, path: path}), 404, wire.Applied)
		wantStatus(t, c.do(t, request{method: "PUT", base: base, path: path, body: []byte("x"), header: map[string]string{"If-Match": "*"}}), 412, wire.NotApplied)
		wantStatus(t, c.do(t, request{method: "DELETE", base: base, path: path}), 404, wire.NotApplied)
		wantStatus(t, c.do(t, request{method: "PUT", base: base, path: path, body: []byte("one")}), 201, wire.Applied)
		wantStatus(t, c.do(t, request{method: "PUT", base: base, path: path, body: []byte("two")}), 200, wire.Applied)
		r := c.do(t, request{method: "GET", base: base, path: path})
		wantStatus(t, r, 200, wire.Applied)
		if string(r.body) != "two" || r.header.Get("Content-Type") != "application/octet-stream" || r.header.Get("Content-Length") != "3" {
			t.Fatalf("read %q with %v", r.body, r.header)
		}
		wantStatus(t, c.do(t, request{method: "PUT", base: base, path: path, body: []byte("three"), header: map[string]string{"If-Match": "*"}}), 200, wire.Applied)
		wantStatus(t, c.do(t, request{method: "DELETE", base: base, path: path}), 204, wire.Applied)
		wantStatus(t, c.do(t, request{method: "DELETE", base: base, path: path}), 404, wire.NotApplied)
	}
}

func TestConditions(t *testing.T) {
	c := sharedCluster(t)
	for i, base := range []string{c.front(), c.base(c.leader(t, 1)), c.base(c.follower(t, 1)), c.base(c.leader(t, 2))} {
		path := fmt.Sprintf("/v1/kv/conditions%da", i) // ends in 'a': shard 1
		write := func(method, name, value string) reply {
			return c.do(t, request{method: method, base: base, path: path, body: []byte("v"), header: map[string]string{name: value}})
		}
		wantStatus(t, write("PUT", "If-Match", `"1"`), 412, wire.NotApplied)
		created := write("PUT", "If-None-Match", "*")
		wantStatus(t, created, 201, wire.Applied)
		again := write("PUT", "If-None-Match", "*")
		wantStatus(t, again, 412, wire.NotApplied)
		var problem wire.Problem
		if err := json.Unmarshal(again.body, &problem); err != nil || fmt.Sprintf("%q", fmt.Sprint(problem.Revision)) != created.header.Get("ETag") {
			t.Fatalf("the problem's revision is %d, the tag %s (%v)", problem.Revision, created.header.Get("ETag"), err)
		}
		replaced := write("PUT", "If-Match", created.header.Get("ETag"))
		wantStatus(t, replaced, 200, wire.Applied)
		if replaced.header.Get("ETag") == created.header.Get("ETag") {
			t.Fatal("the tag did not change")
		}
		wantStatus(t, write("PUT", "If-Match", created.header.Get("ETag")), 412, wire.NotApplied)
		wantStatus(t, write("DELETE", "If-Match", created.header.Get("ETag")), 412, wire.NotApplied)

		now := replaced.header.Get("ETag")
		for _, method := range []string{"GET", "HEAD"} {
			r := write(method, "If-None-Match", now)
			wantStatus(t, r, 304, wire.Applied)
			if r.header.Get("ETag") != now || len(r.body) != 0 {
				t.Fatalf("304 with tag %s, body %q", r.header.Get("ETag"), r.body)
			}
			wantStatus(t, write(method, "If-None-Match", created.header.Get("ETag")), 200, wire.Applied)
			wantStatus(t, write(method, "If-None-Match", "*"), 304, wire.Applied)
			wantStatus(t, write(method, "If-Match", now), 200, wire.Applied)
			wantStatus(t, write(method, "If-Match", created.header.Get("ETag")), 412, wire.Applied)
		}
		wantStatus(t, write("DELETE", "If-Match", now), 204, wire.Applied)
		wantStatus(t, write("GET", "If-None-Match", now), 404, wire.Applied)
	}
}

// keys are raw paths and the keys they mean: nothing is cleaned, redirected or joined.
var keys = []struct{ escaped, key string }{
	{"plain", "plain"}, {"a/b", "a/b"}, {"a//b", "a//b"}, {"a%2Fb", "a/b"}, {"..", ".."}, {"%2E%2E", ".."}, {".", "."},
	{"../../etc", "../../etc"}, {"a/../b", "a/../b"}, {"a/./b", "a/./b"}, {"trailing/", "trailing/"}, {"/leading", "/leading"}, {"//", "//"},
	{"%2F", "/"}, {"%00", "\x00"}, {"a%00b", "a\x00b"}, {"with%20space", "with space"}, {"a+b", "a+b"}, {"%25", "%"}, {"%2541", "%41"}, {"%252F", "%2F"}, {"%3F", "?"}, {"%23", "#"},
	{"sm%C3%B8rrebr%C3%B8d", "smørrebrød"}, {"%FF%FE", "\xff\xfe"}, {"%0A", "\n"}, {"{key}", "{key}"}, {"a;b=c", "a;b=c"}, {"v1/kv/x", "v1/kv/x"},
	{strings.Repeat("k", 1024), strings.Repeat("k", 1024)}, {strings.Repeat("%20", 1024), strings.Repeat(" ", 1024)},
}

func TestKeysAreBytes(t *testing.T) {
	c := sharedCluster(t)
	bases := c.bases()
	for i, k := range keys {
		write, read := bases[i%len(bases)], bases[(i+4)%len(bases)]
		value := fmt.Sprintf("value of %d", i)
		r := c.do(t, request{method: "PUT", base: write, path: "/v1/kv/" + k.escaped, body: []byte(value)})
		if r.status != 201 && r.status != 200 {
			t.Fatalf("PUT %s: %d %s", k.escaped, r.status, r.body)
		}
		for _, path := range []string{"/v1/kv/" + k.escaped, keyPath(k.key)} {
			got := c.do(t, request{method: "GET", base: read, path: path})
			if got.status != 200 || string(got.body) != value {
				t.Fatalf("GET %s: %d %q, want %q", path, got.status, got.body, value)
			}
		}
		wantShard := fmt.Sprint(int(k.key[len(k.key)-1]) % 3)
		if got := r.header.Get(wire.HeaderShard); got != wantShard {
			t.Fatalf("key %q is on shard %s, want %s", k.key, got, wantShard)
		}
	}
	for key, shard := range map[string]string{"user:a": "1", "user:b": "2", "user:c": "0"} {
		if r := c.put(t, c.front(), key, "x"); r.header.Get(wire.HeaderShard) != shard {
			t.Fatalf("%s is on shard %s, want %s", key, r.header.Get(wire.HeaderShard), shard)
		}
	}
}

func TestValues(t *testing.T) {
	c := sharedCluster(t)
	binary := make([]byte, 1<<20)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	for name, value := range map[string][]byte{"empty": {}, "one": {0}, "held back": binary[:2<<10], "sent at once": binary[:2<<10+1], "full": binary, "nearly": binary[:1<<20-1]} {
		for _, chunks := range []bool{false, true} {
			for i, base := range c.bases() {
				key := fmt.Sprintf("values/%s/%v/%d", name, chunks, i)
				r := c.do(t, request{method: "PUT", base: base, path: keyPath(key), body: value, chunks: chunks})
				wantStatus(t, r, 201, wire.Applied)
				got := c.get(t, c.bases()[(i+5)%len(c.bases())], key)
				if got.status != 200 || !bytes.Equal(got.body, value) || got.header.Get("Content-Length") != fmt.Sprint(len(value)) {
					t.Fatalf("%s: %d, %d bytes, want %d: %v", key, got.status, len(got.body), len(value), got.header)
				}
				head := c.do(t, request{method: "HEAD", base: base, path: keyPath(key)})
				if head.header.Get("Content-Length") != fmt.Sprint(len(value)) || head.header.Get("ETag") != got.header.Get("ETag") {
					t.Fatalf("HEAD %s: %v", key, head.header)
				}
				c.do(t, request{method: "DELETE", base: base, path: keyPath(key)})
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	c := sharedCluster(t)
	big := make([]byte, 1<<20+1)
	long := strings.Repeat("k", 1025)
	header := func(pairs ...string) map[string]string {
		h := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i]] = pairs[i+1]
		}
		return h
	}
	cases := []struct {
		request
		status int
		says   string // part of the detail
	}{
		{request{method: "GET", path: "/v1/kv/"}, 400, "empty"},
		{request{method: "GET", path: "/v1/kv/" + long}, 414, "1024"},
		{request{method: "PUT", path: "/v1/kv/" + long, body: []byte("v")}, 414, "1024"},
		{request{method: "PUT", path: "/v1/kv/big", body: big}, 413, "1048576"},
		{request{method: "PUT", path: "/v1/kv/big", body: big, chunks: true}, 413, "1048576"},
		{request{method: "PUT", path: "/v1/kv/big-f", body: big, chunks: true}, 413, "1048576"}, // shard 0: in this process
		{request{method: "POST", path: "/v1/kv/x", body: []byte("v")}, 405, "PUT"},
		{request{method: "PATCH", path: "/v1/kv/x"}, 405, "GET"},
		{request{method: "OPTIONS", path: "/v1/kv/x"}, 405, "GET"},
		{request{method: "PUT", path: "/v1/kv"}, 405, "GET"},
		{request{method: "GET", path: "/v1/batch"}, 405, "POST"},
		{request{method: "PUT", path: "/v1/cluster"}, 405, "GET"},
		{request{method: "POST", path: "/v1/health/live"}, 405, "GET"},
		{request{method: "POST", path: "/metrics"}, 405, "GET"},
		{request{method: "GET", path: "/"}, 404, "/v1/openapi.yaml"},
		{request{method: "GET", path: "/v1/k%76/x"}, 404, "percent-encode"},
		{request{method: "GET", path: "/v1//kv/x"}, 404, ""},
		{request{method: "GET", path: "/v1/health/nope"}, 404, ""},
		{request{method: "GET", path: "/v1/kv/x", header: header("If-None-Match", `W/"1"`)}, 400, "quotes"},
		{request{method: "GET", path: "/v1/kv/x", header: header("If-None-Match", `"1", "2"`)}, 400, "one revision"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("If-Match", `1`)}, 400, "quotes"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("If-Match", `"0"`)}, 400, "revision"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("If-Match", `"01"`)}, 400, "revision"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("If-Match", `"x"`)}, 400, "revision"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("If-Match", `"99999999999999999999"`)}, 400, "revision"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("If-None-Match", `"1"`)}, 400, "If-Match"},
		{request{method: "DELETE", path: "/v1/kv/x", header: header("If-None-Match", `"1"`)}, 400, "If-Match"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("If-Match", "*", "If-None-Match", "*")}, 400, "one of them"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("Idempotency-Key", "")}, 400, "1 to 255"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("Idempotency-Key", "a b")}, 400, "1 to 255"},
		{request{method: "PUT", path: "/v1/kv/x", header: header("Idempotency-Key", strings.Repeat("k", 256))}, 400, "1 to 255"},
		{request{method: "DELETE", path: "/v1/kv/x", header: header("Idempotency-Key", "\xc3\xb8")}, 400, "ASCII"},
		{request{method: "GET", path: "/v1/kv/x?consistency=eventual"}, 400, "linearizable"},
		{request{method: "GET", path: "/v1/kv/x?consistency=bounded"}, 400, "max_stale"},
		{request{method: "GET", path: "/v1/kv/x?consistency=bounded&max_stale=soon"}, 400, "duration"},
		{request{method: "GET", path: "/v1/kv/x?consistency=bounded&max_stale=-1s"}, 400, "duration"},
		{request{method: "GET", path: "/v1/kv/x?consistency=stale&max_stale=1s"}, 400, "bounded"},
		{request{method: "GET", path: "/v1/kv/x?consistency=stale&consistency=stale"}, 400, "once"},
		{request{method: "GET", path: "/v1/kv/x?consistancy=stale"}, 400, "consistency, max_stale"},
		{request{method: "PUT", path: "/v1/kv/x?ttl=5s"}, 400, "takes none"},
		{request{method: "GET", path: "/v1/kv/x?consistency=%zz"}, 400, "percent-encode"},
		{request{method: "GET", path: "/v1/kv/x", header: header("Kvorum-Session", "what")}, 400, "Kvorum-Session"},
		{request{method: "GET", path: "/v1/kv?limit=0"}, 400, "limit"},
		{request{method: "GET", path: "/v1/kv?limit=100001"}, 400, "100000"},
		{request{method: "GET", path: "/v1/kv?cursor=!"}, 400, "cursor"},
		{request{method: "GET", path: "/v1/kv?perfix=a"}, 400, "prefix"},
		{request{method: "GET", path: "/v1/operations/"}, 400, "1 to 255"},
		{request{method: "GET", path: "/v1/operations/a%20b"}, 400, "1 to 255"},
		{request{method: "GET", path: "/v1/operations/k?slot=256"}, 400, "255"},
		{request{method: "POST", path: "/v1/batch?x=1", body: []byte("{}")}, 400, "takes none"},
		{request{method: "POST", path: "/v1/cluster/shards/9/transfer-leader"}, 404, "shard 9"},
		{request{method: "POST", path: "/v1/cluster/shards/x/transfer-leader"}, 400, "number"},
		{request{method: "POST", path: "/v1/cluster/shards/0/transfer-leader", body: []byte(`{"too":"s0n1"}`)}, 400, "too"},
		{request{method: "POST", path: "/v1/cluster/shards/0/transfer-leader", body: []byte(`{"to":"nobody"}`)}, 409, "nobody"},
		{request{method: "POST", path: "/v1/cluster/shards/7/snapshot"}, 404, "shard 7"},
	}
	for _, tc := range cases {
		for _, base := range []string{c.front(), c.base(c.leader(t, 0)), c.base(c.follower(t, 2))} {
			q := tc.request
			q.base = base
			r := c.do(t, q)
			var problem wire.Problem
			if err := json.Unmarshal(r.body, &problem); err != nil {
				t.Errorf("%s %s: %d, no problem body: %.200s", q.method, q.path, r.status, r.body)
				continue
			}
			if r.status != tc.status || problem.Status != tc.status || problem.Outcome != wire.NotApplied || !strings.Contains(problem.Detail, tc.says) {
				t.Errorf("%s %.60s %v: %d %+v, want %d saying %q", q.method, q.path, q.header, r.status, problem, tc.status, tc.says)
			}
			if problem.Request != r.header.Get(wire.HeaderRequestID) {
				t.Errorf("the problem is of request %q, the reply of %q", problem.Request, r.header.Get(wire.HeaderRequestID))
			}
			if r.header.Get("Location") != "" {
				t.Errorf("%s %s: redirected", q.method, q.path)
			}
		}
	}
	// The one exception: a path that can't be decoded is refused by net/http, before there is a request for a handler.
	for _, address := range []string{c.dev.APIAddress(), c.leader(t, 0).APIAddress()} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			answer := raw(t, address, method+" /v1/kv/%zz HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			head, body, _ := strings.Cut(answer, "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 400 ") || !strings.Contains(head, "Content-Type: text/plain") || !strings.HasPrefix(body, "400 Bad Request") {
				t.Errorf("%s of a malformed path: %s", method, answer)
			}
		}
	}
	for _, key := range []string{"big", "big-f"} {
		if r := c.get(t, c.front(), key); r.status != http.StatusNotFound {
			t.Fatalf("a refused value is there: %d", r.status)
		}
	}
}

func TestDoubledHeaders(t *testing.T) {
	c := sharedCluster(t)
	for _, line := range []string{"If-Match: \"1\"\r\nIf-Match: \"2\"", "Idempotency-Key: a\r\nIdempotency-Key: b", "If-None-Match: *\r\nIf-None-Match: *"} {
		answer := raw(t, c.dev.APIAddress(), "PUT /v1/kv/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n"+line+"\r\n\r\nv")
		if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, "Kvorum-Outcome: not-applied") {
			t.Errorf("%q: %s", line, answer)
		}
	}
}

func TestRequestID(t *testing.T) {
	c := sharedCluster(t)
	for _, base := range c.bases() {
		send := func(id string) string {
			h := map[string]string{}
			if id != "" {
				h[wire.HeaderRequestID] = id
			}
			return c.do(t, request{method: "GET", base: base, path: "/v1/kv/request-id", header: h}).header.Get(wire.HeaderRequestID)
		}
		if got := send("mine-1"); got != "mine-1" {
			t.Errorf("given id came back as %q", got)
		}
		if a, b := send(""), send(""); a == b {
			t.Errorf("two requests are both %q", a)
		}
		if got := send(strings.Repeat("x", 129)); len(got) > 128 {
			t.Errorf("a long id was taken over: %q", got)
		}
	}
}
