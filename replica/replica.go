package replica

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Options of a replica's request handler. The zero value of each has a default.
type Options struct {
	MaxValueBytes  int64         // largest value of a key; default wire.MaxValueBytes
	RequestTimeout time.Duration // of one request; default 10 s
	MaxRequests    int64         // from other nodes, in flight; default 8192
	MaxBytes       int64         // of bodies of requests from other nodes, in flight; default 256 MiB
	Registerer     prometheus.Registerer
	Logger         *slog.Logger
	Version        string // of the program, for the status
	APIAddress     string // where clients reach this node, for the status
}

func (o Options) withDefaults() Options {
	if o.MaxValueBytes <= 0 {
		o.MaxValueBytes = wire.MaxValueBytes
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = 10 * time.Second
	}
	if o.MaxRequests <= 0 {
		o.MaxRequests = 8192
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Replica answers requests from one controller's machine. It starts no goroutines that outlive a call.
type Replica struct {
	controller *controller.Controller
	shard      store.Shard
	opt        Options
	limiter    *Limiter
	ids        *RequestIDs
	metrics    *metrics
	handler    http.Handler
}

// New makes the request handler of c.
func New(c *controller.Controller, opt Options) *Replica {
	opt = opt.withDefaults()
	r := &Replica{
		controller: c,
		shard:      store.Shard(c.Shard()),
		opt:        opt,
		limiter:    NewLimiter(opt.MaxRequests, opt.MaxBytes),
		ids:        NewRequestIDs(),
	}
	r.metrics = newMetrics(opt.Registerer, r.limiter)
	r.handler = r.routes()
	return r
}

// Handler is the API between nodes, for the peer port. It answers for this replica only: see the package comment.
func (r *Replica) Handler() http.Handler { return r.handler }

// Controller is the replication controller behind the handler.
func (r *Replica) Controller() *controller.Controller { return r.controller }

// MaxValueBytes is the largest value that this replica takes.
func (r *Replica) MaxValueBytes() int64 { return r.opt.MaxValueBytes }
