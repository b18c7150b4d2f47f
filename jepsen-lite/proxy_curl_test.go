//go:build deploy

package jepsenlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// curlRun is one process of curl that writes one key after the other, all of one slot, by itself repeating what it does by
// itself. It sends no X-Request-Id: HAProxy gives each request that it gets one of its own, so two lines of its log with one
// path and two ids are a request that the client repeated.
type curlRun struct {
	name     string
	slot     byte
	requests int
	keyed    bool     // each write under an Idempotency-Key
	options  []string // more lines of curl's configuration, for each request

	cmd      *exec.Cmd
	out, err strings.Builder
}

func (c *curlRun) path(i int) string { return fmt.Sprintf("/v1/kv/%s-%d-%%%02X", c.name, i, c.slot) }

// start starts curl. One process, so that it uses its connection again.
func (c *curlRun) start(ctx context.Context, t *testing.T, folder, address string) {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		skip(t, "curl is missing (Debian package curl)")
	}
	file := filepath.Join(folder, c.name+".curl")
	var config strings.Builder
	for i := range c.requests {
		if i > 0 {
			config.WriteString("next\n")
		}
		// verbose: curl tells each request that it sends. output: a file that it can empty for a repeat, which /dev/null is not.
		fmt.Fprintf(&config, "url = \"http://%s%s\"\nrequest = PUT\ndata = \"%s-%d\"\nhttp2\nsilent\nverbose\nmax-time = 30\noutput = \"%s.reply\"\nwrite-out = \"%d %%{http_code} %%header{kvorum-outcome}\\n\"\n", address, c.path(i), c.name, i, file, i)
		if c.keyed {
			fmt.Fprintf(&config, "header = \"Idempotency-Key: %s-%d\"\n", c.name, i)
		}
		for _, line := range c.options {
			config.WriteString(line + "\n")
		}
	}
	check(t, os.WriteFile(file, []byte(config.String()), 0o600))
	c.cmd = exec.CommandContext(ctx, curl, "-K", file)
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	check(t, c.cmd.Start())
}

// begun is nil once HAProxy has answered the run's first write.
func (c *curlRun) begun(h *cluster.HAProxy) error {
	log, err := h.Log()
	if err != nil {
		return err
	}
	for _, all := range log {
		if slices.ContainsFunc(all, func(line cluster.Access) bool { return line.Path == c.path(0) }) {
			return nil
		}
	}
	return errors.New("it has not begun")
}

// curlCount is what became of a run.
type curlCount struct {
	sent             int // requests that curl sent: what is more than the run has, it repeated
	got              int // requests in HAProxy's log. 2.6 writes no line when it ends the connection without a reply
	repeated         int // of those got, by path
	applied, unclear int // by the outcome that HAProxy saw of each
	acked            int // to curl
	executed         int // as the state machine counts: the slot's revision
}

// count waits for curl to end and counts.
func (c *curlRun) count(ctx context.Context, t *testing.T, h *cluster.HAProxy) (n curlCount) {
	t.Helper()
	_ = c.cmd.Wait() // says whether its last request got a reply
	mark, err := h.Front.Do(ctx, http.MethodPut, fmt.Sprintf("/v1/kv/%s-mark-%%%02X", c.name, c.slot), []byte("v"), wire.HeaderRequestID, "mark-"+c.name)
	check(t, err)
	if mark.Outcome() != wire.Applied {
		t.Fatal(mark)
	}
	n.executed = int(mark.Revision()) - 1
	n.sent = strings.Count(c.err.String(), "> PUT ")
	n.acked = strings.Count(c.out.String(), " applied\n")
	var log map[string][]cluster.Access
	check(t, cluster.WaitFor(ctx, "HAProxy's log", func(context.Context) (err error) {
		if log, err = h.Log(); err == nil && len(log["mark-"+c.name]) == 0 {
			err = errors.New("the last line is missing")
		}
		return err
	}))
	lines := map[string]int{} // by path
	for i := range c.requests {
		lines[c.path(i)] = 0
	}
	for id, all := range log {
		for _, line := range all {
			if _, mine := lines[line.Path]; !mine {
				continue
			}
			lines[line.Path]++
			n.got++
			switch wire.Outcome(line.Outcome) {
			case wire.Applied:
				n.applied++
			case wire.NotApplied:
			default:
				n.unclear++
			}
			if len(all) != 1 || len(id) != len("01234567-89ab-cdef-0123-456789abcdef") {
				t.Errorf("request id %q, which HAProxy made, stands in %d lines of its log", id, len(all))
			}
		}
	}
	for _, times := range lines {
		n.repeated += max(0, times-1)
	}
	return n
}

