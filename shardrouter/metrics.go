package shardrouter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// metrics of what clients asked this node for.
type metrics struct {
	operations *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	forwards   *prometheus.CounterVec
	waits      prometheus.Counter

	// The frequent ones, looked up once: by operation of a key.
	answered [replica.Delete + 1]prometheus.Counter
	took     [replica.Delete + 1]prometheus.Observer
}

func newMetrics(registerer prometheus.Registerer, r *Router) *metrics {
	m := &metrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kvorum_operations_total", Help: "Requests of clients, by what became of them.",
		}, []string{"operation", "outcome", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kvorum_operation_seconds", Help: "Time from a client's request to the beginning of its reply.", Buckets: replica.LatencyBuckets(),
		}, []string{"operation"}),
		forwards: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kvorum_forwards_total", Help: "Requests for keys sent to other nodes: answered, refused (not applied), unsent, lost (no reply).",
		}, []string{"result"}),
		waits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kvorum_router_waits_total", Help: "Requests that had to wait for their shard to have a leader.",
		}),
	}
	registerer.MustRegister(m.operations, m.seconds, m.forwards, m.waits)
	gauge := func(name, help string, value func() float64) {
		registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("kvorum_requests_in_flight", "Requests of clients in flight.", func() float64 { return float64(r.limiter.Requests()) })
	gauge("kvorum_request_bytes_in_flight", "Bytes of their bodies.", func() float64 { return float64(r.limiter.Bytes()) })
	gauge("kvorum_table_epoch", "Epoch of the slot table that this node goes by; 0: not known yet.", func() float64 { return float64(r.now().table.Epoch) })
	gauge("kvorum_table_version", "Version of the slot table that this node goes by; 0: not known yet.", func() float64 { return float64(r.now().table.Version) })
	for op := range m.answered {
		name := replica.Operation(op).String()
		m.answered[op] = m.operations.WithLabelValues(name, string(wire.Applied), "ok")
		m.took[op] = m.seconds.WithLabelValues(name)
	}
	return m
}

// key counts a request for a key.
func (m *metrics) key(op replica.Operation, outcome wire.Outcome, code wire.Code, start time.Time) {
	if code == "" && outcome == wire.Applied {
		m.answered[op].Inc()
	} else {
		m.operations.WithLabelValues(op.String(), string(outcome), replica.CodeLabel(code)).Inc()
	}
	m.took[op].Observe(time.Since(start).Seconds())
}

// other counts any other request.
func (m *metrics) other(operation string, err error, start time.Time) {
	outcome, code := wire.Applied, wire.Code("")
	if err != nil {
		failed := replica.AsError(err)
		outcome, code = failed.Outcome(), failed.Code
	}
	m.operations.WithLabelValues(operation, string(outcome), replica.CodeLabel(code)).Inc()
	m.seconds.WithLabelValues(operation).Observe(time.Since(start).Seconds())
}
