//go:build deploy

package jepsenlite

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// startHTTP2 starts writers that speak nothing but HTTP/2.
func startHTTP2(ctx context.Context, base string, n int, shards ...uint32) *counted {
	c := newCounted(base, n, shards...)
	for _, w := range c.writers {
		w.client = newSpeaker(http2Only)
	}
	c.start(ctx)
	return c
}

// TestHAProxySpeaksHTTP1Only: prior-knowledge HTTP/2 gets no answer in HTTP/2.
func TestHAProxySpeaksHTTP1Only(t *testing.T) {
	ctx := within(t, 20*time.Second)
	h := newHAProxy(t, newCluster(t, 3, 3))
	check(t, h.Start())
	check(t, cluster.WaitFor(ctx, "HAProxy", func(ctx context.Context) error { _, err := h.Pid(ctx); return err }))
	w := newCounted("http://"+h.Front.API, 1, 0).writers[0]
	check(t, cluster.WaitFor(ctx, "HTTP/2 to be answered as HTTP/1.1", func(ctx context.Context) error { // the answer is lost now and then, see put
		status, protocol, _, _ := w.put(ctx, newSpeaker(http2Only), "a", "v")
		if protocol != "" {
			t.Errorf("a PUT in HTTP/2 is answered: %s %s", protocol, status)
		}
		if status != answeredInHTTP1 {
			return errors.New(status)
		}
		return nil
	}))
	for _, s := range []speaks{http1, eitherHTTP} { // no node runs: HAProxy answers by itself
		if status, protocol, outcome, _ := w.put(ctx, newSpeaker(s), "a", "v"); protocol != "HTTP/1.1" {
			t.Errorf("a client of kind %d gets %s %s %s, want HTTP/1.1", s, status, protocol, outcome)
		}
	}
	conn, err := net.Dial("tcp", h.Front.API)
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	check(t, err)
	answer := make([]byte, 16)
	if n, _ := conn.Read(answer); !strings.HasPrefix("HTTP/1.1 400 Bad", string(answer[:n])) {
		t.Errorf("the HTTP/2 preface is answered by %q, want HTTP/1.1 400 or the end of the connection", answer[:n])
	}
}

// TestHTTP2WouldRepeatWrites shows why HTTP/2 is refused. Without the line that refuses it, it is spoken; then a node that dies
// under a write makes HAProxy tell the client that the write was refused. The client believes it, as HTTP/2 has it, and sends
// a write again that was done.
func TestHTTP2WouldRepeatWrites(t *testing.T) {
	for _, test := range []struct {
		name    string
		without []string // lines of the configuration
		kills   int      // at most
		repeats bool     // must be seen
	}{
		// 2.6 does so already now. From 3.0 on (where this was seen by hand) a connection for each write keeps it from that.
		{"accepted", []string{"    option disable-h2-upgrade\n"}, 10, false},
		{"and connections reused", []string{"    option disable-h2-upgrade\n", "    option http-server-close\n"}, 40, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := within(t, 3*time.Minute)
			p := newProxied(t)
			for _, line := range test.without {
				check(t, p.h.Replace(line, ""))
			}
			p.start(ctx, t)
			w := startHTTP2(ctx, "http://"+p.h.Front.API, 2*countedWriters, 0, 1, 2)
			n := p.killUntilRepeated(ctx, t, w, test.kills)
			w.stop()
			repeats, executed, sent, err := w.repeats(ctx, p.h.Front)
			check(t, err)
			t.Logf("%d writes sent once each by callers of net/http, %d executed; after %d kills %d signs of repeats, first %q; replies %v, by protocol %v", sent, executed, n, len(repeats), first(repeats), w.outcomes, w.carried)
			if w.carried["HTTP/2.0"] == 0 || len(w.carried) != 1 || w.refused > 0 {
				t.Errorf("replies by protocol: %v, %d connections refused: HTTP/2 was to be spoken, and nothing else", w.carried, w.refused)
			}
			if test.repeats && len(repeats) == 0 {
				t.Errorf("no write was repeated: the trap is gone, or the counting finds nothing")
			}
		})
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
