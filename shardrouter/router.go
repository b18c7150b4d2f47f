package shardrouter

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Config describes one router.
type Config struct {
	Self  peer.Identity    // who dials; with Local, the local node
	Local *replica.Replica // nil: a standalone router
	Seeds []string         // peer addresses, host:port, of any nodes of the cluster
	// Members of the local node's shard, as its flags give them: they count more than what the table says.
	Members []wire.Member
	// ShardCount and SlotFunction at the cluster's creation, until the table is known. A standalone router may leave
	// them 0: it answers not-ready until then.
	ShardCount   uint32
	SlotFunction store.SlotFunction

	RequestTimeout time.Duration // of one request, until its reply begins; default 10 s
	LeaderWait     time.Duration // how long a request waits for its shard to have a leader; default and most: see leaderWait
	ReadAttempt    time.Duration // how long one replica may take for a read before another is asked; default 3 s
	MaxValueBytes  int64         // largest value; default that of Local, else wire.MaxValueBytes
	MaxRequests    int64         // in flight; more get 429; default 8192
	MaxBytes       int64         // of bodies in flight; more get 429; default 256 MiB

	// ReadyWhenAll makes a standalone router ready only when every replica is, not a majority: kvorum dev starts all of them.
	ReadyWhenAll bool

	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer // behind /metrics; default Registerer, if it is one
	Logger     *slog.Logger
	Version    string
}

func (c Config) withDefaults() Config {
	setDefault(&c.RequestTimeout, 10*time.Second)
	c.LeaderWait = leaderWait(c.LeaderWait, c.RequestTimeout)
	setDefault(&c.ReadAttempt, 3*time.Second)
	if c.Local != nil {
		setDefault(&c.MaxValueBytes, c.Local.MaxValueBytes())
	}
	setDefault(&c.MaxValueBytes, wire.MaxValueBytes)
	setDefault(&c.MaxRequests, 8192)
	setDefault(&c.MaxBytes, 256<<20)
	if c.SlotFunction == 0 {
		c.SlotFunction = store.LastByte
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if gatherer, ok := c.Registerer.(prometheus.Gatherer); ok && c.Gatherer == nil {
		c.Gatherer = gatherer
	}
	return c
}

// leaderWait bounds the wait for a leader by four fifths of a request's time, which is also the default. An election that is
// lost once or twice, as it happens among few replicas, takes several times as long as one that is not: who gives up in the
// middle of it refuses what could have been done. The last fifth is for the request itself: sent at the very end, its
// outcome would be unknown.
func leaderWait(wanted, request time.Duration) time.Duration {
	most := request / 5 * 4
	if wanted <= 0 {
		return most
	}
	return min(wanted, most)
}

func setDefault[T int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Router is the public API of a node, or of a standalone router. Its handlers start goroutines only for the length of a
// request and join them; what goes on between requests runs in Run.
type Router struct {
	cfg     Config
	local   *replica.Replica // nil: standalone
	log     *slog.Logger
	limiter *replica.Limiter
	ids     *replica.RequestIDs
	metrics *metrics
	link    *http.Transport
	directory
	leaders leaderBook
	quiet   quietBook
	seeds   seedBook
	turn    atomic.Uint32 // spreads reads that any replica may answer
	handler http.Handler
}

// New makes a router. Run must be running for its table to stay fresh.
func New(cfg Config) *Router {
	cfg = cfg.withDefaults()
	r := &Router{
		cfg: cfg, local: cfg.Local, log: cfg.Logger,
		limiter: replica.NewLimiter(cfg.MaxRequests, cfg.MaxBytes),
		ids:     replica.NewRequestIDs(),
	}
	r.directory.init(cfg)
	r.leaders.init()
	r.quiet.init()
	r.link = newTransport(cfg.Self)
	r.metrics = newMetrics(cfg.Registerer, r)
	r.handler = r.routes()
	return r
}

// Handler is the public API.
func (r *Router) Handler() http.Handler { return r.handler }

// isLocal reports whether a shard is the local replica's.
func (r *Router) isLocal(shard uint32) bool { return r.local != nil && shard == r.cfg.Self.Shard }
