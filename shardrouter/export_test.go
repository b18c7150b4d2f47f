package shardrouter

import (
	"context"
	"time"
)

// Write is write, for tests that count the attempts and say what comes of each.
func (r *Router) Write(ctx context.Context, shard uint32, try func(local bool) error) error {
	return r.write(ctx, shard, func(_ context.Context, to target) error { return try(to.local) })
}

// NextLeader waits for a leader other than refused, as a write does which that node has refused. Its first pause ends
// by news only. waits is called when it begins to wait.
func (r *Router) NextLeader(ctx context.Context, shard uint32, refused string, waits func()) (string, error) {
	to, _, err := r.leaderTarget(ctx, shard, refusers{refused: 0}, &waiter{limit: time.Hour, next: time.Hour, started: waits})
	return to.node, err
}
