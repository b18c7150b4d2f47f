package replica

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/kvorum/kvorum/wire"
)

// Paths of the API between nodes, besides KeyPath.
const (
	PathRows       = "/v1/shard/kv"
	PathBatch      = "/v1/shard/batch"
	PathOperations = "/v1/shard/operations/"
	PathStatus     = "/v1/shard/status"
	PathTransfer   = "/v1/shard/transfer-leader"
	PathSnapshot   = "/v1/shard/snapshot"
	PathTable      = "/v1/shard/table"
	PathRegister   = "/v1/shard/register"
	PathLeader     = "/v1/shard/leader"
)

// KeyRoute matches the requests for keys, by the path as it was sent. It is mux's PathPrefix(KeyPath) without the regular
// expression.
func KeyRoute(req *http.Request, _ *mux.RouteMatch) bool {
	return strings.HasPrefix(req.URL.EscapedPath(), KeyPath)
}

func (r *Replica) routes() http.Handler {
	m := mux.NewRouter().UseEncodedPath().SkipClean(true)
	m.MatcherFunc(KeyRoute).HandlerFunc(r.serveKey)
	m.Path(PathRows).Handler(r.serve("rows", http.MethodGet, r.serveRows))
	m.Path(PathBatch).Handler(r.serve("batch", http.MethodPost, r.serveBatch))
	m.PathPrefix(PathOperations).Handler(r.serve("operation", http.MethodGet, r.serveOperations))
	m.Path(PathStatus).Handler(r.serve("status", http.MethodGet, r.serveStatus))
	m.Path(PathTransfer).Handler(r.serve("transfer", http.MethodPost, r.serveTransfer))
	m.Path(PathSnapshot).Handler(r.serve("snapshot", http.MethodPost, r.serveSnapshot))
	m.Path(PathTable).Handler(r.serve("table", http.MethodGet, r.serveTable))
	m.Path(PathRegister).Handler(r.serve("register", http.MethodPost, r.serveRegister))
	m.Path(PathLeader).Handler(r.serve("leader", http.MethodGet, r.serveLeader))
	m.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.ids.Name(w, req)
		Fail(w, Failure(wire.CodeNoSuchPath, "nodes have no path %s", quote(req.URL.Path)))
	})
	return m
}

// serve wraps a handler of one method: it names and bounds the request, limits its time, and sends its error. A handler
// that has begun its reply returns nil.
func (r *Replica) serve(operation, method string, handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		r.ids.Name(w, req)
		err := r.limiter.Enter()
		if err == nil {
			defer r.limiter.Leave()
			err = r.allowed(w, req, method)
		}
		if err == nil {
			err = handle(w, req)
		}
		r.finish(w, operation, start, err)
	})
}

func (r *Replica) allowed(w http.ResponseWriter, req *http.Request, method string) error {
	if req.Method == method {
		return nil
	}
	w.Header().Set("Allow", method)
	return methodNotAllowed(req.Method, method)
}

func (r *Replica) finish(w http.ResponseWriter, operation string, start time.Time, err error) {
	if err == nil {
		r.metrics.observe(operation, string(wire.Applied), "ok", start)
		return
	}
	failed := AsError(err)
	r.metrics.observe(operation, string(failed.Outcome()), string(failed.Code), start)
	Fail(w, failed)
}

// serveKey answers /v1/kv/{key} for this replica only.
func (r *Replica) serveKey(w http.ResponseWriter, httpReq *http.Request) {
	start := time.Now()
	r.ids.Name(w, httpReq)
	req, reply, err := r.executeHTTP(w, httpReq)
	if err != nil {
		if AsError(err).Code == wire.CodeMethodNotAllowed {
			w.Header().Set("Allow", keyMethods)
		}
		r.finish(w, "key", start, err)
		return
	}
	r.metrics.observe(req.Operation.String(), string(reply.Outcome), CodeLabel(reply.Code), start)
	reply.Write(w, req.Operation, req.Session)
}

// CodeLabel is a problem code as metrics show it.
func CodeLabel(code wire.Code) string {
	if code == "" {
		return "ok"
	}
	return string(code)
}

func (r *Replica) executeHTTP(w http.ResponseWriter, httpReq *http.Request) (Request, Reply, error) {
	if err := r.limiter.Enter(); err != nil {
		return Request{}, Reply{}, err
	}
	defer r.limiter.Leave()
	req, err := ParseRequest(httpReq)
	if err != nil {
		return req, Reply{}, err
	}
	if req.Operation == Put {
		bound, err := BodyBound(httpReq, r.opt.MaxValueBytes)
		if err != nil {
			return req, Reply{}, err
		}
		if err := r.limiter.Take(bound); err != nil {
			return req, Reply{}, err
		}
		defer r.limiter.Give(bound)
		if req.Value, err = ReadValue(w, httpReq, r.opt.MaxValueBytes); err != nil {
			return req, Reply{}, err
		}
	}
	ctx, cancel := r.bounded(httpReq)
	defer cancel()
	reply, err := r.Execute(ctx, &req)
	return req, reply, err
}

// bounded is the request's context with the request timeout.
func (r *Replica) bounded(req *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(req.Context(), r.opt.RequestTimeout)
}

// WriteJSON sends a body with outcome applied: the request was answered.
func WriteJSON(w http.ResponseWriter, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return Failure(wire.CodeInternal, "the reply could not be written: %v", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h[wire.HeaderOutcome] = outcomes[wire.Applied]
	_ = WriteBody(w, append(text, '\n')) // the client has gone away: nobody is left to tell
	return nil
}

// maxJSONBytes bounds the small JSON bodies of management requests.
const maxJSONBytes = 64 << 10

// ReadJSON reads a small JSON body strictly: unknown fields are refused. An empty body leaves into as it is.
func ReadJSON(w http.ResponseWriter, req *http.Request, into any) error {
	body, err := ReadValue(w, req, maxJSONBytes)
	if err != nil || len(body) == 0 {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return Invalid("the JSON body is not understood: %v", err)
	}
	if decoder.More() {
		return Invalid("the body holds more than one JSON value: send one")
	}
	return nil
}
