package shardrouter

import (
	"context"
	"time"
)

// Write is write, for tests that count the attempts and say what comes of each.
func (r *Router) Write(ctx context.Context, shard uint32, try func(local bool) error) error {
	return r.write(ctx, shard, func(_ context.Context, to target) error { return try(to.local) })
}

// FindLeader is one round of asking who leads, called off by news. What an earlier one found does not count.
func (r *Router) FindLeader(ctx context.Context, shard uint32, news <-chan struct{}) (node string) {
	r.leaders.mu.Lock()
	delete(r.leaders.mu.probes, shard)
	r.leaders.mu.Unlock()
	node, _, _ = r.findLeaderUnless(ctx, shard, news)
	return node
}

// NextLeader waits for a leader other than refused, as a write does which that node has refused. Its first pause ends
// by news only. waits is called when it begins to wait.
func (r *Router) NextLeader(ctx context.Context, shard uint32, refused string, waits func()) (string, error) {
	to, _, err := r.leaderTarget(ctx, shard, refusers{refused: 0}, &waiter{limit: time.Hour, next: time.Hour, started: waits})
	return to.node, err
}
