package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// lines answers with NDJSON; cut leaves the stream without its end.
func lines(cut bool, list ...any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		receipt(w.Header(), wire.Applied)
		encoder := json.NewEncoder(w)
		for _, line := range list {
			_ = encoder.Encode(line)
		}
		if cut {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

func entry(key string) wire.Entry {
	return wire.Entry{Key: []byte(key), Value: []byte("complete"), Revision: 1}
}

func end(count int, cursor string) wire.End {
	return wire.End{Complete: true, Count: count, Cursor: cursor}
}

func keysOf(t *testing.T, c *Client, o ListOptions) ([]string, error) {
	var keys []string
	for item, err := range c.List(testContext(t), o) {
		if err != nil {
			return keys, err
		}
		if string(item.Value) != "complete" || item.Revision != 1 {
			t.Errorf("item %+v", item)
		}
		keys = append(keys, item.Key)
	}
	return keys, nil
}

func TestList(t *testing.T) {
	broken := wire.NewProblem(wire.CodeUnreachable, "shard 2")
	tests := map[string]struct {
		steps   []http.HandlerFunc
		options ListOptions
		keys    []string
		fails   bool
	}{
		"one page":   {[]http.HandlerFunc{lines(false, entry(`"complete"`), entry("a"), end(2, ""))}, ListOptions{}, []string{`"complete"`, "a"}, false},
		"empty":      {[]http.HandlerFunc{lines(false, end(0, ""))}, ListOptions{Prefix: "x"}, nil, false},
		"pages":      {[]http.HandlerFunc{lines(false, entry("a"), end(1, "c1")), lines(false, entry("b"), end(1, "c2")), lines(false, end(0, ""))}, ListOptions{PageSize: 1}, []string{"a", "b"}, false},
		"limit":      {[]http.HandlerFunc{lines(false, entry("a"), entry("b"), end(2, "c1")), lines(false, entry("c"), end(1, "c2"))}, ListOptions{Limit: 3, PageSize: 2}, []string{"a", "b", "c"}, false},
		"cut":        {[]http.HandlerFunc{lines(true, entry("a"), entry("b")), lines(false, entry("a"), entry("b"), entry("c"), end(3, ""))}, ListOptions{}, []string{"a", "b", "c"}, false},
		"no end":     {[]http.HandlerFunc{lines(false, entry("a")), lines(false, entry("a"), entry("b"), end(2, ""))}, ListOptions{}, []string{"a", "b"}, false},
		"incomplete": {[]http.HandlerFunc{lines(false, entry("a"), wire.End{Count: 1, Problem: &broken}), lines(false, entry("a"), entry("b"), end(2, ""))}, ListOptions{}, []string{"a", "b"}, false},
		"refused":    {[]http.HandlerFunc{problem(wire.CodeInvalidRequest)}, ListOptions{}, nil, true},
		"bad bound":  {[]http.HandlerFunc{hangUp}, ListOptions{Consistency: wire.Bounded}, nil, true},
		"never ends": {[]http.HandlerFunc{lines(true, entry("a"))}, ListOptions{}, []string{"a"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, func(c *Config) { c.Retry.MaxAttempts = 5 }, test.steps...)
			keys, err := keysOf(t, c, test.options)
			if !slices.Equal(keys, test.keys) || (err != nil) != test.fails {
				t.Fatalf("keys %q, want %q; %v", keys, test.keys, err)
			}
		})
	}
}

func TestListQueriesAndBreak(t *testing.T) {
	c, s := serve(t, nil, lines(false, entry("a"), end(1, "c&1")), lines(true, entry("b"), entry("c")))
	for item, err := range c.List(testContext(t), ListOptions{Prefix: "é/", PageSize: 1, Consistency: wire.Bounded, MaxStale: time.Second}) {
		if err != nil || item.Key == "c" {
			t.Fatal(item, err)
		}
		if item.Key == "b" {
			break
		}
	}
	var uris []string
	for _, request := range s.requests() {
		uris = append(uris, request.uri)
	}
	want := []string{
		"/v1/kv?consistency=bounded&limit=1&max_stale=1s&prefix=%C3%A9%2F",
		"/v1/kv?consistency=bounded&cursor=c%261&limit=1&max_stale=1s&prefix=%C3%A9%2F",
	}
	if !slices.Equal(uris, want) {
		t.Fatalf("%q\nwant %q", uris, want)
	}
}

func putOf(key, idempotencyKey string) wire.BatchOperation {
	return wire.BatchOperation{Op: "put", Key: []byte(key), Value: []byte("v"), IdempotencyKey: idempotencyKey}
}

func result(i int, outcome wire.Outcome, code wire.Code) wire.BatchResult {
	r := wire.BatchResult{Index: i, Status: 200, Outcome: outcome}
	if code != "" {
		p := wire.NewProblem(code, "")
		r.Problem, r.Status = &p, p.Status
	}
	return r
}

// Each line: the operations, the attempts' replies, and the outcomes that must come out.
func TestBatch(t *testing.T) {
	keyed := []wire.BatchOperation{putOf("a", "1"), putOf("b", "2"), {Op: "get", Key: []byte("c")}}
	plain := []wire.BatchOperation{putOf("a", ""), putOf("b", "2"), {Op: "get", Key: []byte("c")}}
	twice := []wire.BatchOperation{putOf("a", "1"), putOf("a", "2"), {Op: "get", Key: []byte("c")}}
	reads := slices.Repeat([]wire.BatchOperation{{Op: "get", Key: []byte("c")}}, 3)
	all := lines(false, result(0, wire.Applied, ""), result(1, wire.Applied, ""), result(2, wire.Applied, ""), end(3, ""))
	cutAfter := func(r ...any) http.HandlerFunc { return lines(true, r...) }
	refused := func(code wire.Code) http.HandlerFunc {
		return lines(false, result(0, wire.NotApplied, code), result(1, wire.Applied, ""), result(2, wire.Applied, ""), end(3, ""))
	}
	const a, n, u = wire.Applied, wire.NotApplied, wire.Unknown
	tests := map[string]struct {
		operations []wire.BatchOperation
		steps      []http.HandlerFunc
		outcomes   []wire.Outcome
		requests   int
		fails      bool
	}{
		"done":                         {plain, []http.HandlerFunc{all}, []wire.Outcome{a, a, a}, 1, false},
		"refused, then done":           {plain, []http.HandlerFunc{retrySoon(wire.CodeOverloaded), all}, []wire.Outcome{a, a, a}, 2, false},
		"one refused":                  {plain, []http.HandlerFunc{refused(wire.CodeDiskFull)}, []wire.Outcome{n, a, a}, 1, false},
		"plain hung up":                {plain, []http.HandlerFunc{hangUp, all}, []wire.Outcome{u, u, n}, 1, true},
		"key twice hung up":            {twice, []http.HandlerFunc{hangUp, all}, []wire.Outcome{u, u, n}, 1, true},
		"plain cut":                    {plain, []http.HandlerFunc{cutAfter(result(0, a, "")), all}, []wire.Outcome{a, u, n}, 1, true},
		"result missing":               {plain, []http.HandlerFunc{lines(false, result(0, a, ""), end(1, ""))}, []wire.Outcome{a, u, n}, 1, true},
		"keyed hung up, then done":     {keyed, []http.HandlerFunc{hangUp, all}, []wire.Outcome{a, a, a}, 2, false},
		"keyed hung up, then no room":  {keyed, []http.HandlerFunc{hangUp, refused(wire.CodeOverloaded)}, []wire.Outcome{u, a, a}, 2, false},
		"keyed hung up, then 412":      {keyed, []http.HandlerFunc{hangUp, refused(wire.CodePreconditionFailed)}, []wire.Outcome{n, a, a}, 2, false},
		"applied stays applied":        {keyed, []http.HandlerFunc{cutAfter(result(0, a, "")), refused(wire.CodeOverloaded)}, []wire.Outcome{a, a, a}, 2, false},
		"refusal before the cut":       {keyed, []http.HandlerFunc{cutAfter(result(0, n, wire.CodeOverloaded)), refused(wire.CodeOverloaded)}, []wire.Outcome{n, a, a}, 2, false},
		"refusal, cut, then a hang-up": {keyed, []http.HandlerFunc{cutAfter(result(0, n, wire.CodeOverloaded)), hangUp, problem(wire.CodeInvalidRequest)}, []wire.Outcome{u, u, n}, 3, true},
		"reads, cut twice":             {reads, []http.HandlerFunc{cutAfter(result(0, a, ""), result(1, a, "")), cutAfter(result(0, a, "")), problem(wire.CodeInvalidRequest)}, []wire.Outcome{a, n, n}, 3, true},
		"too large":                    {plain, []http.HandlerFunc{problem(wire.CodeValueTooLarge)}, []wire.Outcome{n, n, n}, 1, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := serve(t, nil, test.steps...)
			results, err := c.Batch(testContext(t), test.operations)
			var outcomes []wire.Outcome
			for _, r := range results {
				outcomes = append(outcomes, r.Outcome)
			}
			if !slices.Equal(outcomes, test.outcomes) || (err != nil) != test.fails || len(s.requests()) != test.requests {
				t.Fatalf("outcomes %q after %d requests, want %q after %d; %v", outcomes, len(s.requests()), test.outcomes, test.requests, err)
			}
		})
	}
}

func TestBatchBounds(t *testing.T) {
	c, s := serve(t, nil, hangUp)
	if _, err := c.Batch(testContext(t), make([]wire.BatchOperation, wire.MaxBatchOperations+1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	big := wire.BatchOperation{Op: "put", Key: []byte("k"), Value: []byte(strings.Repeat("v", wire.MaxBatchBytes))}
	if _, err := c.Batch(testContext(t), []wire.BatchOperation{big}); !errors.Is(err, ErrNotApplied) {
		t.Error(err)
	}
	if n := len(s.requests()); n != 0 {
		t.Error(fmt.Sprint(n, " requests were sent"))
	}
}
