package shardrouter

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kvorum/kvorum/peer"
)

// target is a replica that a request can be carried out at.
type target struct {
	shard   uint32
	node    string // "" for a seed: whoever is there
	address string // peer address
	local   bool   // it is in this process
}

// Bounds of the connections to one node. Beyond them requests wait, unsent.
const (
	maxConnections     = 1024
	maxIdleConnections = 256
	// idleTimeout is below that of the servers, so that it is the dialer who closes an idle connection: a server that
	// closes one under a request would make its outcome unknown.
	idleTimeout = 30 * time.Second
	// dialTimeout bounds connecting, looking the name up and the handshake included. A computer that has vanished answers
	// nothing; a request that waits for it was not sent, and has better to do than to wait: somebody else may lead by now.
	dialTimeout = time.Second
	// stallTimeout bounds the silence in the middle of a reply's body.
	stallTimeout = 15 * time.Second
)

// newTransport speaks HTTP/1.1 over handshaken peer connections.
func newTransport(self peer.Identity) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, host string) (net.Conn, error) {
			to, err := decodeHost(host)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			conn, _, err := peer.Dial(ctx, self, peer.API, peer.Target{Address: to.address, Shard: to.shard, Node: to.node})
			return conn, err
		},
		DisableCompression:  true,
		MaxConnsPerHost:     maxConnections,
		MaxIdleConnsPerHost: maxIdleConnections,
		IdleConnTimeout:     idleTimeout,
		WriteBufferSize:     16 << 10,
		ReadBufferSize:      16 << 10,
	}
}

// host encodes a target as a host name, so that the transport pools connections by shard, node and address.
func (t target) host() string {
	return strconv.FormatUint(uint64(t.shard), 10) + ".n" + hex.EncodeToString([]byte(t.node)) + ".a" + hex.EncodeToString([]byte(t.address))
}

func decodeHost(hostPort string) (target, error) {
	host, _, _ := strings.Cut(hostPort, ":")
	parts := strings.Split(host, ".")
	if len(parts) != 3 || !strings.HasPrefix(parts[1], "n") || !strings.HasPrefix(parts[2], "a") {
		return target{}, fmt.Errorf("host %q is no peer target", hostPort)
	}
	shard, err1 := strconv.ParseUint(parts[0], 10, 32)
	node, err2 := hex.DecodeString(parts[1][1:])
	address, err3 := hex.DecodeString(parts[2][1:])
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return target{}, fmt.Errorf("host %q is no peer target: %w", hostPort, err)
		}
	}
	return target{shard: uint32(shard), node: string(node), address: string(address)}, nil
}

func (t target) String() string {
	if t.node == "" {
		return "the node at " + t.address
	}
	return "node " + t.node
}

// linkError is a request that got no reply. If it was not sent, it surely had no effect.
type linkError struct {
	to   target
	sent bool
	err  error
}

func (e *linkError) Error() string {
	if e.sent {
		return fmt.Sprintf("%s did not answer: %v", e.to, e.err)
	}
	return fmt.Sprintf("%s could not be reached: %v", e.to, e.err)
}

func (e *linkError) Unwrap() error { return e.err }

// call is a request to another node.
type call struct {
	method   string
	url      url.URL // path and query
	header   http.Header
	body     []byte
	patience time.Duration // for the reply to begin; 0: as long as the context
}

// send carries a call to a node. The context bounds the wait for the reply's headers; after that, the body may take as
// long as it keeps coming, until it is closed. Errors are *linkError.
func (r *Router) send(ctx context.Context, to target, c call) (*http.Response, error) {
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{
		// The transport itself repeats a request on another connection only when it wrote no byte of it on the first
		// (see idempotencyHeader), so what counts is the last connection.
		GetConn: func(string) { sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	}
	work, cancel := context.WithCancelCause(httptrace.WithClientTrace(context.WithoutCancel(ctx), trace))
	stopWaiting := context.AfterFunc(ctx, func() { cancel(ctx.Err()) })
	timer := time.AfterFunc(time.Hour, func() { cancel(errStalled) })
	timer.Stop()
	if c.patience > 0 {
		timer.Reset(c.patience)
	}
	c.url.Scheme, c.url.Host = "http", to.host()
	request := (&http.Request{Method: c.method, URL: &c.url, Host: "kvorum", Header: c.header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(work)
	setBody(request, c.body)
	response, err := r.link.RoundTrip(request)
	timer.Stop()
	if err != nil || !stopWaiting() {
		if err == nil {
			response.Body.Close()
			err = ctx.Err()
		} else if cause := context.Cause(work); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, &linkError{to: to, sent: sent.Load(), err: err}
	}
	response.Body = &watchedBody{body: response.Body, timer: timer, cancel: cancel}
	return response, nil
}

var errStalled = fmt.Errorf("no progress in time: %w", context.DeadlineExceeded)

func setBody(request *http.Request, body []byte) {
	if len(body) == 0 {
		return
	}
	request.ContentLength = int64(len(body))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	request.Body, _ = request.GetBody()
}

// watchedBody gives each read a time limit, and ends the request when it is closed.
type watchedBody struct {
	body   io.ReadCloser
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(stallTimeout)
	n, err := b.body.Read(p)
	b.timer.Stop()
	return n, err
}

func (b *watchedBody) Close() error {
	b.timer.Stop()
	err := b.body.Close()
	b.cancel(nil)
	return err
}
