package shardrouter

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

const keyMethods = "GET, HEAD, PUT, DELETE"

// serveKey answers /v1/kv/{key} for any key.
func (r *Router) serveKey(w http.ResponseWriter, httpReq *http.Request) {
	start := time.Now()
	r.ids.Name(w, httpReq)
	err := r.limiter.Enter()
	if err == nil {
		defer r.limiter.Leave()
		err = r.answerKey(w, httpReq, start)
	}
	if err != nil {
		r.fail(w, httpReq, "key", err, start)
	}
}

// answerKey sends the reply, or returns an error if none was begun.
func (r *Router) answerKey(w http.ResponseWriter, httpReq *http.Request, start time.Time) error {
	req, err := replica.ParseRequest(httpReq)
	if err != nil {
		if replica.AsError(err).Code == wire.CodeMethodNotAllowed {
			w.Header()["Allow"] = []string{keyMethods}
		}
		return err
	}
	if err := r.checkSession(req.Session); err != nil {
		return err
	}
	if req.Operation == replica.Put {
		give, err := r.readValue(w, httpReq, &req)
		if err != nil {
			return err
		}
		defer give()
	}
	shard, err := r.now().shardOf(req.Key)
	if err != nil {
		return err
	}
	k := &keyRequest{router: r, w: w, http: httpReq, req: &req, start: start}
	readsHere := req.Operation.Reads() && r.isLocal(shard)
	if readsHere { // the usual read, at the least cost
		if err := k.here(httpReq.Context()); err == nil || !elsewhere(err) {
			return err
		}
	}
	ctx, cancel := context.WithDeadline(httpReq.Context(), start.Add(r.cfg.RequestTimeout))
	defer cancel()
	if req.Operation.Reads() {
		return r.readAround(ctx, shard, req.Consistency != wire.Linearizable, readsHere, k.attempt)
	}
	return r.write(ctx, shard, k.attempt)
}

// readValue reads the body, counted in flight until give is called.
func (r *Router) readValue(w http.ResponseWriter, httpReq *http.Request, req *replica.Request) (give func(), err error) {
	bound, err := replica.BodyBound(httpReq, r.cfg.MaxValueBytes)
	if err != nil {
		return nil, err
	}
	if err := r.limiter.Take(bound); err != nil {
		return nil, err
	}
	if req.Value, err = replica.ReadValue(w, httpReq, r.cfg.MaxValueBytes); err != nil {
		r.limiter.Give(bound)
		return nil, err
	}
	return func() { r.limiter.Give(bound) }, nil
}

// keyRequest is one request for a key on its way to a replica.
type keyRequest struct {
	router *Router
	w      http.ResponseWriter
	http   *http.Request
	req    *replica.Request
	start  time.Time
	hops   int
}

func (k *keyRequest) attempt(ctx context.Context, to target) error {
	if to.local {
		return k.here(ctx)
	}
	return k.there(ctx, to)
}

// here answers from the local replica, in this process.
func (k *keyRequest) here(ctx context.Context) error {
	k.req.Patience = k.router.cfg.ReadAttempt
	reply, err := k.router.local.Execute(ctx, k.req)
	if err != nil {
		return err
	}
	k.router.metrics.key(k.req.Operation, reply.Outcome, reply.Code, k.start)
	reply.Write(k.w, k.req.Operation, k.req.Session)
	return nil
}

// there forwards to another node and passes its reply on, unless it is a refusal.
func (k *keyRequest) there(ctx context.Context, to target) error {
	r := k.router
	k.hops++
	c := call{method: k.http.Method, header: k.forwardHeader(), body: k.req.Value,
		url: url.URL{Path: k.http.URL.Path, RawPath: k.http.URL.EscapedPath(), RawQuery: k.http.URL.RawQuery}}
	if k.req.Operation.Reads() {
		c.patience = r.cfg.ReadAttempt
	}
	response, err := r.send(ctx, to, c)
	if err != nil {
		if err.(*linkError).sent {
			r.metrics.forwards.WithLabelValues("lost").Inc()
		} else {
			r.metrics.forwards.WithLabelValues("unsent").Inc()
		}
		return err
	}
	defer response.Body.Close()
	if refuses(response.StatusCode) {
		r.metrics.forwards.WithLabelValues("refused").Inc()
		return refusalOf(response)
	}
	r.metrics.forwards.WithLabelValues("answered").Inc()
	k.passOn(response)
	return nil
}

// refuses reports whether a status may mean "not here, but elsewhere". Everything else is passed on as it is.
func refuses(status int) bool {
	return status == http.StatusMisdirectedRequest || status == http.StatusServiceUnavailable
}

// forwardedHeaders are the client's headers that mean something to a replica, besides the idempotency key.
var forwardedHeaders = []string{"If-Match", "If-None-Match", wire.HeaderSession}

// idempotencyHeader is Idempotency-Key, spelt so that http.Transport does not know it: under the canonical name it would
// take the request for safe to repeat and do so by itself after a lost connection. We could not tell then that a refusal
// answers the second attempt only. Header names have no case on the wire.
const idempotencyHeader = "idempotency-key"

func (k *keyRequest) forwardHeader() http.Header {
	h := make(http.Header, 6)
	for _, name := range forwardedHeaders {
		if values := k.http.Header[name]; len(values) > 0 {
			h[name] = values
		}
	}
	if k.req.IdempotencyKey != "" {
		h[idempotencyHeader] = []string{k.req.IdempotencyKey}
	}
	h[wire.HeaderRequestID] = k.w.Header()[wire.HeaderRequestID]
	h[wire.HeaderHops] = []string{strconv.Itoa(k.hops)}
	return h
}

// connectionHeaders belong to the connection between nodes, or are made anew.
var connectionHeaders = map[string]bool{"Connection": true, "Date": true, "Transfer-Encoding": true, wire.HeaderRequestID: true, wire.HeaderLeader: true}

// passOn sends a replica's reply to the client, receipt and all.
func (k *keyRequest) passOn(response *http.Response) {
	h := k.w.Header()
	for name, values := range response.Header {
		if !connectionHeaders[name] {
			h[name] = values
		}
	}
	k.note(response)
	k.w.WriteHeader(response.StatusCode)
	err := replica.SendBody(k.w, response.ContentLength, func(out io.Writer) error {
		_, err := io.Copy(out, response.Body)
		return err
	})
	if err != nil {
		// The reply's length is announced: cutting the connection tells the client that it is not whole.
		panic(http.ErrAbortHandler)
	}
}

// note learns from a reply, and counts it.
func (k *keyRequest) note(response *http.Response) {
	outcome := wire.Outcome(response.Header.Get(wire.HeaderOutcome))
	k.router.metrics.key(k.req.Operation, outcome, codeOfStatus(response.StatusCode), k.start)
	if epoch, err := strconv.ParseUint(response.Header.Get(wire.HeaderEpoch), 10, 64); err == nil {
		k.router.noteEpoch(epoch)
	}
}
