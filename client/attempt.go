package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// request is one operation, ready to be sent any number of times.
type request struct {
	operation, key string // for errors; key also for routing
	method         string
	path, query    string // escaped
	header         [][2]string
	body           []byte
	write          bool // may have an effect
	receipted      bool // a reply without an outcome is not from kvorum: operations on keys
	idempotencyKey string
	repeatable     bool                                  // may be sent again even if an earlier attempt took effect
	consume        func(*http.Response, *watchdog) error // nil: the body is read whole into reply.body
	unknown        func()                                // nil, or called after each attempt that may have taken effect
}

type reply struct {
	status  int
	header  http.Header
	body    []byte
	receipt Receipt
}

const (
	maxBody    = 1 << 30   // far above any value; a server that sends more is broken
	maxProblem = 256 << 10 // bytes
)

var errNotKvorum = errors.New("the reply carries no " + wire.HeaderOutcome + ": no kvorum node, or a proxy that drops headers")

// watchdog ends an attempt after a silence of limit.
type watchdog struct {
	timer *time.Timer
	limit time.Duration
}

func (w *watchdog) beat()  { w.timer.Reset(w.limit) }
func (w *watchdog) pause() { w.timer.Stop() }

// attempt sends r once. Its error tells what this attempt proves, nothing about earlier ones.
func (c *Client) attempt(ctx context.Context, r *request, endpoint *url.URL) (*reply, *Error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := c.config.AttemptTimeout
	dog := &watchdog{limit: limit, timer: time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("no answer within %s: %w", limit, context.DeadlineExceeded))
	})}
	defer dog.pause()

	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	response, err := c.transport.RoundTrip(c.newRequest(ctx, r, endpoint))
	if err != nil {
		return nil, r.noReply(cause(ctx, err), endpoint, connected)
	}
	defer response.Body.Close()
	if c.config.Session {
		c.session.merge(response.Header.Get(wire.HeaderSession))
	}
	if response.StatusCode/100 != 2 {
		return nil, r.problem(response, endpoint)
	}
	if failure := r.checkOutcome(response, endpoint); failure != nil {
		return nil, failure
	}
	dog.beat()
	result := &reply{status: response.StatusCode, header: response.Header, receipt: parseReceipt(response.Header)}
	if r.consume != nil {
		err = r.consume(response, dog)
	} else {
		result.body, err = readBody(response, dog)
	}
	// A write on a key is done once its header says applied, whatever becomes of the body.
	if err != nil && !(r.write && r.receipted) {
		failure := r.noReply(cause(ctx, err), endpoint, true)
		failure.Status, failure.Receipt = response.StatusCode, result.receipt
		return nil, failure
	}
	return result, nil
}

func (c *Client) newRequest(ctx context.Context, r *request, endpoint *url.URL) *http.Request {
	h := http.Header{"User-Agent": {c.config.UserAgent}}
	for _, line := range r.header {
		h.Set(line[0], line[1])
	}
	if r.idempotencyKey != "" {
		// Spelled in lower case on purpose: under its canonical name http.Transport takes the request for replayable and
		// may send it twice by itself, so that an attempt of unknown outcome would be hidden behind the second's reply.
		h[strings.ToLower(wire.HeaderIdempotencyKey)] = []string{r.idempotencyKey}
	}
	if c.config.Session {
		if token := c.session.header(); token != "" {
			h.Set(wire.HeaderSession, token)
		}
	}
	request := &http.Request{Method: r.method, URL: target(endpoint, r.path, r.query), Host: endpoint.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if len(r.body) > 0 {
		// GetBody allows the one replay that is harmless: on a kept connection that died before a byte was written.
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		request.Body, _ = request.GetBody()
		request.ContentLength = int64(len(r.body))
	} else {
		request.Body = http.NoBody
	}
	return request.WithContext(ctx)
}

// noReply is the error of an attempt without a (whole) reply. Only "no connection" proves that a write did not happen.
func (r *request) noReply(err error, endpoint *url.URL, connected bool) *Error {
	e := &Error{Operation: r.operation, Key: r.key, Outcome: wire.NotApplied, endpoint: endpoint.Host, notConnected: !connected, Err: err}
	switch {
	case !connected:
		e.Detail = "no connection to " + endpoint.Host
	case r.write:
		e.Outcome, e.Code, e.Detail = wire.Unknown, wire.CodeUnknownOutcome, "sent to "+endpoint.Host+", which did not answer"
	default:
		e.Detail = "no whole answer from " + endpoint.Host
	}
	return e
}

// checkOutcome refuses a reply 2xx that does not say applied, where each reply must.
func (r *request) checkOutcome(response *http.Response, endpoint *url.URL) *Error {
	outcome := wire.Outcome(response.Header.Get(wire.HeaderOutcome))
	if outcome == wire.Applied || (outcome == "" && !r.receipted) {
		return nil
	}
	e := r.noReply(errNotKvorum, endpoint, true)
	e.Status = response.StatusCode
	if outcome.Valid() {
		e.Err = fmt.Errorf("the reply says %d and yet %s", response.StatusCode, outcome)
	}
	return e
}
