package shardrouter_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// The rule: a write is sent again only after proof that it had no effect.

func TestWriteFollowsTheHint(t *testing.T) {
	f := newFakeCluster(t, 3, nil)
	f.lead(0)
	f.nodes[0].set(func() { f.nodes[0].key = refuse(wire.CodeMisdirected, "s0n2") })
	f.nodes[2].set(func() { f.nodes[2].key = f.nodes[2].accept })
	r := f.do(t, "PUT", "/v1/kv/x", nil)
	wantStatus(t, r, 200, wire.Applied)
	if r.header.Get(wire.HeaderNode) != "s0n2" || f.writes() != 2 {
		t.Fatalf("answered by %s after %d sends", r.header.Get(wire.HeaderNode), f.writes())
	}
	f.do(t, "PUT", "/v1/kv/x", nil) // the leader is known now
	if f.writes() != 3 {
		t.Fatalf("the second write took %d sends", f.writes()-2)
	}
}

func TestLostReplyOfAWriteIsUnknownAndNotRepeated(t *testing.T) {
	for _, c := range []struct {
		method string
		header map[string]string
	}{
		{"PUT", nil}, {"DELETE", nil},
		{"PUT", map[string]string{wire.HeaderIdempotencyKey: "key"}}, {"DELETE", map[string]string{wire.HeaderIdempotencyKey: "key"}},
	} {
		f := newFakeCluster(t, 3, nil)
		f.lead(0)
		for _, n := range f.nodes {
			n.set(func() { n.key = n.accept })
		}
		wantApplied := f.do(t, c.method, "/v1/kv/x", c.header) // a connection to use again
		if wantApplied.header.Get(wire.HeaderOutcome) != "applied" {
			t.Fatalf("%d %s", wantApplied.status, wantApplied.body)
		}
		f.nodes[0].set(func() { f.nodes[0].key = vanish })
		r := f.do(t, c.method, "/v1/kv/x", c.header)
		wantStatus(t, r, 504, wire.Unknown)
		if f.writes() != 2 {
			t.Fatalf("%s %v: sent %d times, want once and once", c.method, c.header, f.writes())
		}
	}
}

// TestSilentLeader: it took the write and says nothing. That is unknown, after the request's time, whatever others say.
func TestSilentLeader(t *testing.T) {
	f := newFakeCluster(t, 3, nil)
	f.lead(0)
	release := make(chan struct{})
	defer close(release)
	f.nodes[0].set(func() { f.nodes[0].key = func(http.ResponseWriter, *http.Request) { <-release } })
	f.nodes[1].set(func() { f.nodes[1].key = f.nodes[1].accept })
	start := time.Now()
	wantStatus(t, f.do(t, "PUT", "/v1/kv/x", nil), 504, wire.Unknown)
	if took := time.Since(start); took < 1900*time.Millisecond {
		t.Fatalf("gave up after %v", took)
	}
	if f.writes() != 1 {
		t.Fatalf("sent %d times", f.writes())
	}
	// A read goes elsewhere.
	f.nodes[2].set(func() { f.nodes[2].key = f.nodes[2].accept })
	wantStatus(t, f.do(t, "GET", "/v1/kv/x", nil), 200, wire.Applied)
}

// TestSilentLeaderIsDoubted: the write that it holds stays with it, but the next ones find the new leader.
func TestSilentLeaderIsDoubted(t *testing.T) {
	f := newFakeCluster(t, 3, func(c *shardrouter.Config) { c.RequestTimeout = 4 * time.Second })
	f.lead(0)
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	f.nodes[0].set(func() {
		f.nodes[0].key = func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-release
			f.nodes[0].accept(w, r)
		}
	})
	f.nodes[1].set(func() { f.nodes[1].key = f.nodes[1].accept })
	first := make(chan reply, 1)
	go func() {
		r, _ := (&cluster{}).try(request{method: "PUT", base: f.server.URL, path: "/v1/kv/x", body: []byte("v")})
		first <- r
	}()
	<-arrived
	f.nodes[0].set(func() { f.nodes[0].role = "follower" })
	f.nodes[1].set(func() { f.nodes[1].role, f.nodes[1].term = "leader", 2 })
	<-time.After(1200 * time.Millisecond) // longer than a leader is trusted without an answer
	r := f.do(t, "PUT", "/v1/kv/x", nil)
	wantStatus(t, r, 200, wire.Applied)
	if r.header.Get(wire.HeaderNode) != "s0n1" {
		t.Fatalf("answered by %s", r.header.Get(wire.HeaderNode))
	}
	close(release)
	wantStatus(t, <-first, 200, wire.Applied)
}

