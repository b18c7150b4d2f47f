package shardrouter

import "context"

// Write is write, for tests that count the attempts and say what comes of each.
func (r *Router) Write(ctx context.Context, shard uint32, try func(local bool) error) error {
	return r.write(ctx, shard, func(_ context.Context, to target) error { return try(to.local) })
}
