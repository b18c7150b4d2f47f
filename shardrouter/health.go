package shardrouter

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// health answers one health check: 200 when it passes, else 503 with the reasons. Checks are not bounded by the limiter:
// a node under load is alive.
func (r *Router) health(check string, failing func(context.Context) []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		r.ids.Name(w, req)
		if err := allow(w, req, http.MethodGet); err != nil {
			r.fail(w, req, "health", err, start)
			return
		}
		if reasons := failing(req.Context()); len(reasons) > 0 {
			// Not counted as a failed operation, and not logged: load balancers ask every second.
			replica.Fail(w, replica.Failure(wire.CodeNotReady, "not %s: %s", check, strings.Join(reasons, "; ")))
			return
		}
		_ = replica.WriteJSON(w, wire.Health{Status: check, Node: r.cfg.Self.Node})
	})
}

// notLive is empty: the process answers.
func (r *Router) notLive(context.Context) []string { return nil }

// notReady is the local replica's own state. It does not depend on there being a leader: an election must not empty a
// load balancer's pool. A standalone router is ready when every shard has a leader and a majority of ready replicas.
func (r *Router) notReady(ctx context.Context) []string {
	if r.local != nil {
		return r.local.Controller().NotReady()
	}
	h := r.now()
	if h.table.Version == 0 {
		return []string{"the slot table is not known yet"}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	shards := h.shards()
	reasons := make([]string, len(shards))
	var asking sync.WaitGroup
	for i, shard := range shards {
		asking.Go(func() { reasons[i] = r.shardNotReady(ctx, shard) })
	}
	asking.Wait()
	return nonEmpty(reasons)
}

// shardNotReady is "" when the shard has a leader and a majority of ready replicas.
func (r *Router) shardNotReady(ctx context.Context, shard uint32) string {
	status := r.shardStatus(ctx, shard)
	ready := 0
	for _, replica := range status.Replicas {
		if replica.Status != nil && replica.Status.Ready {
			ready++
		}
	}
	switch {
	case len(status.Replicas) == 0:
		return fmt.Sprintf("shard %d has not registered yet", shard)
	case status.Leader == "":
		return fmt.Sprintf("shard %d has no leader", shard)
	case 2*ready <= len(status.Replicas), r.cfg.ReadyWhenAll && ready < len(status.Replicas):
		return fmt.Sprintf("shard %d has %d of %d replicas ready", shard, ready, len(status.Replicas))
	}
	return ""
}

func nonEmpty(list []string) []string {
	var kept []string
	for _, s := range list {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}

// notLeader: the local replica leads its shard and has applied an entry of its term, or says why not.
func (r *Router) notLeader(context.Context) []string {
	switch {
	case r.local == nil:
		return []string{"a router leads no shard"}
	case !r.local.Controller().Leading():
		return []string{fmt.Sprintf("node %s does not lead shard %d", r.cfg.Self.Node, r.cfg.Self.Shard)}
	}
	return nil
}