// TestSilentReplicaIsAskedLast: one replica that does not answer costs one read its patience, not every read.
func TestSilentReplicaIsAskedLast(t *testing.T) {
	f := newFakeCluster(t, 3, nil)
	release := make(chan struct{})
	defer close(release)
	f.nodes[0].set(func() { f.nodes[0].key = func(http.ResponseWriter, *http.Request) { <-release } })
	f.nodes[1].set(func() { f.nodes[1].key = f.nodes[1].accept })
	f.nodes[2].set(func() { f.nodes[2].key = f.nodes[2].accept })
	for range 12 {
		wantStatus(t, f.do(t, "GET", "/v1/kv/x", nil), 200, wire.Applied)
		wantStatus(t, f.do(t, "GET", "/v1/kv/x?consistency=stale", nil), 200, wire.Applied)
	}
	if asked := f.nodes[0].reads.Load(); asked != 1 {
		t.Fatalf("the silent replica was asked %d times", asked)
	}
}

func TestUnreachableLeaderIsWaitedFor(t *testing.T) {
	f := newFakeCluster(t, 3, func(c *shardrouter.Config) { c.LeaderWait = 5 * time.Second })
	f.lead(0)
	f.nodes[0].set(func() {
		f.nodes[0].key = f.nodes[0].acceptOnce
	})
	f.nodes[1].set(func() { f.nodes[1].key = f.nodes[1].accept })
	wantStatus(t, f.do(t, "PUT", "/v1/kv/x", nil), 200, wire.Applied)
	f.nodes[0].stop()
	go func() {
		<-time.After(300 * time.Millisecond)
		f.nodes[1].set(func() { f.nodes[1].role, f.nodes[1].term = "leader", 2 })
	}()
	r := f.do(t, "PUT", "/v1/kv/x", nil)
	wantStatus(t, r, 200, wire.Applied)
	if r.header.Get(wire.HeaderNode) != "s0n1" {
		t.Fatalf("answered by %s", r.header.Get(wire.HeaderNode))
	}
}

func TestNoLeader(t *testing.T) {
	f := newFakeCluster(t, 3, nil)
	for _, n := range f.nodes {
		n.set(func() { n.key = refuse(wire.CodeMisdirected, "") })
	}
	start := time.Now()
	r := f.do(t, "PUT", "/v1/kv/x", nil)
	wantStatus(t, r, 503, wire.NotApplied)
	if p := problemIn(t, r); p.Code != wire.CodeNoLeader {
		t.Fatalf("%+v", p)
	}
	if took := time.Since(start); took < 500*time.Millisecond || took > 1800*time.Millisecond {
		t.Fatalf("waited %v, LeaderWait is 600ms", took)
	}
	if f.writes() != 0 {
		t.Fatalf("sent %d times though nobody led", f.writes())
	}
	for _, method := range []string{"GET", "HEAD"} {
		wantStatus(t, f.do(t, method, "/v1/kv/x", nil), 503, wire.NotApplied)
	}
}

