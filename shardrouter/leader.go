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
	}
}

// probe is one round of asking a shard's replicas who leads, shared by all that wait for it.
type probe struct {
	done   chan struct{} // closed when node and ended are set
	node   string        // "" when nobody leads
	term   uint64        // in which it does
	seen   bool          // some replica answered
	ended  time.Time
	broken bool // the context of the one who asked ended: no result
}

func (b *leaderBook) init() {
	b.mu.known = map[uint32]string{}
	b.mu.probes = map[uint32]*probe{}
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

// findLeader asks all replicas of a shard who leads, and in which term. It returns "" when nobody does.
func (r *Router) findLeader(ctx context.Context, shard uint32) (node string, term uint64, seen bool) {
	b := &r.leaders
	b.mu.Lock()
	p := b.mu.probes[shard]
	if p == nil || (isClosed(p.done) && time.Since(p.ended) > probeFresh) {
		p = &probe{done: make(chan struct{})}
		b.mu.probes[shard] = p
		b.mu.Unlock()
		p.node, p.term, p.seen = r.askReplicas(ctx, shard)
		p.broken = p.node == "" && ctx.Err() != nil
		p.ended = time.Now()
		if p.broken {
			p.ended = time.Time{} // so that the next one asks anew
		}
		b.learn(shard, p.node)
		close(p.done)
		return p.node, p.term, p.seen
	}
	b.mu.Unlock()
	select {
	case <-p.done:
		return p.node, p.term, p.seen || p.broken
	case <-ctx.Done():
		return "", 0, true
	}
}

// findLeaderUnless is findLeader, called off by news: a replica that has vanished keeps a round waiting, and the local replica
// may hear of the next leader meanwhile.
func (r *Router) findLeaderUnless(ctx context.Context, shard uint32, news <-chan struct{}) (node string, term uint64, seen bool) {
	if news == nil {
		return r.findLeader(ctx, shard)
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-news:
			cancel()
		case <-ctx.Done():
		}
	})
	node, term, seen = r.findLeader(ctx, shard)
	cancel()
	watching.Wait()
	return node, term, seen
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
func (r *Router) askReplicas(ctx context.Context, shard uint32) (leader string, term uint64, seen bool) {
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
	return leader, term, seen
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

// refusers are the nodes that refused a request, each with the term in which it had claimed to lead; 0: it was only taken
// for the leader.
type refusers map[string]uint64

// leaderTarget gives the replica to send a write to, and the term in which it claims to lead. Without a known leader it
// asks the replicas, again and again, until there is one or the waiter's time is up.
func (r *Router) leaderTarget(ctx context.Context, shard uint32, refused refusers, wait *waiter) (target, uint64, error) {
	for _, node := range []string{r.localLeader(shard), r.leaders.get(shard)} {
		if t, ok := r.targetOf(shard, node); ok && refused.never(node) {
			return t, 0, nil
		}
	}
	for {
		news := r.leaderNews(shard) // before the look: a change in between is not missed
		if t, ok := r.targetOf(shard, r.localLeader(shard)); ok && refused.never(t.node) {
			return t, 0, nil
		}
		node, term, seen := r.findLeaderUnless(ctx, shard, news)
		if t, ok := r.targetOf(shard, node); ok && refused.allow(node, term, wait) {
			return t, term, nil
		}
		wait.seen = wait.seen || seen
		if !seen {
			r.askSeeds(ctx)
		}
		if err := wait.pause(ctx, news); err != nil {
			return target{}, 0, err
		}
	}
}

// never reports whether a node has not refused the request yet.
func (f refusers) never(node string) bool {
	_, refused := f[node]
	return !refused
}

// allow reports whether a node that says it leads may be sent the request. One that has refused it before is about to hand
// over, as a rule: it is asked again when it leads in a later term, or when half the waiting was in vain.
func (f refusers) allow(node string, term uint64, wait *waiter) bool {
	before, refused := f[node]
	return !refused || (wait.begun() && term > before) || wait.half()
}

// localLeader is the leader as the local replica knows it: for its own shard the fastest source.
func (r *Router) localLeader(shard uint32) string {
	if !r.isLocal(shard) {
		return ""
	}
	return r.local.Controller().Leader()
}

// leaderNews is closed when the local replica hears of another leader of its shard; nil, which never is, for other shards.
func (r *Router) leaderNews(shard uint32) <-chan struct{} {
	if !r.isLocal(shard) {
		return nil
	}
	return r.local.Controller().LeaderChanged()
}
