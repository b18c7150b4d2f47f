package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/kvorum/kvorum/node"
)

type serveCmd struct {
	Cluster      string   `required:"" group:"identity" placeholder:"NAME" help:"Name of the cluster, the same for all nodes."`
	Shard        uint32   `required:"" group:"identity" placeholder:"N" help:"The shard that this node is a replica of, from 0."`
	Node         string   `required:"" group:"identity" placeholder:"ID" help:"Name of this node, one of --members."`
	ShardCount   uint32   `required:"" group:"identity" placeholder:"N" help:"Number of shards when the cluster was created."`
	SlotFunction string   `default:"last-byte" enum:"last-byte,hash" group:"identity" help:"How keys are spread over slots: last-byte or hash. Chosen when the cluster is created (default ${default})."`
	Members      string   `required:"" group:"identity" placeholder:"LIST" help:"The shard's first replicas: id=host:peerport/host:apiport,..."`
	Seeds        []string `group:"identity" placeholder:"HOST:PORT" help:"Peer addresses of some nodes of the other shards, comma separated."`
	Listen       string   `default:"127.0.0.1:8080" help:"Where clients connect (default ${default})."`
	PeerListen   string   `default:"127.0.0.1:7080" help:"Where other nodes connect (default ${default})."`
	AdvertiseAPI string   `name:"advertise-api" placeholder:"HOST:PORT" help:"Where clients reach this node, if not at --listen."`
	Data         string   `required:"" placeholder:"DIR" help:"Folder of the log and the snapshots. No other node may use it."`

	limits  `embed:""`
	Timing  node.Timing `embed:"" prefix:""`
	logging `embed:"" set:"log_level=info"`
	Tuning  node.Tuning `embed:"" prefix:""`
}

// limits bound what clients may ask and how long a stop may take.
type limits struct {
	MaxValueBytes    byteSize      `default:"1MiB" group:"limits" help:"Largest value (default ${default})."`
	MemoryQuota      byteSize      `group:"limits" placeholder:"SIZE" help:"Memory for rows, log cache and writes under way; writes that would need more get 507. Default: a third of the machine's or container's."`
	IdempotencyBytes byteSize      `default:"64MiB" group:"limits" help:"Memory for idempotency keys. Chosen when the cluster is created (default ${default})."`
	RequestTimeout   time.Duration `default:"10s" group:"limits" help:"Time for one request (default ${default})."`
	MaxRequests      int64         `default:"8192" group:"limits" help:"Requests in flight; more get 429 (default ${default})."`
	MaxRequestBytes  byteSize      `default:"256MiB" group:"limits" help:"Bytes of request bodies in flight; more get 429 (default ${default})."`
	DrainTime        time.Duration `default:"1500ms" group:"limits" help:"How long a node that is being stopped still serves while it says that it is not ready (default ${default})."`
	ShutdownGrace    time.Duration `default:"9s" group:"limits" help:"Time for a stop in good order (SIGTERM or Ctrl-C), draining included; then the node stops as it is. Nothing acknowledged is lost either way (default ${default})."`
}

func (l limits) config() node.Config {
	return node.Config{
		MaxValueBytes: int64(l.MaxValueBytes), MemoryQuota: uint64(l.MemoryQuota), IdempotencyBytes: uint64(l.IdempotencyBytes),
		RequestTimeout: l.RequestTimeout, MaxRequests: l.MaxRequests, MaxRequestBytes: int64(l.MaxRequestBytes), DrainTime: l.DrainTime,
	}
}

// logging chooses what is logged, on standard error.
type logging struct {
	LogLevel  string `default:"${log_level}" enum:"debug,info,warn,error,off" group:"logging" help:"debug, info, warn, error or off (default ${default})."`
	LogFormat string `default:"text" enum:"text,json" group:"logging" help:"text or json (default ${default})."`
}

func (l logging) logger(w io.Writer) *slog.Logger {
	if l.LogLevel == "off" {
		return slog.New(slog.DiscardHandler)
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.LogLevel)) // kong has checked it against the enumeration
	options := &slog.HandlerOptions{Level: level}
	if l.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (c *serveCmd) config(stderr io.Writer) (node.Config, error) {
	members, err := node.ParseMembers(c.Members)
	if err != nil {
		return node.Config{}, usagef("--members: %w", err)
	}
	slotFunction, err := node.ParseSlotFunction(c.SlotFunction)
	if err != nil {
		return node.Config{}, usagef("--slot-function: %w", err)
	}
	if err := errors.Join(c.Timing.Validate(), c.Tuning.Validate()); err != nil {
		return node.Config{}, usageError{err}
	}
	config := c.limits.config()
	config.Timing = c.Timing
	config.Cluster, config.Shard, config.Node, config.ShardCount, config.SlotFunction = c.Cluster, c.Shard, c.Node, c.ShardCount, slotFunction
	config.Members, config.Seeds, config.Listen, config.PeerListen, config.AdvertiseAPI = members, c.Seeds, c.Listen, c.PeerListen, c.AdvertiseAPI
	config.DataDir, config.Tuning, config.Version = c.Data, c.Tuning, version()
	config.Logger = c.logging.logger(stderr)
	return config, nil
}

// Run serves until a signal comes or the node can't go on.
func (c *serveCmd) Run(p *program) error {
	config, err := c.config(p.stderr)
	if err != nil {
		return err
	}
	node.TuneCollector(config.MemoryQuota)
	opened, err := node.Open(p.ctx, config)
	if err != nil {
		return err
	}
	config.Logger.Info("serving", "node", c.Node, "cluster", c.Cluster, "shard", c.Shard, "api", opened.APIAddress(), "peers", opened.PeerAddress(), "data", c.Data, "version", version())
	failure := opened.Wait(p.ctx)
	if failure == nil {
		config.Logger.Info("stopping", "node", c.Node, "grace", c.ShutdownGrace)
	}
	return errors.Join(failure, closeWithin(c.ShutdownGrace, opened.Close))
}

// closeWithin stops a server in good order. The signal's context has ended: the stop needs one of its own.
func closeWithin(grace time.Duration, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := stop(ctx); err != nil {
		return fmt.Errorf("stopped, but not in good order: %w", err)
	}
	return nil
}
