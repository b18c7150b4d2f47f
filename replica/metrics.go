package replica

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what this replica carried out for other nodes. What clients asked this node for is counted by the router.
type metrics struct {
	operations *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer, limiter *Limiter) *metrics {
	m := &metrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kvorum_peer_operations_total", Help: "Requests from other nodes, by what became of them.",
		}, []string{"operation", "outcome", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kvorum_peer_operation_seconds", Help: "Time from the first byte of a request of another node to its reply.",
			Buckets: LatencyBuckets(),
		}, []string{"operation"}),
	}
	registerer.MustRegister(m.operations, m.seconds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kvorum_peer_requests_in_flight", Help: "Requests of other nodes in flight."},
			func() float64 { return float64(limiter.Requests()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kvorum_peer_request_bytes_in_flight", Help: "Bytes of their bodies."},
			func() float64 { return float64(limiter.Bytes()) }))
	return m
}

// LatencyBuckets spans 50 us to about 13 s, each twice the one before.
func LatencyBuckets() []float64 { return prometheus.ExponentialBuckets(50e-6, 2, 19) }

func (m *metrics) observe(operation, outcome, code string, start time.Time) {
	m.operations.WithLabelValues(operation, outcome, code).Inc()
	m.seconds.WithLabelValues(operation).Observe(time.Since(start).Seconds())
}
