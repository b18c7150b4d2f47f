package proxysync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// Cluster is what proxysync follows: a shardrouter.Router.
type Cluster interface {
	Table() (wire.Table, <-chan struct{})
	WatchLeaders(ctx context.Context, tell func(shardrouter.Leader))
}

// Config says where HAProxy is.
type Config struct {
	Socket     Socket
	MapFile    string        // where the slot map is written for HAProxy's next start; its base name finds the map in HAProxy
	KeepFile   bool          // don't write MapFile: it only names the map
	Every      time.Duration // how often HAProxy is looked at, for restarts and changes by others; default 1 s
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Sync keeps one HAProxy in step. Run does all the work.
type Sync struct {
	cfg     Config
	cluster Cluster
	metrics *metrics

	mu      sync.Mutex // one at a time talks to HAProxy and changes what follows
	leaders map[uint32]shardrouter.Leader
	pid     string // of the HAProxy that was last seen
	mapName string // as that HAProxy knows it
	trouble string // logged when it changes, not each second
}

// New makes a Sync.
func New(cfg Config, cluster Cluster) *Sync {
	if cfg.Every <= 0 {
		cfg.Every = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Sync{cfg: cfg, cluster: cluster, metrics: newMetrics(cfg.Registerer), leaders: map[uint32]shardrouter.Leader{}}
}

// Run follows the cluster until ctx ends; what it started has joined then. HAProxy may come and go.
func (s *Sync) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	watching.Go(func() { s.cluster.WatchLeaders(ctx, func(l shardrouter.Leader) { s.lead(ctx, l) }) })
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		table, news := s.cluster.Table()
		if table.Version > 0 {
			s.note(ctx, s.follow(ctx, table))
		}
		select {
		case <-news:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	watching.Wait()
	return nil
}

// follow compares HAProxy with the table and mends what differs.
func (s *Sync) follow(ctx context.Context, table wire.Table) error {
	lines := rows(table)
	var file error
	if !s.cfg.KeepFile { // before the commit: a reload in between reads the new rows
		file = writeFile(s.cfg.MapFile, lines)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mapName == "" {
		name, err := s.cfg.Socket.findMap(ctx, s.cfg.MapFile)
		if err != nil {
			return errors.Join(file, err)
		}
		s.mapName = name
	}
	seen, err := s.cfg.Socket.look(ctx, s.mapName)
	if err != nil {
		s.mapName = "" // another HAProxy may call it otherwise
		return errors.Join(file, err)
	}
	if !slices.Equal(seen.rows, lines) {
		if err := s.cfg.Socket.swap(ctx, s.mapName, lines); err != nil {
			return errors.Join(file, err)
		}
		s.metrics.swaps.Inc()
		s.cfg.Logger.Info("HAProxy's slot map swapped", "epoch", table.Epoch, "version", table.Version)
	}
	if seen.pid != s.pid { // a new HAProxy takes every server for up until it has checked
		for _, shard := range slices.Sorted(maps.Keys(s.leaders)) {
			if err := s.push(ctx, s.leaders[shard], table); err != nil {
				return errors.Join(file, err)
			}
		}
		s.pid = seen.pid
	}
	return file
}

// lead tells HAProxy of a new leader, sooner than its own checks would.
func (s *Sync) lead(ctx context.Context, l shardrouter.Leader) {
	table, _ := s.cluster.Table()
	s.mu.Lock()
	s.leaders[l.Shard] = l
	start := time.Now()
	err := s.push(ctx, l, table)
	s.mu.Unlock()
	if err == nil {
		s.cfg.Logger.Info("HAProxy told of a leader", "shard", l.Shard, "leader", l.Node, "term", l.Term, "took", time.Since(start))
	}
	s.note(ctx, err)
}

// push marks the leader's server up and then the others down, in the shard's write backend. Each is a command of its own
// reply: a server that HAProxy has not got must not keep the rest from being told. It needs mu.
func (s *Sync) push(ctx context.Context, l shardrouter.Leader, table wire.Table) error {
	backend := fmt.Sprintf("kv_s%d_w", l.Shard)
	commands := []string{"set server " + backend + "/" + l.Node + " health up"}
	for _, m := range table.Shards[l.Shard] {
		if m.ID != l.Node {
			commands = append(commands, "set server "+backend+"/"+m.ID+" health down")
		}
	}
	if err := s.cfg.Socket.Do(ctx, strings.Join(commands, ";"), ""); err != nil {
		return err
	}
	s.metrics.pushes.Inc()
	return nil
}

// note keeps the metrics, and logs trouble when it begins, changes and ends.
func (s *Sync) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	said := ""
	if err != nil {
		said = err.Error()
		s.metrics.failures.Inc()
		s.metrics.inStep.Set(0)
	} else {
		s.metrics.inStep.Set(1)
	}
	s.mu.Lock()
	changed := said != s.trouble
	s.trouble = said
	s.mu.Unlock()
	switch {
	case changed && err != nil:
		s.cfg.Logger.Warn("HAProxy is not in step; it goes on with what it knows", "error", err)
	case changed:
		s.cfg.Logger.Info("HAProxy is in step")
	}
}

// metrics of the work on HAProxy.
type metrics struct {
	swaps, pushes, failures prometheus.Counter
	inStep                  prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		swaps:    prometheus.NewCounter(prometheus.CounterOpts{Name: "kvorum_haproxy_map_swaps_total", Help: "Times that HAProxy's slot map was replaced."}),
		pushes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "kvorum_haproxy_leader_pushes_total", Help: "Times that HAProxy was told who leads a shard."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "kvorum_haproxy_failures_total", Help: "Times that HAProxy could not be told or looked at."}),
		inStep:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "kvorum_haproxy_in_step", Help: "1 if HAProxy had the cluster's slot map and leaders when last looked at."}),
	}
	if registerer != nil {
		registerer.MustRegister(m.swaps, m.pushes, m.failures, m.inStep)
	}
	return m
}
