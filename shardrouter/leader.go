package shardrouter

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// leaderBook remembers each shard's leader as last heard: from receipts of writes, refusals and status replies. It may be
// wrong at any time; asking a wrong one costs a hop.
type leaderBook struct {
	mu struct {
		sync.Mutex
		known  map[uint32]string
		probes map[uint32]*probe
		silent map[replicaID]time.Time // until when they are asked last: they did not answer
	}
}

type replicaID struct {
	shard uint32
	node  string
}

// probe is one round of asking a shard's replicas who leads, shared by all that wait for it.
type probe struct {
	done   chan struct{} // closed when node and ended are set
	node   string        // "" when nobody leads
	seen   bool          // some replica answered
	ended  time.Time
	broken bool // the context of the one who asked ended: no result
}

func (b *leaderBook) init() {
	b.mu.known = map[uint32]string{}
	b.mu.probes = map[uint32]*probe{}
	b.mu.silent = map[replicaID]time.Time{}
}

const silenceLasts = 3 * time.Second

// noteSilence remembers that a replica did not answer.
func (b *leaderBook) noteSilence(shard uint32, node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.silent[replicaID{shard, node}] = time.Now().Add(silenceLasts)
}

func (b *leaderBook) isSilent(shard uint32, node string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := replicaID{shard, node}
	until, noted := b.mu.silent[id]
	if noted && time.Now().After(until) {
		delete(b.mu.silent, id)
	}
	return noted && time.Now().Before(until)
}

func (b *leaderBook) get(shard uint32) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.known[shard]
}

func (b *leaderBook) learn(shard uint32, node string) {
	if node == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.known[shard] = node
}

// forget drops node, if it is still the one taken for the leader.
func (b *leaderBook) forget(shard uint32, node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.known[shard] == node {
		delete(b.mu.known, shard)
	}
}

const (
	probeTimeout = 500 * time.Millisecond // for one replica to answer
	probeFresh   = 5 * time.Millisecond   // a result is good for this long: thousands may wait for one election
	firstPause   = 10 * time.Millisecond  // between rounds, doubling up to lastPause; longer than probeFresh
	lastPause    = 160 * time.Millisecond
)

// findLeader asks all replicas of a shard who leads. It returns "" when nobody does.
func (r *Router) findLeader(ctx context.Context, shard uint32) (node string, seen bool) {
	b := &r.leaders
	b.mu.Lock()
	p := b.mu.probes[shard]
	if p == nil || (isClosed(p.done) && time.Since(p.ended) > probeFresh) {
		p = &probe{done: make(chan struct{})}
		b.mu.probes[shard] = p
		b.mu.Unlock()
		p.node, p.seen = r.askReplicas(ctx, shard)
		p.broken = p.node == "" && ctx.Err() != nil
		p.ended = time.Now()
		if p.broken {
			p.ended = time.Time{} // so that the next one asks anew
		}
		b.learn(shard, p.node)
		close(p.done)
		return p.node, p.seen
	}
	b.mu.Unlock()
	select {
	case <-p.done:
		return p.node, p.seen || p.broken
	case <-ctx.Done():
		return "", true
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// askReplicas asks all at once and takes the leader of the highest term: one that was cut off may still believe in an
// older one. It returns as soon as nothing better can come.
func (r *Router) askReplicas(ctx context.Context, shard uint32) (leader string, seen bool) {
	targets := r.targets(shard)
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	replies := make(chan *wire.NodeStatus, len(targets))
	for _, t := range targets {
		go func() {
			status, err := r.statusOf(ctx, t)
			if err != nil {
				status = nil
			}
			replies <- status
		}()
	}
	var term uint64
	agree := map[uint64]int{} // by term: replicas that are in it
	for range targets {
		status := <-replies
		if status == nil {
			continue
		}
		seen = true
		agree[status.Term]++
		if status.Role == "leader" && status.Term >= term {
			leader, term = status.Node, status.Term
		}
		if leader != "" && agree[term] > len(targets)/2 {
			cancel() // a majority is in its term: the rest, who may be down, need not be waited for
		}
	}
	return leader, seen
}

// statusOf asks one replica what it says of itself.
func (r *Router) statusOf(ctx context.Context, t target) (*wire.NodeStatus, error) {
	if t.local {
		status := r.local.Status()
		return &status, nil
	}
	var status wire.NodeStatus
	return &status, r.ask(ctx, t, http.MethodGet, replica.PathStatus, nil, &status)
}

// leaderTarget gives the replica to send a write to. Without a known leader it asks the replicas, again and again, until
// there is one or the waiter's time is up. avoid is who just proved not to be it.
func (r *Router) leaderTarget(ctx context.Context, shard uint32, avoid map[string]bool, wait *waiter) (target, error) {
	for _, node := range []string{r.localLeader(shard), r.leaders.get(shard)} {
		if t, ok := r.targetOf(shard, node); ok && !avoid[node] {
			return t, nil
		}
	}
	for paused := false; ; paused = true {
		node, seen := r.findLeader(ctx, shard)
		// One that has just refused is asked again only when it still says that it leads after a pause.
		if t, ok := r.targetOf(shard, node); ok && (paused || !avoid[node]) {
			clear(avoid)
			return t, nil
		}
		if !seen {
			r.askSeeds(ctx)
		}
		if err := wait.pause(ctx); err != nil {
			return target{}, err
		}
	}
}

// localLeader is the leader as the local replica knows it: for its own shard the fastest source.
func (r *Router) localLeader(shard uint32) string {
	if !r.isLocal(shard) {
		return ""
	}
	return r.local.Controller().Leader()
}
