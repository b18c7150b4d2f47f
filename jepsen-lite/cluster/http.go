package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/wire"
)

// probeTimeout bounds a question about health; a node that does not answer by then is as good as away.
const probeTimeout = time.Second

// newHTTPClient gives each node connections of its own, so that a dead node takes no one else's with it.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, address string) (net.Conn, error) { return network.Dial(ctx, address) },
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Reply is an HTTP reply read to its end.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Outcome is the reply's Kvorum-Outcome.
func (r *Reply) Outcome() wire.Outcome { return wire.Outcome(r.Header.Get(wire.HeaderOutcome)) }

// Revision is the reply's ETag, 0 if it has none.
func (r *Reply) Revision() uint64 {
	n, err := strconv.ParseUint(strings.Trim(r.Header.Get("ETag"), `"`), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Number is a receipt header, 0 if it is missing.
func (r *Reply) Number(header string) uint64 {
	n, err := strconv.ParseUint(r.Header.Get(header), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// String shows status, outcome and the beginning of the body.
func (r *Reply) String() string {
	return fmt.Sprintf("%d %s from %q: %.300s", r.Status, r.Outcome(), r.Header.Get(wire.HeaderNode), r.Body)
}

// Do sends one request to the node, once. header is name, value, name, value, ...
func (n *Node) Do(ctx context.Context, method, path string, body []byte, header ...string) (*Reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+n.API+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := n.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s at %s: reply cut short: %w", method, path, n.Name, err)
	}
	return &Reply{Status: response.StatusCode, Header: response.Header, Body: content}, nil
}

// KeyPath is the path of a key.
func KeyPath(key string) string { return "/v1/kv/" + url.PathEscape(key) }

// Put stores a value by this node, once.
func (n *Node) Put(ctx context.Context, key, value string, header ...string) (*Reply, error) {
	return n.Do(ctx, http.MethodPut, KeyPath(key), []byte(value), header...)
}

// Get reads a key at this node, once.
func (n *Node) Get(ctx context.Context, key string) (*Reply, error) {
	return n.Do(ctx, http.MethodGet, KeyPath(key), nil)
}

// Health asks /v1/health/<which>: live, ready or leader. nil means yes.
func (n *Node) Health(ctx context.Context, which string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	reply, err := n.Do(ctx, http.MethodGet, "/v1/health/"+which, nil)
	if err != nil {
		return fmt.Errorf("%s is not %s: %w", n.Name, which, err)
	}
	if reply.Status != http.StatusOK {
		return fmt.Errorf("%s is not %s: %s", n.Name, which, reply)
	}
	return nil
}

// WaitReady waits until the node says that it is ready. It gives up at once when the process has ended.
func (n *Node) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return WaitFor(ctx, n.Name+" to be ready", func(ctx context.Context) error {
		n.mu.Lock()
		_, err := n.alive()
		n.mu.Unlock()
		if err != nil {
			cancel(err)
			return err
		}
		return n.Health(ctx, "ready")
	})
}

// Status is what the node says of itself.
func (n *Node) Status(ctx context.Context) (wire.NodeStatus, error) {
	var status wire.ClusterStatus
	if err := n.getJSON(ctx, "/v1/cluster", &status); err != nil {
		return wire.NodeStatus{}, err
	}
	for _, shard := range status.Shards {
		for _, replica := range shard.Replicas {
			if replica.ID == n.Name && replica.Status != nil {
				return *replica.Status, nil
			}
		}
	}
	return wire.NodeStatus{}, errors.New(n.Name + " does not list itself")
}

func (n *Node) getJSON(ctx context.Context, path string, into any) error {
	reply, err := n.Do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if reply.Status != http.StatusOK {
		return fmt.Errorf("GET %s at %s: %s", path, n.Name, reply)
	}
	return json.Unmarshal(reply.Body, into)
}
