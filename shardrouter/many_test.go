package shardrouter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// list reads one page.
func (c *cluster) list(t *testing.T, base, query string) ([]wire.Entry, wire.End) {
	t.Helper()
	r := c.do(t, request{method: "GET", base: base, path: "/v1/kv?" + query})
	wantStatus(t, r, 200, wire.Applied)
	lines := bytes.Split(bytes.TrimSuffix(r.body, []byte("\n")), []byte("\n"))
	var end wire.End
	if err := json.Unmarshal(lines[len(lines)-1], &end); err != nil || end.Count != len(lines)-1 {
		t.Fatalf("%d lines, the last is %s (%v)", len(lines), lines[len(lines)-1], err)
	}
	entries := make([]wire.Entry, len(lines)-1)
	for i := range entries {
		if err := json.Unmarshal(lines[i], &entries[i]); err != nil {
			t.Fatalf("%s: %v", lines[i], err)
		}
	}
	return entries, end
}

func TestListing(t *testing.T) {
	c := sharedCluster(t)
	want := map[string]string{}
	for i := range 500 {
		key := fmt.Sprintf("list/%03d\xff%c", i, i) // bytes that are no text, all slots
		want[key] = strings.Repeat("v", i)
	}
	c.putAll(t, want)
	keys := make([]string, 0, len(want))
	for key := range want {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, base := range c.bases() {
		for _, limit := range []int{1000, 500, 499, 97} {
			var got []string
			cursor, pages := "", 0
			for more := true; more; more = cursor != "" {
				entries, end := c.list(t, base, url.Values{"prefix": {"list/"}, "limit": {fmt.Sprint(limit)}, "cursor": {cursor}}.Encode())
				if !end.Complete || len(entries) > limit {
					t.Fatalf("%d entries, end %+v", len(entries), end)
				}
				for _, e := range entries {
					got = append(got, string(e.Key))
					if string(e.Value) != want[string(e.Key)] || e.Revision == 0 {
						t.Fatalf("%q has %q at %d", e.Key, e.Value, e.Revision)
					}
				}
				cursor = end.Cursor
				pages++
			}
			if strings.Join(got, "|") != strings.Join(keys, "|") {
				t.Fatalf("limit %d: got %d keys in %d pages, want %d", limit, len(got), pages, len(keys))
			}
			if wantPages := (len(keys) + limit - 1) / limit; pages != wantPages {
				t.Fatalf("limit %d: %d pages, want %d", limit, pages, wantPages)
			}
		}
	}
	if entries, end := c.list(t, c.front(), "prefix=list/nothing"); len(entries) != 0 || !end.Complete || end.Cursor != "" {
		t.Fatalf("nothing is %v, %+v", entries, end)
	}
	if entries, _ := c.list(t, c.front(), "prefix=list/042%FF"); len(entries) != 1 {
		t.Fatalf("a prefix of bytes finds %d", len(entries))
	}
	for _, query := range []string{"consistency=stale", "consistency=bounded&max_stale=1m"} {
		if entries, _ := c.list(t, c.front(), "prefix=list/&"+query); len(entries) > 500 {
			t.Fatalf("%s: %d entries", query, len(entries))
		}
	}
}

// TestListingOfOneShard: one shard alone has more rows than the limit. The listing must not end there as if that were all.
func TestListingOfOneShard(t *testing.T) {
	c := sharedCluster(t)
	rows := map[string]string{}
	for i := range 20 {
		rows[fmt.Sprintf("one-shard/%02d/a", i)] = "v"
	}
	c.putAll(t, rows)
	for _, base := range c.bases() {
		for limit, wantCursor := range map[int]bool{1: true, 19: true, 20: false, 21: false} {
			entries, end := c.list(t, base, fmt.Sprintf("prefix=one-shard/&limit=%d", limit))
			if len(entries) != min(limit, 20) || (end.Cursor != "") != wantCursor {
				t.Fatalf("limit %d: %d entries, cursor %q", limit, len(entries), end.Cursor)
			}
		}
	}
}

// putAll writes by one batch.
func (c *cluster) putAll(t *testing.T, rows map[string]string) {
	t.Helper()
	var ops []wire.BatchOperation
	for key, value := range rows {
		ops = append(ops, wire.BatchOperation{Op: "put", Key: []byte(key), Value: []byte(value)})
	}
	for i, result := range c.batch(t, c.front(), ops) {
		if result.Outcome != wire.Applied {
			t.Fatalf("%q: %+v", ops[i].Key, result)
		}
	}
}

func (c *cluster) batch(t *testing.T, base string, ops []wire.BatchOperation) []wire.BatchResult {
	t.Helper()
	var body bytes.Buffer
	for _, op := range ops {
		if err := json.NewEncoder(&body).Encode(op); err != nil {
			t.Fatal(err)
		}
	}
	return c.rawBatch(t, base, body.Bytes())
}

func (c *cluster) rawBatch(t *testing.T, base string, body []byte) []wire.BatchResult {
	t.Helper()
	r := c.do(t, request{method: "POST", base: base, path: "/v1/batch", body: body})
	wantStatus(t, r, 200, wire.Applied)
	lines := bytes.Split(bytes.TrimSuffix(r.body, []byte("\n")), []byte("\n"))
	var end wire.End
	if err := json.Unmarshal(lines[len(lines)-1], &end); err != nil || !end.Complete || end.Count != len(lines)-1 {
		t.Fatalf("%d lines, the last is %s (%v)", len(lines), lines[len(lines)-1], err)
	}
	results := make([]wire.BatchResult, len(lines)-1)
	for i := range results {
		if err := json.Unmarshal(lines[i], &results[i]); err != nil || results[i].Index != i {
			t.Fatalf("line %d is %s: %v", i, lines[i], err)
		}
	}
	return results
}

func TestBatchOfEverything(t *testing.T) {
	c := sharedCluster(t)
	for i, base := range c.bases() {
		a, b := fmt.Appendf(nil, "batch/%d/a", i), fmt.Appendf(nil, "batch/%d\xff/b", i)
		ops := []wire.BatchOperation{
			{Op: "get", Key: a},
			{Op: "put", Key: a, Value: []byte("1")},
			{Op: "get", Key: a},
			{Op: "put", Key: b, Value: []byte("\xff"), IfAbsent: true},
			{Op: "put", Key: b, Value: []byte("2"), IfAbsent: true},
			{Op: "put", Key: a, Value: []byte("2"), IfPresent: true},
			{Op: "get", Key: a},
			{Op: "get", Key: b},
			{Op: "delete", Key: a},
			{Op: "get", Key: a},
			{Op: "delete", Key: a},
			{Op: "put", Key: b, Value: []byte("3"), IfRevision: 1 << 60},
			{Op: "put", Key: b, Value: []byte("3"), IdempotencyKey: fmt.Sprintf("batch/%d", i)},
			{Op: "put", Key: b, Value: []byte("3"), IdempotencyKey: fmt.Sprintf("batch/%d", i)},
			{Op: "put", Key: b, Value: []byte("4"), IdempotencyKey: fmt.Sprintf("batch/%d", i)},
			{Op: "delete", Key: b},
		}
		wantStatuses := []int{404, 201, 200, 201, 412, 200, 200, 200, 204, 404, 404, 412, 200, 200, 422, 204}
		wantValues := map[int]string{2: "1", 6: "2", 7: "\xff"}
		results := c.batch(t, base, ops)
		for j, r := range results {
			if r.Status != wantStatuses[j] {
				t.Errorf("%s: operation %d gave %+v, want %d", base, j, r, wantStatuses[j])
			}
			if value, isRead := wantValues[j]; isRead && string(r.Value) != value {
				t.Errorf("%s: operation %d read %q, want %q", base, j, r.Value, value)
			}
			wantOutcome := wire.Applied
			if r.Status >= 400 && ops[j].Op != "get" {
				wantOutcome = wire.NotApplied
			}
			if r.Outcome != wantOutcome || (r.Status >= 400) != (r.Problem != nil) {
				t.Errorf("%s: operation %d gave %+v, problem %+v", base, j, r, r.Problem)
			}
		}
		if results[12].Revision != results[13].Revision {
			t.Errorf("the repeat has revision %d, the first %d", results[13].Revision, results[12].Revision)
		}
	}
}

// TestBatchOrder: whatever is interleaved, each key sees its own operations in order.
func TestBatchOrder(t *testing.T) {
	c := sharedCluster(t)
	var ops []wire.BatchOperation
	for round := range 40 {
		for k := range 60 {
			key := fmt.Appendf(nil, "order/%d/%c", k, 'a'+k%26)
			ops = append(ops, wire.BatchOperation{Op: "put", Key: key, Value: fmt.Appendf(nil, "%d", round)})
			if (round+k)%7 == 0 {
				ops = append(ops, wire.BatchOperation{Op: "get", Key: key})
			}
		}
	}
	last := map[string]string{}
	for i, r := range c.batch(t, c.front(), ops) {
		key := string(ops[i].Key)
		if ops[i].Op == "put" {
			last[key] = string(ops[i].Value)
		}
		if r.Outcome != wire.Applied || (ops[i].Op == "get" && string(r.Value) != last[key]) {
			t.Fatalf("operation %d on %s: %+v %q, want %q", i, key, r, r.Value, last[key])
		}
	}
	for key, want := range last {
		if got := c.get(t, c.front(), key); string(got.body) != want {
			t.Fatalf("%s is %q in the end, want %q", key, got.body, want)
		}
	}
}

func TestBatchLinesFailAlone(t *testing.T) {
	c := sharedCluster(t)
	lines := []struct {
		line   string
		status int
		says   string
	}{
		{`{"op":"put","key":"lines/a","value":"v"}`, 201, ""},
		{`nonsense`, 400, "JSON"},
		{`{"op":"put","key":"lines/b","value":"v","if_abscent":true}`, 400, "if_abscent"},
		{`{"op":"take","key":"lines/b"}`, 400, "put, get or delete"},
		{`{"op":"get"}`, 400, "empty"},
		{"{\"op\":\"put\",\"key\":\"lines/\xff\",\"value\":\"v\"}", 400, "key_base64"},
		{`{"op":"put","key":"lines/\ud800","value":"v"}`, 400, "key_base64"},
		{`{"op":"put","key":"lines/\ud83d\ude00","value":"v"}`, 201, ""},
		{`{"op":"put","key":"lines/\\ud800","value":"v"}`, 201, ""},
		{`{"op":"put","key":"lines/b","value":"v","if_absent":true,"if_present":true}`, 400, "exclude"},
		{`{"op":"get","key":"lines/b","if_present":true}`, 400, "no condition"},
		{`{"op":"put","key":"lines/b","value":"v","idempotency_key":"a b"}`, 400, "ASCII"},
		{`{"op":"put","key":"` + strings.Repeat("k", 1025) + `","value":"v"}`, 414, "1024"},
		{`{"op":"put","key":"lines/b","value":"` + strings.Repeat("v", 1<<20+1) + `"}`, 413, "1048576"},
		{`{"op":"put","key":"lines/b","key_base64":"eA==","value":"v"}`, 400, "not both"},
		{``, 0, ""}, // blank: skipped
		{`{"op":"get","key":"lines/a"}`, 200, ""},
	}
	var body strings.Builder
	for _, l := range lines {
		body.WriteString(l.line + "\n")
	}
	i := 0
	results := c.rawBatch(t, c.front(), []byte(strings.TrimSuffix(body.String(), "\n")))
	for _, l := range lines {
		if l.status == 0 {
			continue
		}
		r := results[i]
		i++
		if r.Status != l.status || (l.status >= 400 && (r.Outcome != wire.NotApplied || !strings.Contains(r.Problem.Detail, l.says))) {
			t.Errorf("%.80s: %+v %+v, want %d saying %q", l.line, r, r.Problem, l.status, l.says)
		}
	}
	if r := c.get(t, c.front(), "lines/b"); r.status != 404 {
		t.Fatalf("a refused line was executed: %d %q", r.status, r.body)
	}
}

func TestBatchBounds(t *testing.T) {
	c := sharedCluster(t)
	line := `{"op":"get","key":"bounds"}` + "\n"
	send := func(body string, chunks bool) reply {
		return c.do(t, request{method: "POST", base: c.front(), path: "/v1/batch", body: []byte(body), chunks: chunks})
	}
	if results := c.rawBatch(t, c.front(), []byte(strings.Repeat(line, wire.MaxBatchOperations))); len(results) != wire.MaxBatchOperations {
		t.Fatalf("%d results", len(results))
	}
	wantStatus(t, send(strings.Repeat(line, wire.MaxBatchOperations+1), false), 413, wire.NotApplied)
	for _, chunks := range []bool{false, true} {
		wantStatus(t, send(strings.Repeat(" ", wire.MaxBatchBytes+1), chunks), 413, wire.NotApplied)
	}
	if results := c.rawBatch(t, c.front(), []byte{}); len(results) != 0 {
		t.Fatalf("nothing gave %v", results)
	}
	// Large values: forwarded, and in this process.
	value := strings.Repeat("\x01", 1<<20)
	for _, base := range []string{c.front(), c.base(c.leader(t, 1)), c.base(c.follower(t, 1))} {
		results := c.batch(t, base, []wire.BatchOperation{{Op: "put", Key: []byte("bounds/a"), Value: []byte(value)}, {Op: "get", Key: []byte("bounds/a")}, {Op: "get", Key: []byte("bounds/a")}})
		if string(results[1].Value) != value || string(results[2].Value) != value {
			t.Fatalf("%s: read %d and %d bytes", base, len(results[1].Value), len(results[2].Value))
		}
	}
}

func TestBatchSession(t *testing.T) {
	c := sharedCluster(t)
	r := c.do(t, request{method: "POST", base: c.front(), path: "/v1/batch", body: []byte(`{"op":"put","key":"bs/a","value":"v"}` + "\n" + `{"op":"put","key":"bs/b","value":"v"}`), header: map[string]string{wire.HeaderSession: "0:1"}})
	session := r.header.Get(wire.HeaderSession)
	for _, shard := range []string{"0:1", ",1:", ",2:"} {
		if !strings.Contains(session, shard) {
			t.Fatalf("the session is %q", session)
		}
	}
	for _, n := range c.shard(1) {
		got := c.do(t, request{method: "GET", base: c.base(n), path: keyPath("bs/a") + "?consistency=stale", header: map[string]string{wire.HeaderSession: session}})
		if got.status != 200 {
			t.Fatalf("node %s has not seen the batch: %d", n.Controller().Node(), got.status)
		}
	}
}
