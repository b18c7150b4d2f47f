package shardrouter

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// serveMetrics shows the metrics to Prometheus. It is not bounded by the limiter: it must answer when nothing else does.
func (r *Router) serveMetrics(w http.ResponseWriter, req *http.Request) {
	start := time.Now()
	r.ids.Name(w, req)
	err := allow(w, req, http.MethodGet)
	if err == nil {
		err = r.expose(w, req)
	}
	if err != nil {
		r.fail(w, req, "metrics", err, start)
	}
}

func (r *Router) expose(w http.ResponseWriter, req *http.Request) error {
	if r.cfg.Gatherer == nil {
		return replica.Failure(wire.CodeNoSuchPath, "this node was built without metrics")
	}
	families, err := r.cfg.Gatherer.Gather()
	if err != nil { // before the reply begins, so that it can be one of ours
		return replica.Failure(wire.CodeInternal, "the metrics could not be gathered: %v", err)
	}
	gathered := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil })
	w.Header()[wire.HeaderOutcome] = []string{string(wire.Applied)}
	promhttp.HandlerFor(gathered, promhttp.HandlerOpts{}).ServeHTTP(w, req)
	return nil
}
