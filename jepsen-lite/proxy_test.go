//go:build deploy

package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

const haproxyFolder = "../haproxy"

// newHAProxy puts a HAProxy with the project's configuration in front of c, not started. Without haproxy the test skips.
func newHAProxy(t *testing.T, c *cluster.Cluster) *cluster.HAProxy {
	t.Helper()
	h, err := c.NewHAProxy(haproxyFolder)
	if errors.Is(err, cluster.ErrNoHAProxy) {
		skip(t, err.Error())
	}
	check(t, err)
	closeSide(t, &h.Side)
	return h
}

// newRouter makes a router that keeps h in step, not started.
func newRouter(t *testing.T, c *cluster.Cluster, h *cluster.HAProxy) *cluster.Router {
	t.Helper()
	r, err := c.NewRouter(h)
	check(t, err)
	closeSide(t, &r.Side)
	return r
}

func closeSide(t *testing.T, s *cluster.Side) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(s.LogFile)
		if t.Failed() && err == nil {
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			t.Logf("--- %s\n%s", s.LogFile, strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
}

// proxied is a whole deployment of processes: 3 shards of 3, HAProxy in front, and a router.
type proxied struct {
	*cluster.Cluster
	h *cluster.HAProxy
	r *cluster.Router
}

func startProxied(ctx context.Context, t *testing.T, flags ...string) *proxied {
	t.Helper()
	p := newProxied(t, flags...)
	p.start(ctx, t)
	return p
}

// newProxied starts nothing yet: a test may change the configuration first.
func newProxied(t *testing.T, flags ...string) *proxied {
	t.Helper()
	c := newCluster(t, 3, 3, flags...)
	p := &proxied{Cluster: c, h: newHAProxy(t, c)}
	p.r = newRouter(t, c, p.h)
	check(t, p.h.Replace("\nglobal\n", "\nglobal\n    nbthread 1\n")) // several threads drop lines of the log now and then
	return p
}

func (p *proxied) start(ctx context.Context, t *testing.T) {
	t.Helper()
	check(t, p.Start(ctx))
	p.startFront(ctx, t)
}

// calm are timings under which no leader is lost because the machine is busy: for tests in which every write must succeed.
func calm() []string {
	return []string{"--heartbeat-timeout=2s", "--election-timeout=2s", "--leader-lease-timeout=1500ms"}
}

// startFront starts HAProxy and the router, and waits until both see everybody.
func (p *proxied) startFront(ctx context.Context, t *testing.T) {
	t.Helper()
	check(t, p.h.Start())
	check(t, p.r.Start())
	check(t, cluster.WaitFor(ctx, "the router", func(ctx context.Context) error {
		return errors.Join(p.r.Alive(), p.r.Front.Health(ctx, "ready"))
	}))
	check(t, p.h.WaitUp(ctx, p.Shards(), 3))
}

// keyOf is a key of a shard, one of many.
func keyOf(shard uint32, name string) string { return name + string(rune('a'+(shard+3-'a'%3)%3)) }

func TestKeyOf(t *testing.T) {
	for shard := range uint32(3) {
		if key := keyOf(shard, "k"); uint32(key[1])%3 != shard {
			t.Errorf("key %q is not of shard %d", key, shard)
		}
	}
}

// TestHAProxyConfiguration: valid, without a warning, also where no name resolves.
func TestHAProxyConfiguration(t *testing.T) {
	c := newCluster(t, 3, 3)
	h := newHAProxy(t, c)
	ctx := within(t, 20*time.Second)
	check(t, h.Check(ctx))
	for _, n := range c.Nodes {
		h.SetEnv("KVORUM_LB_" + strings.ToUpper(n.Name) + "=" + n.Name + ".invalid:8080")
	}
	h.SetEnv("KVORUM_LB_INIT_ADDR=none")
	check(t, h.Check(ctx))
	check(t, h.Replace("    timeout connect 200ms", "    #"))
	if err := h.Check(ctx); err == nil {
		t.Error("a configuration that HAProxy warns of passes")
	}
}

// TestHAProxyStartsBeforeTheNodes: no node, no name that resolves. It starts, says 503 and not-applied, and sees the nodes when
// they come.
func TestHAProxyStartsBeforeTheNodes(t *testing.T) {
	ctx := within(t, time.Minute)
	c := newCluster(t, 3, 3)
	h := newHAProxy(t, c)
	h.SetEnv("KVORUM_LB_S2N2=no-such-name.invalid:8080")
	check(t, h.Start())
	var reply *cluster.Reply
	check(t, cluster.WaitFor(ctx, "HAProxy to answer", func(ctx context.Context) (err error) {
		if err := h.Alive(); err != nil {
			return err
		}
		if reply, err = h.Front.Put(ctx, "early", "bird", wire.HeaderRequestID, "early-1"); err == nil && !strings.Contains(string(reply.Body), "early-1") {
			return fmt.Errorf("no request id in the body of %s", reply) // servers count as up until they were checked
		}
		return err
	}))
	problem := wantProblem(t, reply, http.StatusServiceUnavailable, wire.NotApplied)
	if problem.Request != "early-1" || reply.Header.Get(wire.HeaderRequestID) != "early-1" || reply.Header.Get("Retry-After") != "1" {
		t.Errorf("%s, headers %v: want the request id and Retry-After", reply, reply.Header)
	}
	ops := func(path string, want int) { // waits: servers count as up until they were checked
		t.Helper()
		check(t, cluster.WaitFor(ctx, "HAProxy to answer "+path, func(context.Context) error {
			response, err := http.Get("http://" + h.Ops + path)
			if err != nil {
				return err
			}
			response.Body.Close()
			if response.StatusCode != want {
				return fmt.Errorf("%s, want %d", response.Status, want)
			}
			return nil
		}))
	}
	ops("/healthz", 200)
	ops("/readyz", 503)
	check(t, c.Start(ctx))
	check(t, cluster.WaitFor(ctx, "a write through HAProxy", func(ctx context.Context) error {
		reply, err := h.Front.Put(ctx, "early", "bird")
		if err == nil && reply.Outcome() != wire.Applied {
			err = errors.New(reply.String())
		}
		return err
	}))
	for _, path := range []string{"/readyz", "/metrics", "/stats", "/healthz"} {
		ops(path, 200)
	}
}