// TestHandingOver: the leader refuses while it hands over, and says all the time that it leads. Three hops must not be used
// up on it before the other leads.
func TestHandingOver(t *testing.T) {
	// Half of LeaderWait is far away: from then on the old leader is asked again.
	f := newFakeCluster(t, 3, func(c *shardrouter.Config) { c.LeaderWait, c.RequestTimeout = time.Minute, time.Minute })
	f.lead(0)
	var once sync.Once
	f.nodes[0].set(func() {
		f.nodes[0].key = func(w http.ResponseWriter, r *http.Request) {
			once.Do(func() {
				time.AfterFunc(400*time.Millisecond, func() {
					f.nodes[2].set(func() { f.nodes[2].term = 2 }) // it voted: a leader's term is that of a majority
					f.nodes[1].set(func() { f.nodes[1].role, f.nodes[1].term = "leader", 2 })
				})
			})
			refuse(wire.CodeMisdirected, "")(w, r)
		}
	})
	f.nodes[1].set(func() { f.nodes[1].key = f.nodes[1].accept })
	r := f.do(t, "PUT", "/v1/kv/x", nil)
	wantStatus(t, r, 200, wire.Applied)
	if old := f.nodes[0].writes.Load(); r.header.Get(wire.HeaderNode) != "s0n1" || old != 1 {
		t.Fatalf("answered by %s, the old leader was asked %d times", r.header.Get(wire.HeaderNode), old)
	}
}

// TestHopsAreBounded: nodes that all claim to lead and all refuse.
func TestHopsAreBounded(t *testing.T) {
	f := newFakeCluster(t, 5, func(c *shardrouter.Config) { c.LeaderWait = 10 * time.Second; c.RequestTimeout = 10 * time.Second })
	for i, n := range f.nodes {
		n.set(func() { n.role, n.key = "leader", refuse(wire.CodeMisdirected, fmt.Sprintf("s0n%d", (i+1)%5)) })
	}
	r := f.do(t, "PUT", "/v1/kv/x", nil)
	wantStatus(t, r, 503, wire.NotApplied)
	if f.writes() != wire.MaxHops {
		t.Fatalf("sent %d times, want %d", f.writes(), wire.MaxHops)
	}
}

func TestNobodyIsReachable(t *testing.T) {
	f := newFakeCluster(t, 3, nil)
	f.lead(0)
	f.nodes[0].set(func() { f.nodes[0].key = f.nodes[0].acceptOnce })
	wantStatus(t, f.do(t, "PUT", "/v1/kv/x", nil), 200, wire.Applied)
	for _, n := range f.nodes {
		n.stop()
	}
	for _, method := range []string{"PUT", "DELETE", "GET"} {
		r := f.do(t, method, "/v1/kv/x", nil)
		wantStatus(t, r, 503, wire.NotApplied)
		if p := problemIn(t, r); p.Code != wire.CodeUnreachable && p.Code != wire.CodeNoLeader {
			t.Fatalf("%s: %+v", method, p)
		}
	}
}

// TestOwnersAnswerIsPassedOn: what the owner says is final, whatever it is.
func TestOwnersAnswerIsPassedOn(t *testing.T) {
	for _, code := range []wire.Code{wire.CodePreconditionFailed, wire.CodeOverloaded, wire.CodeIdempotencyMismatch, wire.CodeMemoryQuota, wire.CodeDiskFull, wire.CodeUnknownOutcome} {
		f := newFakeCluster(t, 3, nil)
		f.lead(1)
		for i, n := range f.nodes {
			n.set(func() {
				n.key = n.accept
				if i == 1 {
					n.key = func(w http.ResponseWriter, r *http.Request) {
						n.accept(w, r)
						refuse(code, "")(w, r)
					}
				}
			})
		}
		q := request{method: "PUT", base: f.server.URL, path: "/v1/kv/x", body: []byte("v")}
		r, err := (&cluster{}).try(q)
		if err != nil {
			t.Fatal(err)
		}
		row := wire.Codes[code]
		wantStatus(t, r, row.Status, row.Outcome)
		if f.writes() != 1 || problemIn(t, r).Code != code {
			t.Fatalf("%s: sent %d times, answered %s", code, f.writes(), r.body)
		}
	}
}

// TestRefusedElsewhere: refusals that prove "not applied" are as good as a 421.
func TestRefusedElsewhere(t *testing.T) {
	for _, code := range []wire.Code{wire.CodeNoLeader, wire.CodeNotReady, wire.CodeDraining, wire.CodeDiskStalled} {
		f := newFakeCluster(t, 3, nil)
		f.lead(0)
		f.nodes[0].set(func() {
			f.nodes[0].key = func(w http.ResponseWriter, r *http.Request) {
				f.lead(1)
				refuse(code, "")(w, r)
			}
		})
		f.nodes[1].set(func() { f.nodes[1].key = f.nodes[1].accept })
		wantStatus(t, f.do(t, "PUT", "/v1/kv/x", nil), 200, wire.Applied)
	}
}

