package shardrouter_test

import (
	"context"
	"testing"
	"time"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// deaf is an address that takes connections and never says a word, as that of a computer does which has vanished: whoever
// connects learns nothing.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := network.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String() // the kernel accepts, and nobody reads
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := network.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestWriteOutlivesAnElection: the leader that the router knows is gone for good, and the others elect a new one after most
// of the request's time: longer than a lost round of votes takes with the default timings. The write waits for it, however
// the old leader's address fails.
func TestWriteOutlivesAnElection(t *testing.T) {
	const patience = 5 * time.Second
	for name, address := range map[string]string{"refuses": refusing(t), "does not resolve": "s0n0.invalid:7080", "says nothing": deaf(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeCluster(t, 3, func(c *shardrouter.Config) {
				c.RequestTimeout, c.LeaderWait = patience, 0 // the default
				c.Seeds = c.Seeds[1:]
			})
			f.nodes[0].stop()
			for _, n := range f.nodes {
				n.set(func() { n.members[0] = wire.Member{ID: "s0n0", PeerAddress: address} })
			}
			// The first write finds the members at a seed, and is told that s0n0 leads.
			f.nodes[1].set(func() { f.nodes[1].role, f.nodes[1].key = "leader", refuse(wire.CodeMisdirected, "s0n0") })
			f.nodes[2].set(func() { f.nodes[2].key = f.nodes[2].accept })
			elected := time.AfterFunc(patience/2, func() { f.lead(2); f.nodes[2].set(func() { f.nodes[2].term = 2 }) })
			defer elected.Stop()
			start := time.Now()
			time.AfterFunc(100*time.Millisecond, func() { f.nodes[1].set(func() { f.nodes[1].role = "follower" }) })
			r := f.do(t, "PUT", "/v1/kv/x", nil)
			wantStatus(t, r, 200, wire.Applied)
			if took := time.Since(start); r.header.Get(wire.HeaderNode) != "s0n2" || took < patience/2 || took > patience {
				t.Errorf("answered by %s after %v", r.header.Get(wire.HeaderNode), took)
			}
			if f.nodes[2].writes.Load() != 1 {
				t.Errorf("sent %d times", f.nodes[2].writes.Load())
			}
		})
	}
}

// TestNewsCallsOffAnInquiry: a replica that says nothing keeps a round of asking who leads waiting. What waits for it goes on as
// soon as there is news.
func TestNewsCallsOffAnInquiry(t *testing.T) {
	f := newFakeCluster(t, 3, func(c *shardrouter.Config) { c.Seeds = c.Seeds[1:] })
	silent := deaf(t)
	for _, n := range f.nodes {
		n.set(func() { n.members[0] = wire.Member{ID: "s0n0", PeerAddress: silent} })
	}
	wantStatus(t, f.do(t, "PUT", "/v1/kv/x", nil), 503, wire.NotApplied) // finds the members at a seed
	ask := func(news chan struct{}) time.Duration {
		start := time.Now()
		if node := f.router.FindLeader(t.Context(), 0, news); node != "" {
			t.Errorf("%s leads", node)
		}
		return time.Since(start)
	}
	whole := ask(make(chan struct{}))
	news := make(chan struct{})
	close(news)
	if short := ask(news); short > whole/2 {
		t.Errorf("asking took %v, and with news %v", whole, short)
	}
}

// TestOldLeaderIsNotTheShard: two of three replicas answer, though nobody leads and the old leader is gone: the refusal must
// not say that no replica could be reached.
func TestOldLeaderIsNotTheShard(t *testing.T) {
	f := newFakeCluster(t, 3, nil)
	f.lead(0)
	f.nodes[0].set(func() { f.nodes[0].key = f.nodes[0].acceptOnce })
	wantStatus(t, f.do(t, "PUT", "/v1/kv/x", nil), 200, wire.Applied)
	f.nodes[0].stop()
	r := f.do(t, "PUT", "/v1/kv/x", nil)
	wantStatus(t, r, 503, wire.NotApplied)
	if p := problemIn(t, r); p.Code != wire.CodeNoLeader {
		t.Errorf("%+v", p)
	}
}
