package shardrouter_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// TestLeaderKeepsRefusing: the local leader refuses at once, over and over, as one with a stalled disk does.
func TestLeaderKeepsRefusing(t *testing.T) {
	c := ownCluster(t, 1, 1)
	leader := c.leader(t, 0).Controller()
	const wait = 600 * time.Millisecond
	router := shardrouter.New(shardrouter.Config{
		Self: peer.Identity{Cluster: "dev", Node: leader.Node()}, Local: replica.New(leader, replica.Options{}), ShardCount: 1, LeaderWait: wait,
	})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	attempts := 0
	start := time.Now()
	err := router.Write(ctx, 0, func(local bool) error {
		attempts++
		if !local {
			t.Error("sent to another node")
		}
		return replica.Failure(wire.CodeDiskStalled, "scripted")
	})
	if took := time.Since(start); took < wait/2 || took > 3*wait || attempts < 2 || attempts > 20 {
		t.Errorf("%d attempts in %v, LeaderWait is %v", attempts, took, wait)
	}
	if replica.AsError(err).Code != wire.CodeDiskStalled {
		t.Errorf("answered %v", err)
	}
}

// hastyListener makes all write deadlines short: the real ones are too long for a test.
type hastyListener struct{ net.Listener }

type hastyConn struct{ net.Conn }

func (l hastyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	_ = conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
	return hastyConn{conn}, nil
}

func (c hastyConn) SetWriteDeadline(at time.Time) error {
	if !at.IsZero() {
		at = time.Now().Add(300 * time.Millisecond)
	}
	return c.Conn.SetWriteDeadline(at)
}

// TestClientsThatDoNotRead: they must not keep the places of others. The values come from this process and from another node.
func TestClientsThatDoNotRead(t *testing.T) {
	const places, size = 2, 16 << 20 // more than the sockets' buffers take
	value := make([]byte, size)
	f := newFakeCluster(t, 1, func(c *shardrouter.Config) { c.MaxRequests = places })
	f.nodes[0].set(func() {
		f.nodes[0].key = func(w http.ResponseWriter, r *http.Request) {
			f.nodes[0].accept(w, &http.Request{Method: "HEAD"})
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(value)
		}
	})
	local := replica.Reply{Status: http.StatusOK, Outcome: wire.Applied, Value: value}
	limiter := replica.NewLimiter(places, 1)
	for name, handler := range map[string]http.Handler{"forwarded": f.router.Handler(), "local": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := limiter.Enter(); err != nil {
			replica.Fail(w, err)
			return
		}
		defer limiter.Leave()
		local.Write(w, replica.Get, nil)
	})} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(handler)
			server.Listener = hastyListener{server.Listener}
			server.Start()
			defer server.Close()
			for range places {
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
				if _, err := io.WriteString(conn, "GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // it has its place
					t.Fatal(err)
				}
			}
			client := http.Client{Timeout: 5 * time.Second}
			refusals := 0
			eventually(t, "a reader gets its value", func() error {
				response, err := client.Get(server.URL + "/v1/kv/x")
				if err != nil {
					return err
				}
				defer response.Body.Close()
				n, err := io.Copy(io.Discard, response.Body)
				if response.StatusCode != http.StatusOK {
					refusals++
					return fmt.Errorf("%d", response.StatusCode)
				}
				if err != nil || n != size {
					t.Fatalf("read %d bytes: %v", n, err)
				}
				return nil
			})
			if refusals == 0 {
				t.Error("the places were not taken")
			}
		})
	}
}