func TestReadsGoAnywhere(t *testing.T) {
	f := newFakeCluster(t, 3, nil)
	f.lead(0)
	f.nodes[0].set(func() { f.nodes[0].key = vanish })
	f.nodes[1].set(func() { f.nodes[1].key = refuse(wire.CodeReadTimeout, "") })
	f.nodes[2].set(func() { f.nodes[2].key = f.nodes[2].accept })
	for range 5 {
		r := f.do(t, "GET", "/v1/kv/x", nil)
		wantStatus(t, r, 200, wire.Applied)
		if string(r.body) != "value" {
			t.Fatalf("read %q", r.body)
		}
	}
}

// TestCutValueIsNotTakenForWhole: the owner goes away in the middle of a value.
func TestCutValueIsNotTakenForWhole(t *testing.T) {
	f := newFakeCluster(t, 1, nil)
	f.nodes[0].set(func() {
		f.nodes[0].key = func(w http.ResponseWriter, r *http.Request) {
			f.nodes[0].accept(w, &http.Request{Method: "HEAD"})
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(make([]byte, 50000))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	r, err := (&cluster{}).try(request{method: "GET", base: f.server.URL, path: "/v1/kv/x"})
	if err == nil {
		t.Fatalf("a cut value came as %d with %d bytes", r.status, len(r.body))
	}
}

// TestClientHopsAndLeaderHeadersAreOurs: what only nodes may say to each other is not taken from clients.
func TestForwardedHeaders(t *testing.T) {
	f := newFakeCluster(t, 1, nil)
	f.lead(0)
	var seen atomic.Pointer[http.Header]
	f.nodes[0].set(func() {
		f.nodes[0].key = func(w http.ResponseWriter, r *http.Request) {
			seen.Store(&r.Header)
			f.nodes[0].accept(w, r)
		}
	})
	f.do(t, "PUT", "/v1/kv/x", map[string]string{wire.HeaderHops: "99", wire.HeaderIdempotencyKey: "key-1", "If-Match": "*", wire.HeaderRequestID: "me", wire.HeaderSession: "0:3", "Authorization": "secret", "Connection": "keep-alive"})
	h := *seen.Load()
	for name, want := range map[string]string{wire.HeaderHops: "1", wire.HeaderIdempotencyKey: "key-1", "If-Match": "*", wire.HeaderRequestID: "me", wire.HeaderSession: "0:3", "Authorization": ""} {
		if got := h.Get(name); got != want {
			t.Errorf("%s came as %q, want %q", name, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	f := newFakeCluster(t, 1, func(c *shardrouter.Config) { c.MaxRequests = 2; c.MaxBytes = 64 << 10 })
	f.lead(0)
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	f.nodes[0].set(func() {
		f.nodes[0].key = func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-release
			f.nodes[0].accept(w, r)
		}
	})
	done := make(chan reply, 2)
	for range 2 {
		go func() {
			r, _ := (&cluster{}).try(request{method: "PUT", base: f.server.URL, path: "/v1/kv/x", body: []byte("v")})
			done <- r
		}()
		<-arrived
	}
	r := f.do(t, "GET", "/v1/kv/x", nil)
	wantStatus(t, r, 429, wire.NotApplied)
	wantStatus(t, f.do(t, "GET", "/v1/health/live", nil), 200, wire.Applied)
	close(release)
	for range 2 {
		wantStatus(t, <-done, 200, wire.Applied)
	}
	big, err := (&cluster{}).try(request{method: "PUT", base: f.server.URL, path: "/v1/kv/x", body: make([]byte, 65<<10)})
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, big, 429, wire.NotApplied)
	wantStatus(t, f.do(t, "PUT", "/v1/kv/x", nil), 200, wire.Applied)
}
