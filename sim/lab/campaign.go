package lab

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Campaign says which seeds to run.
type Campaign struct {
	From, To uint64
	Workers  int
	Defaults schedule.Defaults
	// Done is told of each result, one at a time, in the order in which they come; false: begin no further seed. Those under way
	// are still run to their end, and told of.
	Done func(*schedule.Schedule, *sim.Result) bool
}

// Size is the number of seeds.
func (c Campaign) Size() int { return int(c.To - c.From + 1) }

// Campaign runs all seeds and returns the results by seed. Seeds are begun in their order, so when one is done, all before it are
// done or under way.
func (l *Lab) Campaign(ctx context.Context, c Campaign) []*sim.Result {
	return c.run(ctx, func(s *schedule.Schedule) *sim.Result { return l.Run(ctx, s, sim.Options{}) })
}

func (c Campaign) run(ctx context.Context, one func(*schedule.Schedule) *sim.Result) []*sim.Result {
	var (
		mu      sync.Mutex
		results []*sim.Result
		workers sync.WaitGroup
		next    = c.From
		enough  bool
	)
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next > c.To || enough || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range max(1, c.Workers) {
		workers.Go(func() {
			for {
				seed, ok := take()
				if !ok {
					return
				}
				s := Draw(seed, c.Defaults)
				r := one(s)
				r.History, r.Commits, r.Annotations, r.Report = nil, nil, nil, nil // thousands of them would not fit
				mu.Lock()
				results = append(results, r)
				if c.Done != nil && !c.Done(s, r) {
					enough = true
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	slices.SortFunc(results, func(a, b *sim.Result) int { return cmp.Compare(a.Seed, b.Seed) })
	return results
}
