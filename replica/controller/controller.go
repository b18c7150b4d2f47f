package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Config describes one replica. All fields but Logger, Registerer and MemoryQuota are needed.
type Config struct {
	Cluster          string
	Shard            uint32
	Node             string
	ShardCount       uint32
	SlotFunction     store.SlotFunction
	IdempotencyBytes uint64        // bound of the shard's idempotency rows; the value of the first Init counts
	Members          []wire.Member // initial members of this shard, this node included
	DataDir          string
	MemoryQuota      uint64 // bytes, see memoryUsed; puts beyond it get memory-quota; 0 = none
	Tuning           Tuning
	Logger           *slog.Logger
	Registerer       prometheus.Registerer
}

func (cfg *Config) validate() error {
	var errs []error
	if cfg.Cluster == "" || cfg.Node == "" || cfg.DataDir == "" {
		errs = append(errs, errors.New("cluster, node and data must be given"))
	}
	if cfg.ShardCount < 1 || cfg.ShardCount > store.SlotCount {
		errs = append(errs, fmt.Errorf("shard-count %d is not between 1 and %d", cfg.ShardCount, store.SlotCount))
	}
	if cfg.Shard >= cfg.ShardCount {
		errs = append(errs, fmt.Errorf("shard %d: shards are numbered from 0 to shard-count - 1 = %d", cfg.Shard, cfg.ShardCount-1))
	}
	seen := map[string]bool{}
	for _, m := range cfg.Members {
		if seen[m.ID] {
			errs = append(errs, fmt.Errorf("member %q is named twice", m.ID))
		}
		seen[m.ID] = true
	}
	if !seen[cfg.Node] {
		errs = append(errs, fmt.Errorf("members must name this node, %q", cfg.Node))
	}
	return errors.Join(append(errs, cfg.Tuning.Validate())...)
}

// Controller is one replica's member of its shard's Raft group. Its goroutines start in Open and end in Close, which
// joins them: acceptRaft, serveControl (one per member), a controlPeer per member, the proposer, and supervise.
type Controller struct {
	cfg       Config
	shardText string
	log       *slog.Logger
	metrics   *metrics
	folder    *dataFolder
	disk      *diskWatch
	fsm       *fsm
	server    *peer.Server
	proposer  *proposer
	writes    reservations
	peers     map[string]*controlPeer // by node id; read only after Open
	started   time.Time

	leaderReads   *readRounds
	followerReads *readRounds
	stalled       broadcast // fires while the disk is stalled: writes under way end as unknown
	leaderChanged broadcast // fires when this node hears of another leader

	stores          *stores // set once formed
	group           atomic.Pointer[group]
	readyTerm       atomic.Uint64 // the term in which this node, as its leader, has applied a TermStart
	caughtUp        atomic.Bool   // has applied, once since the start, all that was committed at some moment since the start
	freshAt         atomic.Int64  // nanoseconds since started: begin of the newest round whose index is applied here; 0 = none
	logged          logSize
	reloading       sync.Mutex    // held while raft's configuration is read and changed
	restores        atomic.Uint64 // calls of fsm.Restore
	restoresChecked uint64        // those that repair has looked at; superviseHealth's own, like shortSince
	shortSince      time.Time     // since when raft believes in entries that the log lacks; zero = it does not
	transferring    transferRefusals
	snapshotAt      atomic.Int64  // unix nanoseconds of the newest snapshot, 0 = none
	summonedIn      atomic.Uint64 // the newest term in which this node, as its leader, told another to take over
	readyAt         atomic.Int64  // nanoseconds since started: when readyTerm was set
	draining        atomic.Bool   // not ready any more, still serving
	closing         atomic.Bool   // writes are refused

	failure struct {
		sync.Mutex
		err error
	}
	fatal  chan error
	ctx    context.Context
	cancel context.CancelFunc
	closed chan struct{} // closed when Close begins to tear down
	once   sync.Once
	joined sync.WaitGroup
}

