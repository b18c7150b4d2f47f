package main

import (
	"errors"
	"time"

	"github.com/kvorum/kvorum/node"
)

type routerCmd struct {
	Cluster string   `required:"" group:"identity" placeholder:"NAME" help:"Name of the cluster."`
	Name    string   `group:"identity" placeholder:"NAME" help:"Name of this router among others. Default: drawn."`
	Seeds   []string `required:"" group:"identity" placeholder:"HOST:PORT" help:"Peer addresses of some nodes, best of several shards, comma separated."`
	Listen  string   `default:"127.0.0.1:8080" help:"Where clients connect (default ${default})."`

	HAProxySocket  string `name:"haproxy-socket" group:"haproxy" placeholder:"SOCKET" help:"HAProxy's admin socket, a path or host:port: keep its slot map and its leaders in step with the cluster."`
	HAProxyMap     string `name:"haproxy-map" group:"haproxy" default:"slots.map" placeholder:"FILE" help:"Slot map file that HAProxy reads at its start (default ${default})."`
	HAProxyMapKeep bool   `name:"haproxy-map-keep" group:"haproxy" help:"Do not write the slot map file, where HAProxy runs elsewhere: its name then only says which map is meant."`

	MaxValueBytes   byteSize      `default:"1MiB" group:"limits" help:"Largest value (default ${default})."`
	RequestTimeout  time.Duration `default:"10s" group:"limits" help:"Time for one request (default ${default})."`
	MaxRequests     int64         `default:"8192" group:"limits" help:"Requests in flight; more get 429 (default ${default})."`
	MaxRequestBytes byteSize      `default:"256MiB" group:"limits" help:"Bytes of request bodies in flight; more get 429 (default ${default})."`
	ShutdownGrace   time.Duration `default:"9s" group:"limits" help:"Time for a stop in good order (default ${default})."`

	Timing  node.Timing `embed:"" prefix:""`
	logging `embed:"" set:"log_level=info"`
}

// Run serves until a signal comes.
func (c *routerCmd) Run(p *program) error {
	if err := c.Timing.Validate(); err != nil {
		return usageError{err}
	}
	logger := c.logging.logger(p.stderr)
	node.TuneCollector(0) // holds no rows
	opened, err := node.OpenRouter(p.ctx, node.RouterConfig{
		Cluster: c.Cluster, Name: c.Name, Seeds: c.Seeds, Listen: c.Listen,
		HAProxySocket: c.HAProxySocket, HAProxyMap: c.HAProxyMap, HAProxyMapKeep: c.HAProxyMapKeep,
		MaxValueBytes: int64(c.MaxValueBytes), RequestTimeout: c.RequestTimeout, MaxRequests: c.MaxRequests, MaxRequestBytes: int64(c.MaxRequestBytes), Timing: c.Timing,
		Logger: logger, Version: version(),
	})
	if err != nil {
		return err
	}
	logger.Info("routing", "cluster", c.Cluster, "api", opened.APIAddress(), "haproxy", c.HAProxySocket, "version", version())
	failure := opened.Wait(p.ctx)
	return errors.Join(failure, closeWithin(c.ShutdownGrace, opened.Close))
}
