package client

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// Two nodes of one shard, of which n1 leads, and a front that must see nothing but the request for the table.
func TestDirectRouting(t *testing.T) {
	follower, leader := &script{steps: []http.HandlerFunc{done(200)}}, &script{steps: []http.HandlerFunc{done(200)}}
	one, two := httptest.NewServer(follower), httptest.NewServer(leader)
	defer one.Close()
	defer two.Close()
	table := wire.Table{Epoch: 3, SlotFunction: "last-byte", Slots: make([]uint32, 256), Shards: map[uint32][]wire.Member{
		2: {{ID: "n0", APIAddress: one.Listener.Addr().String()}, {ID: "n1", APIAddress: two.Listener.Addr().String()}, {ID: "n2"}},
	}}
	table.Slots['a'] = 2
	c, front := serve(t, func(c *Config) { c.DirectRouting = true }, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/cluster/table" {
			done(201)(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(table)
	})
	for range 3 {
		if _, err := c.Put(testContext(t), "user:a", nil); err != nil {
			t.Fatal(err)
		}
	}
	// The first goes to the first member, whose receipt names n1 as the leader; the others go there.
	if f, l, n := len(follower.requests()), len(leader.requests()), len(front.requests()); f != 1 || l != 2 || n != 1 {
		t.Fatalf("follower %d, leader %d, front %d requests", f, l, n)
	}
	two.Close()
	if err := retryAfterClose(t, c); err != nil || len(follower.requests()) != 2 {
		t.Fatal("the next member takes over:", err)
	}
	if _, err := c.Put(testContext(t), "user:b", nil); err != nil {
		t.Fatal("a shard without members in the table goes through the front:", err)
	}
}

// retryAfterClose writes under a key: a kept connection to the closed server may take the first attempt with it.
func retryAfterClose(t *testing.T, c *Client) error {
	_, err := c.Put(testContext(t), "user:a", nil, IdempotencyKey("i"))
	return err
}

func TestSlotOf(t *testing.T) {
	slots := make([]uint32, 256)
	tests := []struct {
		table *wire.Table
		key   string
		slot  int
		ok    bool
	}{
		{nil, "a", 0, false},
		{&wire.Table{SlotFunction: "last-byte", Slots: slots}, "user:a", 97, true},
		{&wire.Table{SlotFunction: "last-byte", Slots: slots}, "\xff", 255, true},
		{&wire.Table{SlotFunction: "hash", Slots: slots}, "abc", 0xba, true}, // sha256("abc") = ba7816bf...
		{&wire.Table{SlotFunction: "moon", Slots: slots}, "abc", 0, false},
		{&wire.Table{SlotFunction: "hash", Slots: slots[:9]}, "abc", 0, false},
	}
	for _, test := range tests {
		if slot, ok := slotOf(test.table, test.key); slot != test.slot || ok != test.ok {
			t.Errorf("%q: %d %v, want %d %v", test.key, slot, ok, test.slot, test.ok)
		}
	}
}

func TestSession(t *testing.T) {
	say := func(token string, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(wire.HeaderSession, token)
			next(w, r)
		}
	}
	c, s := serve(t, func(c *Config) { c.Session = true }, say("2:9", done(200)), say("0:4,2:7,junk,x:y", value("v")), say("", absent), value("v"))
	_ = put(testContext(t), c)
	for range 3 {
		_ = get(testContext(t), c)
	}
	var tokens []string
	for _, request := range s.requests() {
		tokens = append(tokens, request.header.Get(wire.HeaderSession))
	}
	if got := strings.Join(tokens, " "); got != " 2:9 0:4,2:9 0:4,2:9" {
		t.Fatalf("tokens sent: %q", got)
	}
}

func TestReceipt(t *testing.T) {
	c, _ := serve(t, nil, value("v"))
	item, err := c.Get(testContext(t), "k")
	want := Receipt{Node: "n1", Shard: 2, Epoch: 3, Term: 4, Index: 5, Consistency: "linearizable; leader"}
	if err != nil || item.Receipt != want || item.Revision != 7 {
		t.Fatalf("%+v, %v", item, err)
	}
}

func TestRetryWait(t *testing.T) {
	p := RetryPolicy{Base: 10 * time.Millisecond, Max: time.Second}
	asked := 5 * time.Second
	tests := map[string]struct {
		n         int
		e         *Error
		otherNode bool
		low, high time.Duration
	}{
		"first":                       {0, &Error{}, false, 5 * time.Millisecond, 10 * time.Millisecond},
		"third":                       {2, &Error{}, false, 20 * time.Millisecond, 40 * time.Millisecond},
		"capped":                      {20, &Error{}, false, 500 * time.Millisecond, time.Second},
		"far beyond":                  {900, &Error{}, false, 500 * time.Millisecond, time.Second},
		"server's wish":               {0, &Error{Code: wire.CodeOverloaded, retryAfter: asked}, true, asked, asked},
		"draining, same node":         {0, &Error{Code: wire.CodeDraining, retryAfter: asked}, false, asked, asked},
		"draining, ask another":       {0, &Error{Code: wire.CodeDraining, retryAfter: asked}, true, 5 * time.Millisecond, 10 * time.Millisecond},
		"shorter wish than ours":      {20, &Error{Code: wire.CodeOverloaded, retryAfter: 1}, false, 500 * time.Millisecond, time.Second},
		"connection refused, another": {0, &Error{notConnected: true}, true, 5 * time.Millisecond, 10 * time.Millisecond},
	}
	for name, test := range tests {
		for range 50 {
			if d := p.wait(test.n, test.e, test.otherNode); d < test.low || d > test.high {
				t.Fatalf("%s: %s, want %s to %s", name, d, test.low, test.high)
			}
		}
	}
}

// In a bubble of fake time: the wait happens, and one that would pass the deadline does not.
func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := sleep(t.Context(), time.Hour); err != nil || time.Since(start) != time.Hour {
			t.Error(err, time.Since(start))
		}
	})
	ctx := testContext(t)
	start := time.Now()
	if err := sleep(ctx, time.Hour); err == nil || time.Since(start) > 5*time.Second {
		t.Error(err, time.Since(start))
	}
}

// A Retry-After that does not fit into the deadline ends the operation at once, as not applied.
func TestRetryAfterBeyondDeadline(t *testing.T) {
	c, s := serve(t, func(c *Config) { c.Timeout = 900 * time.Millisecond }, problem(wire.CodeIdempotencyFull), done(200))
	start := time.Now()
	err := put(testContext(t), c)
	if OutcomeOf(err) != wire.NotApplied || len(s.requests()) != 1 || time.Since(start) > 800*time.Millisecond {
		t.Fatalf("%d requests in %s: %v", len(s.requests()), time.Since(start), err)
	}
	c, s = serve(t, nil, problem(wire.CodeNoLeader), done(200))
	start = time.Now()
	if err := put(testContext(t), c); err != nil || len(s.requests()) != 2 || time.Since(start) < time.Second {
		t.Fatalf("%d requests in %s: %v", len(s.requests()), time.Since(start), err)
	}
}