// Open checks the data folder and joins the shard on the peer listener, which it takes over. It returns as soon as the
// node can answer its peers; NotReady tells what it still waits for. Errors name what is wrong and what to do.
func Open(cfg Config, listener net.Listener) (*Controller, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MemoryQuota == 0 {
		cfg.MemoryQuota = 1 << 62
	}
	cfg.Members = append([]wire.Member(nil), cfg.Members...)
	sort.Slice(cfg.Members, func(i, j int) bool { return cfg.Members[i].ID < cfg.Members[j].ID })
	folder, err := openDataFolder(cfg.DataDir, folderIdentity{
		Cluster: cfg.Cluster, Shard: cfg.Shard, Node: cfg.Node, ShardCount: cfg.ShardCount, SlotFunction: cfg.SlotFunction.String(),
	})
	if err != nil {
		return nil, err
	}
	c := &Controller{
		cfg: cfg, shardText: strconv.FormatUint(uint64(cfg.Shard), 10), folder: folder, started: time.Now(),
		log:    cfg.Logger.With("node", cfg.Node, "shard", cfg.Shard),
		peers:  map[string]*controlPeer{},
		fatal:  make(chan error, 1),
		closed: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.fsm = &fsm{c: c, machine: store.New()}
	c.metrics = newMetrics(c, cfg.Registerer)
	c.disk = newDiskWatch(cfg.DataDir, cfg.Tuning, c.closed, func(err error) {
		c.log.Error("the disk refused a log write: this node gives up leadership and takes no writes until the disk has room", "error", err)
		c.summonSuccessor() // now: raft steps down when it hears of the error, and only a leader calls
		if err := c.stores.unmapped(); err != nil {
			c.fail(err)
		}
	})
	if c.stores, err = c.openStores(); err != nil {
		c.metrics.unregister()
		return nil, err
	}
	c.leaderReads = &readRounds{limit: cfg.Tuning.ReadRoundsInFlight, round: c.leaderRound, ctx: c.ctx, note: c.metrics.observeRound}
	c.followerReads = &readRounds{limit: cfg.Tuning.ReadRoundsInFlight, round: c.followerRound, ctx: c.ctx, note: func(int) {}}
	c.proposer = newProposer(c)
	c.server = peer.Serve(listener, c.PeerIdentity, c.admit, c.log)
	c.start()
	return c, nil
}

func (c *Controller) start() {
	run := func(f func()) {
		c.joined.Add(1)
		go func() {
			defer c.joined.Done()
			f()
		}()
	}
	for _, m := range c.cfg.Members {
		if m.ID != c.cfg.Node {
			p := &controlPeer{c: c, node: m.ID, queue: make(chan controlRequest, controlQueue)}
			c.peers[m.ID] = p
			run(func() { p.run(c.ctx) })
		}
	}
	run(c.acceptRaft)
	run(c.serveControl)
	run(func() { c.proposer.run(c.closed) })
	run(c.supervise)
}

// raft returns the present raft instance, nil until the shard is formed and while it is being replaced.
func (c *Controller) raft() *raft.Raft {
	if g := c.group.Load(); g != nil {
		return g.raft()
	}
	return nil
}

// PeerServer is the peer port, whose API listener the node serves.
func (c *Controller) PeerServer() *peer.Server { return c.server }

// PeerIdentity is what this node says of itself in handshakes.
func (c *Controller) PeerIdentity() peer.Identity {
	return peer.Identity{Cluster: c.cfg.Cluster, Shard: c.cfg.Shard, Node: c.cfg.Node, Disk: c.folder.identity().Disk,
		Shape: fmt.Sprintf("%d shards, %s", c.cfg.ShardCount, c.cfg.SlotFunction)}
}

// Fatal delivers the error after which this node must not go on.
func (c *Controller) Fatal() <-chan error { return c.fatal }

// fail records the first fatal error. The node stops answering at once and is then ended by its owner.
func (c *Controller) fail(err error) {
	c.failure.Lock()
	first := c.failure.err == nil
	if first {
		c.failure.err = err
	}
	c.failure.Unlock()
	if first {
		c.log.Error("this node can't go on", "error", err)
		c.fatal <- err
	}
}

func (c *Controller) failed() error {
	c.failure.Lock()
	defer c.failure.Unlock()
	return c.failure.err
}

// checkIdentity refuses to serve a machine that was made by other flags: the first Init in the log wins.
func (c *Controller) checkIdentity(v *store.View) {
	id, ok := v.Identity()
	if !ok || (id.Cluster == c.cfg.Cluster && uint32(id.Shard) == c.cfg.Shard && id.ShardCount == c.cfg.ShardCount && id.SlotFunction == c.cfg.SlotFunction) {
		return
	}
	c.fail(fmt.Errorf("this shard was made as cluster %q, shard %d, --shard-count=%d, --slot-function=%s, but this node was started as cluster %q, shard %d, --shard-count=%d, --slot-function=%s; start it with the first",
		id.Cluster, id.Shard, id.ShardCount, id.SlotFunction, c.cfg.Cluster, c.cfg.Shard, c.cfg.ShardCount, c.cfg.SlotFunction))
}

// StartDraining makes the node not ready, while it goes on serving: the first step of a graceful stop.
func (c *Controller) StartDraining() { c.draining.Store(true) }

// StopWrites refuses new writes; those under way go on. Second step of a graceful stop.
func (c *Controller) StopWrites() { c.closing.Store(true) }

// Close ends everything and joins all goroutines, at most until ctx ends. What is under way ends as unknown. Nothing
// acknowledged depends on it: it only saves an election when TransferLeadership ran before.
func (c *Controller) Close(ctx context.Context) error {
	var err error
	c.once.Do(func() { err = c.close(ctx) })
	return err
}

func (c *Controller) close(ctx context.Context) error {
	c.draining.Store(true)
	c.closing.Store(true)
	close(c.closed)
	c.cancel()
	errs := []error{c.server.Close()}
	ended := make(chan struct{})
	go func() { c.joined.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("some work did not end in time: %w", ctx.Err()))
	}
	if g := c.group.Load(); g != nil {
		if err := g.close(ctx); err != nil {
			c.metrics.unregister()
			return errors.Join(append(errs, err)...) // raft may still write: the log must stay open
		}
	}
	errs = append(errs, c.stores.bolt.Close())
	c.metrics.unregister()
	return errors.Join(errs...)
}
