//go:build deploy

package jepsenlite

import (
	"bufio"
	"encoding/json"
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

// wire-level client: net/http would clean or refuse the targets that this is about.
type rawClient struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dialRaw(address string) (*rawClient, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &rawClient{conn, bufio.NewReader(conn)}, nil
}

func (c *rawClient) do(method, target, id, body string) (*cluster.Reply, error) {
	if err := c.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	_, err := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: kvorum\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s", method, target, wire.HeaderRequestID, id, len(body), body)
	if err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return &cluster.Reply{Status: response.StatusCode, Header: response.Header, Body: content}, err
}

// refusesWhatIsNoHTTP: HAProxy's parser answers by itself. Its page can't be changed and bears no outcome; nothing was sent.
func refusesWhatIsNoHTTP(t *testing.T, address string) {
	refused := func(method, target string) {
		t.Helper()
		client, err := dialRaw(address)
		check(t, err)
		defer client.conn.Close()
		reply, err := client.do(method, target, "bad", "v")
		if err != nil {
			t.Errorf("%s %.40q: %v", method, target, err)
			return
		}
		// Newer versions say 414 or 431 where 2.6 says 400.
		if reply.Status != 400 && reply.Status != 414 && reply.Status != 431 {
			t.Errorf("%s %.40q: %s", method, target, reply)
		}
		if reply.Header.Get(wire.HeaderOutcome) != "" {
			t.Errorf("%s %.40q: %s has an outcome: haproxy/README.md says that it has none", method, target, reply)
		}
	}
	for _, target := range []string{"/v1/kv/a b", "/v1/kv/caf\xc3\xa9", "/v1/kv/a#b", "/v1/kv/a\tb", "/v1/kv/a\x7fb", "/v1/kv/a\x01", "/v1/kv/" + strings.Repeat("x", 20_000)} {
		refused("PUT", target)
	}
	for _, target := range []string{"/v1/kv/a", "kvorum", "other:80"} {
		refused("CONNECT", target)
	}
}

// wantProblem wants a problem body that agrees with the status and the outcome header.
func wantProblem(t *testing.T, reply *cluster.Reply, status int, outcome wire.Outcome) wire.Problem {
	t.Helper()
	var problem wire.Problem
	if err := json.Unmarshal(reply.Body, &problem); err != nil {
		t.Errorf("%s: no problem body: %v", reply, err)
	}
	_, known := wire.Codes[problem.Code]
	if reply.Status != status || problem.Status != status || reply.Outcome() != outcome || problem.Outcome != outcome || !known || reply.Header.Get("Content-Type") != wire.ContentTypeProblem {
		t.Errorf("%s, headers %v: want %d %s", reply, reply.Header, status, outcome)
	}
	return problem
}
