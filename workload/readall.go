package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kvorum/kvorum/client"
	lin "github.com/kvorum/kvorum/linearizability"
)

// ReadAll reads every key through every endpoint, linearizably: the end of a history, when the faults are over. It tries
// each read again until ctx ends, so an error means that the cluster does not serve.
func ReadAll(ctx context.Context, c Config, r Recorder) error {
	c.fillDefaults()
	var failures []error
	for i, endpoint := range c.Endpoints {
		cl, err := client.New(client.Config{Endpoints: []string{endpoint}, Timeout: c.OperationTimeout, AttemptTimeout: c.AttemptTimeout})
		if err != nil {
			return fmt.Errorf("workload: %w", err)
		}
		p := &person{Config: c, number: c.First + i, recorder: r, client: cl, draw: rand.New(rand.NewPCG(c.Seed, uint64(i)))}
		for _, key := range c.Keys {
			if err := p.until(ctx, func() *lin.Operation { return &lin.Operation{Key: key, Client: p.number, Kind: lin.Get} }); err != nil {
				failures = append(failures, fmt.Errorf("%s: read %q: %w", endpoint, key, err))
			}
		}
		_ = cl.Close()
	}
	return errors.Join(failures...)
}

// WriteAll puts every key once more, and tries again until that is acknowledged or ctx ends. It uses one client, which may turn to
// any of the endpoints.
func WriteAll(ctx context.Context, c Config, r Recorder) error {
	c.fillDefaults()
	p, err := newPerson(c, c.First, false, r)
	if err != nil {
		return err
	}
	defer p.client.Close()
	var failures []error
	for _, key := range c.Keys {
		put := func() *lin.Operation {
			o := &lin.Operation{Key: key, Client: p.number, Kind: lin.Put}
			p.fill(o)
			return o
		}
		if err := p.until(ctx, put); err != nil {
			failures = append(failures, fmt.Errorf("write %q: %w", key, err))
		}
	}
	return errors.Join(failures...)
}

// until does operations until one has a result.
func (p *person) until(ctx context.Context, next func() *lin.Operation) error {
	for {
		o := next()
		p.one(o)
		if o.Output.Result != "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
