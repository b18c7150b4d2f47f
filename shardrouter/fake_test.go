package shardrouter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// fakeNode speaks the peer protocol for real and answers as a test scripts it: for what real nodes do only in bad luck.
type fakeNode struct {
	id      string
	shard   uint32
	address string
	server  *peer.Server
	http    *http.Server

	mu      sync.Mutex
	role    string
	term    uint64
	members []wire.Member
	table   wire.Table
	key     http.HandlerFunc // requests for keys
	batch   http.HandlerFunc
	rows    http.HandlerFunc
	other   map[string]http.HandlerFunc // by path

	writes, reads atomic.Int64 // requests for keys that came
}

func newFakeNode(t *testing.T, id string, shard uint32) *fakeNode {
	t.Helper()
	l, err := network.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &fakeNode{id: id, shard: shard, address: l.Addr().String(), role: "follower", term: 1}
	n.serve(l)
	t.Cleanup(n.stop)
	return n
}

func (n *fakeNode) serve(l net.Listener) {
	n.server = peer.Serve(l, func() peer.Identity {
		return peer.Identity{Cluster: "fake", Shard: n.shard, Node: n.id, Disk: "d" + n.id}
	}, nil, nil)
	n.http = &http.Server{Handler: http.HandlerFunc(n.handle)}
	go n.http.Serve(n.server.Listener(peer.API))
}

// stop makes the node unreachable.
func (n *fakeNode) stop() {
	n.http.Close()
	n.server.Close()
}

func (n *fakeNode) handle(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	role, term, members, table, key, batch, rows, other := n.role, n.term, n.members, n.table, n.key, n.batch, n.rows, n.other[r.URL.Path]
	n.mu.Unlock()
	w.Header().Set(wire.HeaderOutcome, string(wire.Applied))
	switch {
	case r.URL.Path == "/v1/shard/status":
		_ = json.NewEncoder(w).Encode(wire.NodeStatus{Node: n.id, Cluster: "fake", Shard: n.shard, Role: role, Term: term, Members: members, Ready: true, Disk: "ok"})
	case r.URL.Path == "/v1/shard/table" && table.Version > 0:
		if wait := r.URL.Query().Get("wait"); r.URL.Query().Get("after") == fmt.Sprint(table.Version) && wait != "0s" {
			<-r.Context().Done() // a poll that misses the change: only asking anew helps
			return
		}
		_ = json.NewEncoder(w).Encode(table)
	case r.URL.Path == "/v1/shard/batch" && batch != nil:
		batch(w, r)
	case r.URL.Path == "/v1/shard/kv" && rows != nil:
		rows(w, r)
	case len(r.URL.Path) > 7 && r.URL.Path[:7] == "/v1/kv/" && key != nil:
		if r.Method == "PUT" || r.Method == "DELETE" {
			n.writes.Add(1)
		} else {
			n.reads.Add(1)
		}
		key(w, r)
	case other != nil:
		other(w, r)
	default:
		refuse(wire.CodeNotReady, "")(w, r)
	}
}

func (n *fakeNode) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

// refuse answers with a problem body and, if there is one, a leader hint.
func refuse(code wire.Code, leader string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if leader != "" {
			w.Header().Set(wire.HeaderLeader, leader)
		}
		wire.NewProblem(code, "scripted").Write(w)
	}
}

// accept answers as a replica that applied the write, or has the key.
func (n *fakeNode) accept(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, value := range map[string]string{wire.HeaderNode: n.id, wire.HeaderShard: fmt.Sprint(n.shard), wire.HeaderEpoch: "1", wire.HeaderTerm: "1", wire.HeaderIndex: "7",
		wire.HeaderConsistency: "linearizable; leader", wire.HeaderSession: fmt.Sprintf("%d:7", n.shard), "ETag": `"3"`, wire.HeaderOutcome: "applied"} {
		h.Set(name, value)
	}
	if r.Method == "DELETE" {
		h.Del("ETag")
		w.WriteHeader(http.StatusNoContent)
	}
	if r.Method == "GET" {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Length", "5")
		_, _ = w.Write([]byte("value"))
	}
}

// acceptOnce accepts and ends the connection: else it may be used again before its end is seen, and that is unknown.
func (n *fakeNode) acceptOnce(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	n.accept(w, r)
}

// vanish cuts the connection without an answer, after the whole request has come.
func vanish(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// fakeCluster is one shard of fake nodes and a standalone router in front.
type fakeCluster struct {
	nodes  []*fakeNode
	router *shardrouter.Router
	server *httptest.Server
	spec   *description
}

func newFakeCluster(t *testing.T, replicas int, change func(*shardrouter.Config)) *fakeCluster {
	t.Helper()
	f := &fakeCluster{spec: loadDescription(t)}
	var seeds []string
	var members []wire.Member
	for i := range replicas {
		n := newFakeNode(t, fmt.Sprintf("s0n%d", i), 0)
		f.nodes = append(f.nodes, n)
		seeds = append(seeds, n.address)
		members = append(members, wire.Member{ID: n.id, PeerAddress: n.address})
	}
	for _, n := range f.nodes {
		n.set(func() { n.members = members })
	}
	cfg := shardrouter.Config{
		Self: peer.Identity{Cluster: "fake", Node: "router-test"}, Seeds: seeds, ShardCount: 1,
		RequestTimeout: 2 * time.Second, LeaderWait: 600 * time.Millisecond, ReadAttempt: 300 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	f.router = shardrouter.New(cfg)
	f.server = httptest.NewServer(f.router.Handler())
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeCluster) do(t *testing.T, method, path string, header map[string]string) reply {
	t.Helper()
	q := request{method: method, base: f.server.URL, path: path, header: header}
	if method == "PUT" || method == "POST" {
		q.body = []byte("value")
	}
	r, err := (&cluster{}).try(q)
	if err != nil {
		t.Fatal(err)
	}
	f.spec.check(t, q, r)
	return r
}

func (f *fakeCluster) lead(i int) {
	for j, n := range f.nodes {
		n.set(func() {
			n.role = "follower"
			if i == j {
				n.role = "leader"
			}
		})
	}
}

func (f *fakeCluster) writes() (total int64) {
	for _, n := range f.nodes {
		total += n.writes.Load()
	}
	return total
}

func problemIn(t *testing.T, r reply) wire.Problem {
	t.Helper()
	var p wire.Problem
	if err := json.NewDecoder(bytes.NewReader(r.body)).Decode(&p); err != nil {
		t.Fatalf("%d: no problem body: %q", r.status, r.body)
	}
	return p
}
