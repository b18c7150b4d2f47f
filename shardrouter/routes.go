package shardrouter

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

const (
	pathListing    = "/v1/kv"
	pathBatch      = "/v1/batch"
	pathOperations = "/v1/operations/"
	pathCluster    = "/v1/cluster"
	pathTable      = "/v1/cluster/table"
	pathTransfer   = "/v1/cluster/shards/{shard}/transfer-leader"
	pathSnapshot   = "/v1/cluster/shards/{shard}/snapshot"
	pathHealth     = "/v1/health/"
	pathOpenAPI    = "/v1/openapi.yaml"
	pathMetrics    = "/metrics"
)

// routes matches paths as they were sent, without cleaning or redirects: a key may look like "a//b" or "..".
func (r *Router) routes() http.Handler {
	m := mux.NewRouter().UseEncodedPath().SkipClean(true)
	m.MatcherFunc(replica.KeyRoute).HandlerFunc(r.serveKey)
	m.Path(pathListing).Handler(r.serve("list", http.MethodGet, r.serveListing))
	m.Path(pathBatch).Handler(r.serve("batch", http.MethodPost, r.serveBatch))
	m.PathPrefix(pathOperations).Handler(r.serve("operation", http.MethodGet, r.serveOperation))
	m.Path(pathCluster).Handler(r.serve("cluster", http.MethodGet, r.serveCluster))
	m.Path(pathTable).Handler(r.serve("table", http.MethodGet, r.serveTable))
	m.Path(pathTransfer).Handler(r.serve("transfer", http.MethodPost, r.serveTransfer))
	m.Path(pathSnapshot).Handler(r.serve("snapshot", http.MethodPost, r.serveSnapshot))
	for check, passes := range map[string]func(context.Context) []string{"live": r.notLive, "ready": r.notReady, "leader": r.notLeader} {
		m.Path(pathHealth + check).Handler(r.health(check, passes))
	}
	m.Path(pathOpenAPI).Handler(r.serve("openapi", http.MethodGet, r.serveOpenAPI))
	m.Path(pathMetrics).HandlerFunc(r.serveMetrics)
	m.NotFoundHandler = http.HandlerFunc(r.serveNothing)
	return m
}

// serve wraps a handler of one method (GET: HEAD too): it names, bounds and counts the request, and sends its error. A
// handler that has begun its reply returns nil.
func (r *Router) serve(operation, method string, handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		r.ids.Name(w, req)
		err := r.limiter.Enter()
		if err == nil {
			defer r.limiter.Leave()
			err = allow(w, req, method)
		}
		if err == nil {
			err = handle(w, req)
		}
		if err != nil {
			r.fail(w, req, operation, err, start)
			return
		}
		r.metrics.other(operation, nil, start)
	})
}

// allow checks the method. HEAD is allowed where GET is: net/http leaves the body out.
func allow(w http.ResponseWriter, req *http.Request, method string) error {
	if req.Method == method || (method == http.MethodGet && req.Method == http.MethodHead) {
		return nil
	}
	allowed := method
	if method == http.MethodGet {
		allowed = "GET, HEAD"
	}
	w.Header()["Allow"] = []string{allowed}
	return replica.Failure(wire.CodeMethodNotAllowed, "%s is not allowed here: use %s", req.Method, allowed)
}

// fail sends an error as its problem body, and counts and logs it.
func (r *Router) fail(w http.ResponseWriter, req *http.Request, operation string, err error, start time.Time) {
	failed := replica.AsError(err)
	if failed.Code == wire.CodeMisdirected { // clients have nobody else to ask
		failed = replica.AsError(replica.Failure(wire.CodeNoLeader, "%s: try again", failed.Detail))
	}
	own := *failed // one error may be shared by all writes of a log entry
	own.Leader = ""
	failed = &own
	r.metrics.other(operation, failed, start)
	if wire.Codes[failed.Code].Status >= http.StatusInternalServerError {
		r.log.Info("request failed", "request", w.Header().Get(wire.HeaderRequestID), "method", req.Method, "operation", operation,
			"code", failed.Code, "outcome", failed.Outcome(), "detail", failed.Detail, "took", time.Since(start))
	}
	replica.Fail(w, failed)
}

func (r *Router) serveNothing(w http.ResponseWriter, req *http.Request) {
	start := time.Now()
	r.ids.Name(w, req)
	hint := "the API's description is at " + pathOpenAPI
	if strings.HasPrefix(req.URL.Path, replica.KeyPath) {
		hint = "percent-encode keys only, not " + replica.KeyPath + " in front of them"
	}
	r.fail(w, req, "none", replica.Failure(wire.CodeNoSuchPath, "there is nothing at this path; %s", hint), start)
}

func (r *Router) serveOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header()["Content-Type"] = []string{"application/yaml"}
	w.Header()[wire.HeaderOutcome] = []string{string(wire.Applied)}
	_ = replica.WriteBody(w, []byte(wire.OpenAPI())) // the client has gone away: nobody is left to tell
	return nil
}
