package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// DevConfig describes a whole cluster in one process, on loopback.
type DevConfig struct {
	Listen       string // API of the router in front, host:port
	DataDir      string
	Shards       int
	Replicas     int
	SlotFunction store.SlotFunction
	Tuning       controller.Tuning
	Limits       Config // MaxValueBytes, MemoryQuota (of the whole process), IdempotencyBytes, RequestTimeout, MaxRequests, MaxRequestBytes, DrainTime, Timing
	Logger       *slog.Logger
	Version      string
}

// Dev is a cluster in one process: real nodes that talk over real sockets, and a router in front.
type Dev struct {
	Nodes      []*Node // shard by shard
	router     *shardrouter.Router
	server     *http.Server
	apiAddress string
	fatal      chan error
	stopRouter context.CancelFunc
	joined     sync.WaitGroup
	once       sync.Once
	closeErr   error
}

// OpenDev starts the cluster. The same DataDir may be opened again on other ports.
func OpenDev(ctx context.Context, cfg DevConfig) (*Dev, error) {
	if cfg.Shards < 1 || cfg.Shards > store.SlotCount || cfg.Replicas < 1 || cfg.Replicas > 9 {
		return nil, fmt.Errorf("%d shards with %d replicas: give 1-%d shards and 1-9 replicas", cfg.Shards, cfg.Replicas, store.SlotCount)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	front, err := network.Listen(ctx, cfg.Listen) // before anything is written: most failed starts end here
	if err != nil {
		return nil, portError("listen", cfg.Listen, err)
	}
	if err := claimDevFolder(cfg.DataDir, devShape{cfg.Shards, cfg.Replicas}); err != nil {
		return nil, errors.Join(err, front.Close())
	}
	d := &Dev{apiAddress: front.Addr().String(), fatal: make(chan error, 1)}
	if err := d.openNodes(ctx, cfg); err != nil {
		return nil, errors.Join(err, front.Close(), d.Close(ctx))
	}
	d.openRouter(cfg, front)
	return d, nil
}

// devListeners holds the sockets of one node, opened before any node starts, so that all know all addresses.
type devListeners struct{ api, peers net.Listener }

func (d *Dev) openNodes(ctx context.Context, cfg DevConfig) error {
	var listeners []devListeners
	members := make([][]wire.Member, cfg.Shards)
	var seeds []string
	for shard := range cfg.Shards {
		for r := range cfg.Replicas {
			l, err := listenTwo(ctx)
			if err != nil {
				return err
			}
			listeners = append(listeners, l)
			members[shard] = append(members[shard], wire.Member{ID: fmt.Sprintf("s%dn%d", shard, r), PeerAddress: l.peers.Addr().String(), APIAddress: l.api.Addr().String()})
			seeds = append(seeds, l.peers.Addr().String())
		}
	}
	for i, l := range listeners {
		shard, r := i/cfg.Replicas, i%cfg.Replicas
		node := cfg.nodeConfig(shard, members[shard], r)
		node.Seeds = seeds
		n, err := open(node, l.api, l.peers)
		if err != nil {
			return err
		}
		d.Nodes = append(d.Nodes, n)
	}
	return nil
}

func listenTwo(ctx context.Context) (devListeners, error) {
	api, err := network.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return devListeners{}, err
	}
	peers, err := network.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return devListeners{}, errors.Join(err, api.Close())
	}
	return devListeners{api, peers}, nil
}

func (cfg DevConfig) nodeConfig(shard int, members []wire.Member, replica int) Config {
	node := cfg.Limits
	node.Cluster, node.Shard, node.ShardCount, node.SlotFunction = "dev", uint32(shard), uint32(cfg.Shards), cfg.SlotFunction
	node.Members, node.Node = members, members[replica].ID
	node.DataDir = filepath.Join(cfg.DataDir, node.Node)
	node.Tuning, node.Logger, node.Version = cfg.Tuning, cfg.Logger, cfg.Version
	quota := node.MemoryQuota
	if quota == 0 {
		quota = MemoryQuotaFor(AvailableMemory())
	}
	node.MemoryQuota = quota / uint64(cfg.Shards*cfg.Replicas)
	return node
}

func (d *Dev) openRouter(cfg DevConfig, front net.Listener) {
	limits := cfg.Limits.withDefaults()
	gatherers := prometheus.Gatherers{}
	registry := prometheus.NewRegistry()
	gatherers = append(gatherers, labelled(registry, "node", "router"))
	var seeds []string
	for _, n := range d.Nodes {
		gatherers = append(gatherers, labelled(n.registry, "node", n.cfg.Node))
		seeds = append(seeds, n.peerAddr)
	}
	d.router = shardrouter.New(shardrouter.Config{
		Self: peer.Identity{Cluster: "dev", Node: "router-dev"}, Seeds: seeds, ShardCount: uint32(cfg.Shards), SlotFunction: limits.SlotFunction,
		MaxValueBytes: limits.MaxValueBytes, MaxRequests: limits.MaxRequests, MaxBytes: limits.MaxRequestBytes, RequestTimeout: limits.RequestTimeout,
		LeaderWait: limits.Timing.LeaderWait, ReadAttempt: limits.Timing.ReadAttempt,
		Logger: cfg.Logger, Registerer: registry, Gatherer: gatherers, Version: cfg.Version, ReadyWhenAll: true,
	})
	d.server = newServer(d.router.Handler(), limits)
	ctx, cancel := context.WithCancel(context.Background())
	d.stopRouter = cancel
	for _, part := range []func() error{func() error { return d.router.Run(ctx) }, func() error { return d.server.Serve(front) }} {
		d.joined.Add(1)
		go func() {
			defer d.joined.Done()
			_ = part() // ends with Close; a broken listener shows as a cluster that is not ready
		}()
	}
}

// APIAddress is where the router in front listens.
func (d *Dev) APIAddress() string { return d.apiAddress }

// Wait returns the first node's error after which the cluster must not go on, or nil when ctx ends.
func (d *Dev) Wait(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, len(d.Nodes))
	for _, n := range d.Nodes {
		go func() { errs <- n.Wait(ctx) }()
	}
	for range d.Nodes {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

// Close stops the router, then all nodes at once. There is nobody left to hand leadership to, so it does not wait for that.
func (d *Dev) Close(ctx context.Context) error {
	d.once.Do(func() { d.closeErr = d.close(ctx) })
	return d.closeErr
}

func (d *Dev) close(ctx context.Context) error {
	var errs []error
	if d.server != nil {
		if err := d.server.Shutdown(ctx); err != nil {
			errs = append(errs, d.server.Close())
		}
		d.stopRouter()
		d.joined.Wait()
	}
	var mu sync.Mutex
	var closing sync.WaitGroup
	for _, n := range d.Nodes {
		closing.Add(1)
		go func() {
			defer closing.Done()
			err := n.closeNow(ctx)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}()
	}
	closing.Wait()
	return errors.Join(errs...)
}