// TestCurlRepeatsByItself: a connection dies with the reply to a write on it, between HAProxy and curl. curl sends the write
// again: by itself when the connection had been used before, or told to by --retry. HAProxy's log shows that it was the client:
// two requests with two ids. Without an Idempotency-Key both are executed; under one, one is.
func TestCurlRepeatsByItself(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	p := startProxied(ctx, t, calm()...)
	retry := []string{"retry = 5", "retry-all-errors", "retry-delay = 1", "header = \"Connection: close\""}
	for _, test := range []struct {
		curlRun
		cut  func(n int) bool // which replies, counted over all connections
		once bool             // each write is executed once
	}{
		// Two replies pass, so the one that is cut is never the first on its connection.
		{curlRun{name: "plain", slot: 'A', requests: 60}, func(n int) bool { return n%3 == 2 }, false},
		{curlRun{name: "keyed", slot: 'D', requests: 60, keyed: true}, func(n int) bool { return n%3 == 2 }, true},
		// A connection for each request: only --retry repeats then, after a pause.
		{curlRun{name: "plain-retry", slot: 'G', requests: 6, options: retry}, func(n int) bool { return n%2 == 0 }, false},
		{curlRun{name: "keyed-retry", slot: 'J', requests: 6, options: retry, keyed: true}, func(n int) bool { return n%2 == 0 }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			relay := startRelay(t, p.h.Front.API, test.cut)
			c := &test.curlRun
			c.start(ctx, t, p.h.Folder, relay.address())
			n := c.count(ctx, t, p.h)
			cuts := int(relay.cuts.Load())
			t.Logf("%d writes, %d replies cut: HAProxy got %d requests, %d of them curl's own repeats; %d acknowledged, %d executed", c.requests, cuts, n.got, n.repeated, n.acked, n.executed)
			want := n.got
			if test.once {
				want = c.requests
			}
			if cuts == 0 || n.repeated != cuts || n.sent != n.got || n.got != c.requests+cuts || n.acked != c.requests || n.executed != want {
				t.Errorf("want %d repeats, %d requests, %d acknowledged, %d executed", cuts, c.requests+cuts, c.requests, want)
			}
		})
	}
}

// relay passes HTTP between one client and HAProxy, and loses some replies: it gets the whole reply, and ends the client's
// connection instead.
type relay struct {
	listener net.Listener
	cut      func(n int) bool
	replies  atomic.Int64
	cuts     atomic.Int64
	done     sync.WaitGroup
}

func startRelay(t *testing.T, to string, cut func(n int) bool) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	r := &relay{listener: listener, cut: cut}
	r.done.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			r.done.Go(func() { r.carry(client, to) })
		}
	})
	t.Cleanup(func() {
		check(t, listener.Close())
		r.done.Wait()
	})
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

// carry ends when the client closes, HAProxy does, or a reply is lost.
func (r *relay) carry(client net.Conn, to string) {
	defer client.Close()
	proxy, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer proxy.Close()
	r.done.Go(func() {
		_, _ = io.Copy(proxy, client)
		proxy.Close()
	})
	replies := bufio.NewReader(proxy)
	for {
		response, err := http.ReadResponse(replies, nil)
		if err != nil {
			return
		}
		whole, err := httputil.DumpResponse(response, true)
		response.Body.Close()
		if err != nil {
			return
		}
		if r.cut(int(r.replies.Add(1)) - 1) {
			r.cuts.Add(1)
			return
		}
		if _, err := client.Write(whole); err != nil {
			return
		}
	}
}

// TestCurlThroughHAProxy: leaders die under curl's writes. What is executed more often than acknowledged, curl had sent again by
// itself: HAProxy repeats nothing. Under an Idempotency-Key every write is executed exactly once, however often curl sent it.
func TestCurlThroughHAProxy(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	p := startProxied(ctx, t)
	plain := &curlRun{name: "curl-plain", slot: 'A', requests: 2000}
	keyed := &curlRun{name: "curl-keyed", slot: 'D', requests: 2000, keyed: true, options: []string{"retry = 20", "retry-all-errors", "retry-delay = 1"}}
	const shard = 'A' % 3 // of both
	runs := []*curlRun{plain, keyed}
	for _, c := range runs {
		c.start(ctx, t, p.h.Folder, p.h.Front.API)
	}
	for _, c := range runs { // a curl that starts slowly would find the next leader, and be done before it dies
		check(t, cluster.WaitFor(ctx, "the first write of "+c.name, func(context.Context) error { return c.begun(p.h) }))
	}
	for kill := range 3 {
		leader, err := p.Leader(ctx, shard)
		check(t, err)
		check(t, p.waitPushed(ctx, shard, leader.Name))
		// Stopped first: then each curl is sure to have a write there when it dies.
		check(t, leader.Pause(ctx))
		check(t, cluster.WaitFor(ctx, "a write of each curl at the leader", func(ctx context.Context) error {
			for _, c := range runs {
				if err := c.cmd.Process.Signal(syscall.Signal(0)); err != nil {
					t.Fatalf("%s had ended before kill %d: %v", c.name, kill, err)
				}
			}
			n, err := p.h.Sessions(ctx, fmt.Sprintf("kv_s%d_w", shard), leader.Name)
			if err == nil && n < len(runs) {
				err = fmt.Errorf("%d are", n)
			}
			return err
		}))
		check(t, leader.Kill())
		_, _ = p.nextLeader(ctx, t, leader)
		check(t, leader.Start())
		check(t, leader.WaitReady(ctx))
	}
	for _, c := range runs {
		n := c.count(ctx, t, p.h)
		unlogged := n.sent - n.got
		t.Logf("%s: %d writes, %d sent again by curl itself; of all that were sent HAProxy logged %d, %d of unknown outcome; %d acknowledged, %d executed", c.name, c.requests, n.sent-c.requests, n.got, n.unclear, n.acked, n.executed)
		if !c.keyed && (n.executed < n.applied || n.executed > n.applied+n.unclear+unlogged || n.acked < c.requests/2) {
			t.Errorf("%s: %d executed; HAProxy saw %d applied, %d of unknown outcome, and ended %d without a word", c.name, n.executed, n.applied, n.unclear, unlogged)
		}
		if c.keyed && (n.executed != c.requests || n.acked != c.requests || n.sent == c.requests) {
			t.Errorf("%s: %d executed, %d acknowledged, %d sent: want all exactly once, and some sent again", c.name, n.executed, n.acked, n.sent)
		}
	}
}
