package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/shardrouter"
)

// Node is one running node. Its goroutines (two HTTP servers, the router's, the controller's) start in Open and end in
// Close, which joins them.
type Node struct {
	cfg        Config
	controller *controller.Controller
	router     *shardrouter.Router
	registry   *prometheus.Registry
	api        *http.Server // for clients
	peers      *http.Server // for other nodes
	apiAddress string
	peerAddr   string
	fatal      chan error
	stopRouter context.CancelFunc
	joined     sync.WaitGroup
	once       sync.Once
	closeErr   error
}

// Open starts a node. Errors name what is wrong and what to do about it; nothing is written to a data folder that the
// flags disagree with.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.checkAddresses(); err != nil {
		return nil, err
	}
	peers, err := network.Listen(ctx, cfg.PeerListen)
	if err != nil {
		return nil, portError("peer-listen", cfg.PeerListen, err)
	}
	api, err := network.Listen(ctx, cfg.Listen)
	if err != nil {
		return nil, errors.Join(portError("listen", cfg.Listen, err), peers.Close())
	}
	return open(cfg, api, peers)
}

// open takes over both listeners, also when it fails.
func open(cfg Config, api, peers net.Listener) (*Node, error) {
	cfg = cfg.withDefaults()
	if cfg.AdvertiseAPI == "" {
		cfg.AdvertiseAPI = api.Addr().String()
	}
	n := &Node{cfg: cfg, registry: newRegistry(), apiAddress: api.Addr().String(), peerAddr: peers.Addr().String(), fatal: make(chan error, 3)}
	c, err := controller.Open(controller.Config{
		Cluster: cfg.Cluster, Shard: cfg.Shard, Node: cfg.Node, ShardCount: cfg.ShardCount, SlotFunction: cfg.SlotFunction,
		IdempotencyBytes: cfg.IdempotencyBytes, Members: cfg.Members, DataDir: cfg.DataDir, MemoryQuota: cfg.MemoryQuota,
		Tuning: cfg.Tuning, Logger: cfg.Logger, Registerer: n.registry,
	}, peers)
	if err != nil {
		return nil, errors.Join(err, api.Close(), peers.Close())
	}
	n.controller = c
	local := replica.New(c, replica.Options{
		MaxValueBytes: cfg.MaxValueBytes, RequestTimeout: cfg.RequestTimeout, MaxRequests: cfg.MaxRequests, MaxBytes: cfg.MaxRequestBytes,
		Registerer: n.registry, Logger: cfg.Logger, Version: cfg.Version, APIAddress: cfg.AdvertiseAPI,
	})
	n.router = shardrouter.New(shardrouter.Config{
		Self: c.PeerIdentity(), Local: local, Seeds: cfg.Seeds, Members: cfg.Members, ShardCount: cfg.ShardCount, SlotFunction: cfg.SlotFunction,
		MaxValueBytes: cfg.MaxValueBytes, MaxRequests: cfg.MaxRequests, MaxBytes: cfg.MaxRequestBytes, RequestTimeout: cfg.RequestTimeout,
		LeaderWait: cfg.Timing.LeaderWait, ReadAttempt: cfg.Timing.ReadAttempt,
		Logger: cfg.Logger, Registerer: n.registry, Gatherer: n.registry, Version: cfg.Version,
	})
	n.start(n.router.PeerHandler(), api)
	return n, nil
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector())
	return r
}

func (n *Node) start(peerAPI http.Handler, api net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	n.stopRouter = cancel
	n.api = newServer(n.router.Handler(), n.cfg)
	n.peers = newServer(peerAPI, n.cfg)
	n.run(func() error { return n.router.Run(ctx) })
	n.run(func() error { return n.api.Serve(api) })
	n.run(func() error { return n.peers.Serve(n.controller.PeerServer().Listener(peer.API)) })
}

// run starts a part whose early end is fatal.
func (n *Node) run(part func() error) {
	n.joined.Add(1)
	go func() {
		defer n.joined.Done()
		if err := part(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {
			n.fatal <- err
		}
	}()
}

// newServer speaks HTTP/1.1 only: a reused HTTP/2 connection that dies can make clients run one PUT several times.
func newServer(handler http.Handler, cfg Config) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: cfg.Timing.ReadHeaderTimeout,
		ReadTimeout:       cfg.Timing.ReadTimeout, // handlers bound their work by RequestTimeout
		IdleTimeout:       cfg.Timing.IdleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          newServerLog(cfg.Logger),
	}
}

// APIAddress is where clients reach this node (host:port, as listened on).
func (n *Node) APIAddress() string { return n.apiAddress }

// PeerAddress is where other nodes reach this one.
func (n *Node) PeerAddress() string { return n.peerAddr }

// Controller gives tests and the dev cluster the replication controller.
func (n *Node) Controller() *controller.Controller { return n.controller }

// Wait returns the error after which the node must not go on, or nil when ctx ends.
func (n *Node) Wait(ctx context.Context) error {
	select {
	case err := <-n.controller.Fatal():
		return err
	case err := <-n.fatal:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Close stops gracefully, within ctx: it is not ready for DrainTime while it still serves (load balancers see it go), hands
// over leadership, ends requests under way, and closes the log. Nothing acknowledged depends on it.
func (n *Node) Close(ctx context.Context) error {
	n.once.Do(func() { n.closeErr = n.close(ctx) })
	return n.closeErr
}

func (n *Node) close(ctx context.Context) error {
	n.controller.StartDraining()
	select {
	case <-time.After(n.cfg.DrainTime):
	case <-ctx.Done():
	}
	if n.controller.Leading() && len(n.cfg.Members) > 1 {
		transfer, cancel := context.WithTimeout(ctx, 3*time.Second)
		if err := n.controller.TransferLeadership(transfer, ""); err != nil {
			n.cfg.Logger.Warn("leadership not handed over; the others will elect", "error", err)
		}
		cancel()
	}
	return n.teardown(ctx)
}

// closeNow is Close without draining and without handing over.
func (n *Node) closeNow(ctx context.Context) error {
	n.once.Do(func() { n.closeErr = n.teardown(ctx) })
	return n.closeErr
}

func (n *Node) teardown(ctx context.Context) error {
	var errs []error
	serving, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	if err := n.api.Shutdown(serving); err != nil {
		errs = append(errs, n.api.Close())
	}
	n.controller.StopWrites()
	n.stopRouter()
	errs = append(errs, n.peers.Close(), n.controller.Close(ctx))
	n.joined.Wait()
	return errors.Join(errs...)
}
