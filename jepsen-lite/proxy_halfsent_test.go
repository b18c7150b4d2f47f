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
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// sendPart sends the beginning of a request and waits for what comes back: a reply, then the end of the connection.
func sendPart(t *testing.T, address, part string) *cluster.Reply {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	_, err = io.WriteString(conn, part)
	check(t, err)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	check(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	// What comes later on this connection can't be told from the rest of the request. (The end, or a reset: 2.6 does both.)
	if rest, _ := io.ReadAll(reader); len(rest) > 0 {
		t.Errorf("after its reply to half a request HAProxy sends %q", rest)
	}
	return &cluster.Reply{Status: response.StatusCode, Header: response.Header, Body: body}
}

// TestHalfSentRequests: who stops in the middle of a request gets an answer, and nothing of it is ever done.
func TestHalfSentRequests(t *testing.T) {
	ctx := within(t, 90*time.Second)
	p := newProxied(t, calm()...)
	// Shorter, or the test would only wait. The order stays: a client's part, then the node's reply.
	check(t, p.h.Replace("timeout http-request 10s", "timeout http-request 1s"))
	check(t, p.h.Replace("wait-for-body time 10s", "wait-for-body time 1s"))
	check(t, p.h.Replace("timeout client 30s", "timeout client 2s"))
	check(t, p.h.Replace("timeout server 15s", "timeout server 3s"))
	p.start(ctx, t)
	head := func(key, more string) string {
		return "PUT /v1/kv/" + key + " HTTP/1.1\r\nHost: kvorum\r\nX-Request-Id: half-" + key + "\r\n" + more
	}
	for _, one := range []struct {
		name, key, part string
		want            func(t *testing.T, reply *cluster.Reply)
		backend         string // in the log, the frontend's name if none was chosen; "": the line bears no request id
	}{
		// HAProxy's parser answers: its page can't be changed. No node was chosen, so nothing was sent.
		{"half a request line", "line", "PUT /v1/kv/line HT", wantBuiltIn, ""},
		{"half a header", "header", head("header", "Content-Le"), wantBuiltIn, ""},
		{"half a body", "body", head("body", "Content-Length: 100\r\n\r\nhalf"), wantIncomplete, "api"},
		{"no body", "none", head("none", "Content-Length: 100\r\n\r\n"), wantIncomplete, "api"},
		{"half a chunk", "chunk", head("chunk", "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf"), wantIncomplete, "api"},
		{"no last chunk", "chunks", head("chunks", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), wantIncomplete, "api"},
		// More than HAProxy holds: the node has the first part of it, and does nothing before it has all. 2.6 does not look whose
		// fault the silence is; 3.0 sees that the client's part is missing.
		{"half a large body", "large", head("large", "Content-Length: 200000\r\n\r\n"+strings.Repeat("x", 100_000)), wantUnknownOrRefused, "kv_s2_w"},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			one.want(t, sendPart(t, p.h.Front.API, one.part))
			if one.backend != "" {
				line := p.logLine(ctx, t, "half-"+one.key)
				if line.Backend != one.backend || (line.Server == "<NOSRV>") != (one.backend == "api") {
					t.Errorf("HAProxy's log says %+v, want backend %s", line, one.backend)
				}
			}
			if now, err := p.h.Front.Get(ctx, one.key); err != nil || now.Status != http.StatusNotFound {
				t.Errorf("%s, of which half was sent: %v %v", one.key, now, err)
			}
		})
	}
}

// wantBuiltIn wants the page of HAProxy's parser. It bears no outcome; should a later version let it have one, say so.
func wantBuiltIn(t *testing.T, reply *cluster.Reply) {
	t.Helper()
	if reply.Status != http.StatusRequestTimeout || reply.Outcome() != "" || !strings.Contains(string(reply.Body), "<html>") {
		t.Errorf("%s, headers %v: want HAProxy's built-in page, which bears no outcome", reply, reply.Header)
	}
}

func wantIncomplete(t *testing.T, reply *cluster.Reply) {
	t.Helper()
	wantProblem(t, reply, http.StatusRequestTimeout, wire.NotApplied)
}

func wantUnknownOrRefused(t *testing.T, reply *cluster.Reply) {
	t.Helper()
	if reply.Status == http.StatusBadRequest {
		wantProblem(t, reply, http.StatusBadRequest, wire.NotApplied)
		return
	}
	wantProblem(t, reply, http.StatusGatewayTimeout, wire.Unknown)
}

// logLine is the one line of HAProxy's log about a request.
func (p *proxied) logLine(ctx context.Context, t *testing.T, id string) (line cluster.Access) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	check(t, cluster.WaitFor(ctx, "HAProxy's log", func(context.Context) error {
		log, err := p.h.Log()
		if err != nil || len(log[id]) != 1 {
			return errors.Join(err, fmt.Errorf("%d lines of request %s", len(log[id]), id))
		}
		line = log[id][0]
		return nil
	}))
	return line
}
