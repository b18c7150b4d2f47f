package shardrouter

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

const (
	tablePollWait    = 20 * time.Second       // for the table to change
	tablePollSlack   = 2 * time.Second        // for the reply to come, beyond the wait
	tableRetryPause  = 200 * time.Millisecond // after a round in which nobody had the table
	registerInterval = 500 * time.Millisecond // at most so long after a change are the members registered
)

// Run keeps the table fresh and the local shard registered, until ctx ends. It joins what it started and then closes the
// idle connections to other nodes.
func (r *Router) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { r.followTable(ctx) })
	if r.local != nil && len(r.cfg.Members) > 0 {
		running.Go(func() { r.keepRegistered(ctx) })
	}
	running.Wait()
	r.link.CloseIdleConnections()
	return nil
}

// followTable long-polls the table, from one source after the other.
func (r *Router) followTable(ctx context.Context) {
	for ctx.Err() == nil {
		found := false
		for _, source := range r.tableSources() {
			if r.followSource(ctx, source) {
				found = true
			}
			if ctx.Err() != nil {
				return
			}
		}
		if !found {
			r.askSeeds(ctx)
			sleep(ctx, tableRetryPause)
		}
	}
}

// tableSources are shard 0's replicas, the local one first, and then the seeds, whoever they are: any node passes on the
// table that it goes by.
func (r *Router) tableSources() []target {
	sources := r.readOrder(0, true)
	for _, address := range r.cfg.Seeds {
		sources = append(sources, target{address: address})
	}
	return sources
}

// followSource polls one source until it fails, or until a look elsewhere is called for. It reports whether it answered.
func (r *Router) followSource(ctx context.Context, source target) (answered bool) {
	for ctx.Err() == nil {
		table, err := r.pollTable(ctx, source)
		if err != nil {
			return answered
		}
		answered = true
		if !r.take(table) && table.Version < r.now().table.Version {
			return answered // it lags behind
		}
		if source.node == "" {
			return answered // a seed was good for the first step: now the table tells where shard 0 is
		}
	}
	return answered
}

// pollTable asks for a table newer than the present one. It ends early, with an error, when something calls for a fresh
// look.
func (r *Router) pollTable(ctx context.Context, source target) (wire.Table, error) {
	after, wait := r.now().table.Version, tablePollWait
	if source.node == "" {
		wait = 0
	}
	ctx, cancel := context.WithTimeout(ctx, wait+tablePollSlack)
	defer cancel()
	if source.local {
		return r.local.Table(ctx, after, wait)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-r.changed:
			sleep(ctx, tableRetryPause) // every reply may call: don't answer each with a request
			cancel()
		case <-ctx.Done():
		}
	})
	var table wire.Table
	path := replica.PathTable + "?after=" + strconv.FormatUint(after, 10) + "&wait=" + wait.String()
	err := r.ask(ctx, source, http.MethodGet, path, nil, &table)
	cancel()
	watching.Wait()
	return table, err
}

// keepRegistered sees to it that shard 0 knows where the local shard's replicas are, whenever the local one leads.
func (r *Router) keepRegistered(ctx context.Context) {
	for ctx.Err() == nil {
		if r.local.Controller().Leading() && !r.registered() {
			if err := r.register(ctx); err != nil {
				r.log.Debug("shard is not registered yet", "shard", r.cfg.Self.Shard, "error", err)
			}
		}
		sleep(ctx, registerInterval)
	}
}

// registered compares the table with the flags. Without a table it can't be known: then registering does no harm.
func (r *Router) registered() bool {
	byID := func(a, b wire.Member) int { return strings.Compare(a.ID, b.ID) }
	there := slices.SortedFunc(slices.Values(r.now().table.Shards[r.cfg.Self.Shard]), byID)
	return slices.Equal(there, slices.SortedFunc(slices.Values(r.cfg.Members), byID))
}

func (r *Router) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.RequestTimeout)
	defer cancel()
	registration := replica.Registration{Shard: r.cfg.Self.Shard, Members: r.cfg.Members}
	return r.write(ctx, 0, func(ctx context.Context, to target) error {
		if to.local {
			return r.local.Register(ctx, registration)
		}
		return r.ask(ctx, to, http.MethodPost, replica.PathRegister, registration, nil)
	})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// PeerHandler is what the local node serves to other nodes: the replica's own API; and a node of another shard than 0
// passes on the table that it goes by, so that any node can be a seed.
func (r *Router) PeerHandler() http.Handler {
	if r.local == nil || r.cfg.Self.Shard == 0 {
		return r.localHandler()
	}
	strict := r.localHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != replica.PathTable || req.Method != http.MethodGet {
			strict.ServeHTTP(w, req)
			return
		}
		r.ids.Name(w, req)
		table := r.now().table
		if table.Version == 0 {
			replica.Fail(w, errNoTable)
			return
		}
		_ = replica.WriteJSON(w, table)
	})
}

func (r *Router) localHandler() http.Handler {
	if r.local == nil {
		return http.NotFoundHandler()
	}
	return r.local.Handler()
}
