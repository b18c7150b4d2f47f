package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/node"
)

type devCmd struct {
	Listen       string `default:"127.0.0.1:8080" help:"Where clients connect (default ${default})."`
	Data         string `placeholder:"DIR" help:"Folder to keep the data in, to go on with it later. Without it a temporary one is used and removed at the end."`
	Shards       int    `default:"3" help:"Number of shards (default ${default})."`
	Replicas     int    `default:"3" help:"Replicas per shard (default ${default})."`
	SlotFunction string `default:"last-byte" enum:"last-byte,hash" help:"How keys are spread over slots: last-byte or hash (default ${default})."`

	limits  `embed:""`
	Timing  node.Timing `embed:"" prefix:""`
	logging `embed:"" set:"log_level=error"`
	Tuning  node.Tuning `embed:"" prefix:""`
}

// Run serves a cluster until a signal comes.
func (c *devCmd) Run(p *program) error {
	slotFunction, err := node.ParseSlotFunction(c.SlotFunction)
	if err != nil {
		return usageError{err}
	}
	if err := errors.Join(c.Timing.Validate(), c.Tuning.Validate()); err != nil {
		return usageError{err}
	}
	limits := c.limits.config()
	limits.Timing = c.Timing
	folder, remove, err := c.folder()
	if err != nil {
		return err
	}
	node.TuneCollector(limits.MemoryQuota)
	dev, err := node.OpenDev(p.ctx, node.DevConfig{
		Listen: c.Listen, DataDir: folder, Shards: c.Shards, Replicas: c.Replicas, SlotFunction: slotFunction,
		Tuning: c.Tuning, Limits: limits, Logger: c.logging.logger(p.stderr), Version: version(),
	})
	if err != nil {
		return errors.Join(err, remove())
	}
	failure := c.serve(p, dev, folder)
	closed := closeWithin(c.ShutdownGrace, dev.Close)
	if failure == nil && closed == nil {
		fmt.Fprintln(p.stdout, "\nStopped.", c.farewell(folder))
	}
	return errors.Join(failure, closed, remove())
}

// folder gives the data folder, and what to do with it at the end.
func (c *devCmd) folder() (path string, remove func() error, err error) {
	if c.Data != "" {
		path, err = filepath.Abs(c.Data)
		return path, func() error { return nil }, err
	}
	path, err = os.MkdirTemp("", "kvorum-dev-")
	if err != nil {
		return "", nil, fmt.Errorf("no temporary folder: %w; give one with --data", err)
	}
	return path, func() error { return os.RemoveAll(path) }, nil
}

func (c *devCmd) farewell(folder string) string {
	if c.Data == "" {
		return "The temporary data is removed."
	}
	return "The data is kept in " + folder + "."
}

// serve waits until the cluster is ready, tells how to use it, and waits for the end.
func (c *devCmd) serve(p *program, dev *node.Dev, folder string) error {
	url := "http://" + dev.APIAddress()
	fmt.Fprintf(p.stdout, "Starting %s with %s each ...\n", counted(c.Shards, "shard"), counted(c.Replicas, "replica"))
	if err := awaitReady(p.ctx, url, time.Minute); err != nil {
		if p.ctx.Err() != nil { // the user has ended it
			return nil
		}
		return err
	}
	c.welcome(p, dev, url, folder)
	return dev.Wait(p.ctx)
}

func (c *devCmd) welcome(p *program, dev *node.Dev, url, folder string) {
	kept := "kept there: start again with the same --data to go on"
	if c.Data == "" {
		kept = "temporary, removed at the end; keep it with --data DIR"
	}
	fmt.Fprintf(p.stdout, "Ready.\n\n  API   %s\n  data  %s (%s)\n\n", url, folder, kept)
	out := tabwriter.NewWriter(p.stdout, 2, 4, 2, ' ', 0)
	fmt.Fprintln(out, "  NODE\tAPI\tPEERS")
	for _, n := range dev.Nodes {
		fmt.Fprintf(out, "  %s\thttp://%s\t%s\n", n.Controller().Node(), n.APIAddress(), n.PeerAddress())
	}
	_ = out.Flush() // a terminal that is gone needs no welcome
	fmt.Fprintf(p.stdout, `
Try it:

  curl -X PUT -d Ada %[1]s/v1/kv/user:a                     # store
  curl %[1]s/v1/kv/user:a                                   # retrieve
  curl -X PUT -H 'If-Match: *' -d Eve %[1]s/v1/kv/user:a    # update what is there
  curl -X DELETE %[1]s/v1/kv/user:a                         # delete
  kvorum cluster status%[2]s    # or go run ./cmd/kvorum cluster status

Ctrl-C stops it.
`, url, c.endpointHint(url))
}

func (c *devCmd) endpointHint(url string) string {
	if url == "http://127.0.0.1:8080" {
		return ""
	}
	return " --endpoint " + url
}

// awaitReady asks until every shard has a leader and every replica is ready.
func awaitReady(ctx context.Context, url string, limit time.Duration) error {
	kv, err := client.New(client.Config{Endpoints: []string{url}, Timeout: limit})
	if err != nil {
		return err
	}
	defer kv.Close()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := kv.Health(ctx, "ready")
		if err == nil {
			return nil
		}
		var e *client.Error
		if errors.As(err, &e) && e.Status != 0 && e.Status != http.StatusServiceUnavailable {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the cluster did not get ready within %s: %w; see why with --log-level=info", limit, err)
		}
	}
}
