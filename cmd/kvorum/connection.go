package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/wire"
)

// connection is how client commands reach the cluster.
type connection struct {
	Endpoint []string      `default:"http://127.0.0.1:8080" placeholder:"URL" group:"connection" help:"A node, router or load balancer of the cluster (default ${default}). Repeat it to name more."`
	Timeout  time.Duration `default:"10s" group:"connection" help:"Time for one operation, with all attempts (default ${default})."`
	Attempts int           `default:"8" group:"connection" help:"How often to try what is safe to try again; 0: until the timeout (default ${default})."`
	Direct   bool          `group:"connection" help:"Fetch the slot table and talk to each shard's nodes themselves."`
}

func (c connection) open(change func(*client.Config)) (*client.Client, error) {
	config := client.Config{
		Endpoints:     c.Endpoint,
		Timeout:       c.Timeout,
		Retry:         client.RetryPolicy{MaxAttempts: c.Attempts, Base: 50 * time.Millisecond, Max: time.Second},
		DirectRouting: c.Direct,
		UserAgent:     "kvorum-cli/" + version(),
	}
	for i, endpoint := range config.Endpoints {
		if !strings.Contains(endpoint, "://") {
			config.Endpoints[i] = "http://" + endpoint
		}
	}
	if change != nil {
		change(&config)
	}
	opened, err := client.New(config)
	if err != nil {
		return nil, usageError{err}
	}
	return opened, nil
}

// reading chooses how fresh a read must be.
type reading struct {
	Consistency string        `enum:"linearizable,bounded,stale" default:"linearizable" help:"linearizable, bounded (with --max-stale) or stale (default ${default})."`
	MaxStale    time.Duration `placeholder:"DURATION" help:"With --consistency bounded: how old the answer may be."`
}

func (r reading) apply(c *client.Config) error {
	c.Consistency, c.MaxStale = wire.Consistency(r.Consistency), r.MaxStale
	if r.MaxStale > 0 && c.Consistency != wire.Bounded {
		return usagef("--max-stale needs --consistency bounded")
	}
	if r.MaxStale == 0 && c.Consistency == wire.Bounded {
		return usagef("--consistency bounded needs --max-stale, a duration above zero such as 500ms")
	}
	return nil
}

// valueArgument is a VALUE on the command line.
type valueArgument struct {
	Key   string  `arg:"" help:"The key: 1 to 1024 bytes."`
	Value *string `arg:"" optional:"" help:"The value; @FILE: what the file holds; - or nothing: what comes on standard input."`
}

func (v valueArgument) read(p *program) ([]byte, error) {
	switch {
	case v.Value == nil || *v.Value == "-":
		if v.Value == nil && isTerminal(p.stdin) {
			fmt.Fprintln(p.stderr, "Type the value, then end it with Ctrl-D.")
		}
		return io.ReadAll(p.input())
	case strings.HasPrefix(*v.Value, "@"):
		return os.ReadFile(strings.TrimPrefix(*v.Value, "@"))
	}
	return []byte(*v.Value), nil
}

// writing holds the flags of all writes.
type writing struct {
	IfRevision     *uint64 `placeholder:"N" help:"Only if the key is at this revision."`
	IdempotencyKey string  `placeholder:"TEXT" help:"Execute once, however often this is repeated within ten minutes. Without it a random one is used."`
}

func (w writing) options() []client.Option {
	var list []client.Option
	if w.IfRevision != nil {
		list = append(list, client.IfRevision(*w.IfRevision))
	}
	if w.IdempotencyKey != "" {
		list = append(list, client.IdempotencyKey(w.IdempotencyKey))
	}
	return list
}

// exactlyOnce makes every write repeatable, so that the command seldom ends in an unknown outcome.
func exactlyOnce(c *client.Config) { c.AutoIdempotency = true }
