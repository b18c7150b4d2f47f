package node

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/shardrouter/proxysync"
)

// RouterConfig describes a standalone router: the flags of `kvorum router`. Zero values mean the defaults of Config.
type RouterConfig struct {
	Cluster string
	Name    string   // among routers; default: drawn
	Seeds   []string // peer addresses (host:port) of any nodes of the cluster
	Listen  string   // API address, host:port

	HAProxySocket  string // admin socket, path or host:port; "": there is no HAProxy to keep in step
	HAProxyMap     string // slot map file
	HAProxyMapKeep bool   // don't write it

	MaxValueBytes   int64
	RequestTimeout  time.Duration
	MaxRequests     int64
	MaxRequestBytes int64
	Timing          Timing

	Logger  *slog.Logger
	Version string
}

// Router is a running standalone router: the API for any key, and HAProxy kept in step. Its goroutines start in OpenRouter
// and end in Close, which joins them.
type Router struct {
	server  *http.Server
	address string
	fatal   chan error
	stop    context.CancelFunc
	joined  sync.WaitGroup
	once    sync.Once
	err     error
}

// OpenRouter starts a router. No node need be up yet.
func OpenRouter(ctx context.Context, cfg RouterConfig) (*Router, error) {
	limits := Config{MaxValueBytes: cfg.MaxValueBytes, RequestTimeout: cfg.RequestTimeout, MaxRequests: cfg.MaxRequests, MaxRequestBytes: cfg.MaxRequestBytes, Timing: cfg.Timing, Logger: cfg.Logger}.withDefaults()
	if err := errors.Join(checkAddress("--listen", cfg.Listen), checkSeeds(cfg.Seeds)); err != nil {
		return nil, err
	}
	if cfg.Name == "" {
		cfg.Name = rand.Text()[:8]
	}
	front, err := network.Listen(ctx, cfg.Listen)
	if err != nil {
		return nil, portError("listen", cfg.Listen, err)
	}
	registry := newRegistry()
	router := shardrouter.New(shardrouter.Config{
		Self: peer.Identity{Cluster: cfg.Cluster, Node: "router-" + cfg.Name}, Seeds: cfg.Seeds,
		MaxValueBytes: limits.MaxValueBytes, MaxRequests: limits.MaxRequests, MaxBytes: limits.MaxRequestBytes, RequestTimeout: limits.RequestTimeout,
		LeaderWait: limits.Timing.LeaderWait, ReadAttempt: limits.Timing.ReadAttempt,
		Logger: limits.Logger, Registerer: registry, Gatherer: registry, Version: cfg.Version,
	})
	running, stop := context.WithCancel(context.Background())
	r := &Router{server: newServer(router.Handler(), limits), address: front.Addr().String(), fatal: make(chan error, 3), stop: stop}
	r.run(func() error { return router.Run(running) })
	r.run(func() error { return r.server.Serve(front) })
	if cfg.HAProxySocket != "" {
		r.run(func() error { return cfg.follower(router, registry).Run(running) })
	}
	return r, nil
}

func (cfg RouterConfig) follower(router *shardrouter.Router, registry *prometheus.Registry) *proxysync.Sync {
	return proxysync.New(proxysync.Config{
		Socket: proxysync.Socket(cfg.HAProxySocket), MapFile: cfg.HAProxyMap, KeepFile: cfg.HAProxyMapKeep, Logger: cfg.Logger, Registerer: registry,
	}, router)
}

func (r *Router) run(part func() error) {
	r.joined.Go(func() {
		if err := part(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			r.fatal <- err
		}
	})
}

// APIAddress is where the router listens.
func (r *Router) APIAddress() string { return r.address }

// Wait returns the error after which the router must not go on, or nil when ctx ends.
func (r *Router) Wait(ctx context.Context) error {
	select {
	case err := <-r.fatal:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Close ends requests under way, within ctx, and then the rest.
func (r *Router) Close(ctx context.Context) error {
	r.once.Do(func() {
		if err := r.server.Shutdown(ctx); err != nil {
			r.err = r.server.Close()
		}
		r.stop()
		r.joined.Wait()
	})
	return r.err
}
