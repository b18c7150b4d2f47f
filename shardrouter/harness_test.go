package shardrouter_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/node"
	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/wire"
)

// quick are timings for tests: elections within a few hundred milliseconds.
func quick() controller.Tuning {
	t := controller.DefaultTuning()
	t.HeartbeatTimeout, t.ElectionTimeout, t.LeaderLeaseTimeout = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	t.ConfirmTimeout = 300 * time.Millisecond
	return t
}

// cluster is a dev cluster, three shards of three replicas, shared by the tests that don't break it.
type cluster struct {
	dev    *node.Dev
	folder string
	spec   *description
}

var shared = struct {
	sync.Mutex
	c *cluster
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.c != nil {
		if err := shared.c.close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing the cluster:", err)
			code = 1
		}
	}
	if left := leftBehind(); code == 0 && left != "" {
		fmt.Fprintln(os.Stderr, "goroutines are left behind:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leftBehind gives the stacks of goroutines that the routers and replicas did not join; they get a moment to end.
func leftBehind() string {
	for deadline := time.Now().Add(5 * time.Second); ; <-time.After(20 * time.Millisecond) {
		all := make([]byte, 4<<20)
		all = all[:runtime.Stack(all, true)]
		left := ""
		for stack := range strings.SplitSeq(string(all), "\n\n") {
			if !strings.Contains(stack, "TestMain") && (strings.Contains(stack, "kvorum/shardrouter.") || strings.Contains(stack, "kvorum/replica.")) {
				left += stack + "\n\n"
			}
		}
		if left == "" || time.Now().After(deadline) {
			return left
		}
	}
}

func sharedCluster(t *testing.T) *cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.c == nil {
		folder, err := os.MkdirTemp("", "kvorum-router-test-")
		if err != nil {
			t.Fatal(err)
		}
		shared.c = openCluster(t, folder, 3, 3, controller.DefaultTuning())
	}
	return shared.c
}

// ownCluster is one that the test may break.
func ownCluster(t *testing.T, shards, replicas int) *cluster {
	t.Helper()
	c := openCluster(t, t.TempDir(), shards, replicas, quick())
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Log("closing the cluster:", err)
		}
	})
	return c
}

func openCluster(t *testing.T, folder string, shards, replicas int, tuning controller.Tuning) *cluster {
	t.Helper()
	dev, err := node.OpenDev(context.Background(), node.DevConfig{
		Listen: "127.0.0.1:0", DataDir: folder, Shards: shards, Replicas: replicas, Tuning: tuning, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{dev: dev, folder: folder, spec: loadDescription(t)}
	eventually(t, "the cluster is ready", func() error {
		for _, base := range c.bases() {
			response, err := http.Get(base + "/v1/health/ready")
			if err != nil {
				return err
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s", base, body)
			}
		}
		return nil
	})
	return c
}

func (c *cluster) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := c.dev.Close(ctx)
	if c.folder != "" {
		_ = os.RemoveAll(c.folder)
	}
	return err
}

// front is the router in front of all nodes.
func (c *cluster) front() string { return "http://" + c.dev.APIAddress() }

// base is the API of one node.
func (c *cluster) base(n *node.Node) string { return "http://" + n.APIAddress() }

// bases are all APIs: the router's, then the nodes'.
func (c *cluster) bases() []string {
	all := []string{c.front()}
	for _, n := range c.dev.Nodes {
		all = append(all, c.base(n))
	}
	return all
}

// shard are the nodes of a shard.
func (c *cluster) shard(shard uint32) []*node.Node {
	var nodes []*node.Node
	for _, n := range c.dev.Nodes {
		if n.Controller().Shard() == shard {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// leader waits until a shard has a leader.
func (c *cluster) leader(t *testing.T, shard uint32) *node.Node {
	t.Helper()
	var leader *node.Node
	eventually(t, fmt.Sprintf("shard %d has a leader", shard), func() error {
		for _, n := range c.shard(shard) {
			if n.Controller().Leading() {
				leader = n
				return nil
			}
		}
		return fmt.Errorf("none")
	})
	return leader
}

func (c *cluster) follower(t *testing.T, shard uint32) *node.Node {
	t.Helper()
	leader := c.leader(t, shard)
	for _, n := range c.shard(shard) {
		if n != leader {
			return n
		}
	}
	t.Fatal("no follower")
	return nil
}

// eventually waits for a condition, asking every few milliseconds.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time: %v", what, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// request is one request, path and all as it goes over the wire.
type request struct {
	method string
	base   string
	path   string // escaped, with query
	header map[string]string
	body   []byte
	chunks bool // without Content-Length
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and checks what must hold of every reply: its outcome, its id, that it is never 421, and that the
// description of the API knows it.
func (c *cluster) do(t *testing.T, q request) reply {
	t.Helper()
	r, err := c.try(q)
	if err != nil {
		t.Fatalf("%s %s: %v", q.method, q.path, err)
	}
	c.spec.check(t, q, r)
	return r
}

func (c *cluster) try(q request) (reply, error) {
	base, err := url.Parse(q.base)
	if err != nil {
		return reply{}, err
	}
	path, query, _ := strings.Cut(q.path, "?")
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	if q.chunks {
		body = io.MultiReader(body)
	}
	httpReq, err := http.NewRequest(q.method, q.base, body)
	if err != nil {
		return reply{}, err
	}
	httpReq.URL = &url.URL{Scheme: base.Scheme, Host: base.Host, Opaque: path, RawQuery: query}
	for name, value := range q.header {
		httpReq.Header[name] = append(httpReq.Header[name], value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(httpReq)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, text}, err
}

func (c *cluster) put(t *testing.T, base, key string, value string) reply {
	t.Helper()
	r := c.do(t, request{method: "PUT", base: base, path: keyPath(key), body: []byte(value)})
	if r.status != http.StatusCreated && r.status != http.StatusOK {
		t.Fatalf("PUT %q: %d %s", key, r.status, r.body)
	}
	return r
}

func (c *cluster) get(t *testing.T, base, key string) reply {
	t.Helper()
	return c.do(t, request{method: "GET", base: base, path: keyPath(key)})
}

// keyPath percent-encodes every byte of a key.
func keyPath(key string) string {
	var path strings.Builder
	path.WriteString("/v1/kv/")
	for i := 0; i < len(key); i++ {
		fmt.Fprintf(&path, "%%%02X", key[i])
	}
	return path.String()
}

// raw sends bytes and returns the reply's bytes: for what no client library would send.
func raw(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func wantStatus(t *testing.T, r reply, status int, outcome wire.Outcome) {
	t.Helper()
	if r.status != status || r.header.Get(wire.HeaderOutcome) != string(outcome) {
		t.Fatalf("got %d %s, want %d %s; body %.300s", r.status, r.header.Get(wire.HeaderOutcome), status, outcome, r.body)
	}
}
