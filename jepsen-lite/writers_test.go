package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// writers store unique keys until they are stopped and remember what each write came to. They use no idempotency keys: the
// client repeats only what was surely not applied.
type writers struct {
	acked   atomic.Int64
	stopped atomic.Bool
	done    sync.WaitGroup

	mu       sync.Mutex
	values   map[string]string    // acknowledged, by key
	outcomes map[wire.Outcome]int // of all
	failures map[string]int       // by code and outcome
	maybe    map[string]string    // of unknown outcome
	never    map[string]string    // of outcome not-applied
}

// padding makes logs grow: a full disk shows only when they need new blocks.
const padding = 2000

// startWriters starts n writers that use all of the endpoints in turn.
func startWriters(ctx context.Context, t *testing.T, n int, endpoints []string) *writers {
	t.Helper()
	w := &writers{values: map[string]string{}, outcomes: map[wire.Outcome]int{}, failures: map[string]int{}, maybe: map[string]string{}, never: map[string]string{}}
	for i := range n {
		turned := append(append([]string{}, endpoints[i%len(endpoints):]...), endpoints[:i%len(endpoints)]...)
		c, err := client.New(client.Config{Endpoints: turned})
		check(t, err)
		w.done.Go(func() {
			defer c.Close()
			for number := 0; !w.stopped.Load() && ctx.Err() == nil; number++ {
				w.write(ctx, c, fmt.Sprintf("w%d-%d", i, number))
			}
		})
	}
	return w
}

func (w *writers) write(ctx context.Context, c *client.Client, key string) {
	value := "value of " + key + strings.Repeat(".", padding)
	_, err := c.Put(ctx, key, []byte(value))
	outcome := client.OutcomeOf(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes[outcome]++
	switch outcome {
	case wire.Applied:
		w.values[key] = value
		w.acked.Add(1)
		return
	case wire.Unknown:
		w.maybe[key] = value
	default:
		w.never[key] = value
	}
	var e *client.Error
	if errors.As(err, &e) {
		w.failures[fmt.Sprintf("%d %s %s", e.Status, e.Code, e.Outcome)]++
	}
}

// waitAcked waits for n more acknowledged writes from now.
func (w *writers) waitAcked(ctx context.Context, n int64) error {
	target := w.acked.Load() + n
	return cluster.WaitFor(ctx, fmt.Sprintf("%d acknowledged writes more", n), func(context.Context) error {
		if have := w.acked.Load(); have < target {
			w.mu.Lock()
			defer w.mu.Unlock()
			return fmt.Errorf("%d are missing; failures: %v", target-have, w.failures)
		}
		return nil
	})
}

// stop ends the writers and waits for them.
func (w *writers) stop() {
	w.stopped.Store(true)
	w.done.Wait()
}

// verify reads the whole store: every acknowledged write is there, none that was refused, and nothing else.
func (w *writers) verify(ctx context.Context, t *testing.T, endpoints []string) {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: endpoints})
	check(t, err)
	defer c.Close()
	found, surprises := 0, 0
	for item, err := range c.List(ctx, client.ListOptions{Prefix: "w", PageSize: 20_000}) {
		check(t, err)
		value := string(item.Value)
		switch {
		case w.values[item.Key] == value:
			found++
		case w.maybe[item.Key] == value:
			surprises++
		case w.never[item.Key] == value:
			t.Errorf("%q is there, though its write was reported as not applied", item.Key)
		default:
			t.Errorf("%q = %q was never written", item.Key, value)
		}
	}
	if found != len(w.values) {
		t.Errorf("%d acknowledged writes, %d of them are there", len(w.values), found)
	}
	t.Logf("%d acknowledged and there, %d unknown of which %d are there, %d refused; failures: %v", found, len(w.maybe), surprises, len(w.never), w.failures)
}
