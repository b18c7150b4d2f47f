package shardrouter

import (
	"context"
	"sync"
	"time"
)

const (
	maxSeedsAtOnce = 8                      // asked at a time
	seedsFresh     = 200 * time.Millisecond // answers are good for this long: many requests may miss the same shard
)

// seedBook shares one round of asking the seeds among all that wait for it.
type seedBook struct {
	mu    sync.Mutex
	round chan struct{} // closed when the round is over; nil: none was begun
	ended time.Time
}

// askSeeds asks the seeds who they are and where their shard's replicas are: so a cluster is found at the start, and found
// again when all addresses that the table knows have changed.
func (r *Router) askSeeds(ctx context.Context) {
	b := &r.seeds
	b.mu.Lock()
	if b.round != nil && (!isClosed(b.round) || time.Since(b.ended) < seedsFresh) {
		round := b.round
		b.mu.Unlock()
		select {
		case <-round:
		case <-ctx.Done():
		}
		return
	}
	round := make(chan struct{})
	b.round = round
	b.mu.Unlock()
	r.askAllSeeds(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if ctx.Err() == nil { // else it was no full round: the next one asks anew
		b.ended = time.Now()
	}
	close(round)
}

func (r *Router) askAllSeeds(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var asking sync.WaitGroup
	slots := make(chan struct{}, maxSeedsAtOnce)
	for _, address := range r.cfg.Seeds {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			status, err := r.statusOf(ctx, target{address: address})
			if err != nil {
				return
			}
			r.hear(*status)
			if status.Role == "leader" {
				r.leaders.learn(status.Shard, status.Node)
			}
		})
	}
	asking.Wait()
}
