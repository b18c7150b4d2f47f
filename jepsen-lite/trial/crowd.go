package trial

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvorum/kvorum/workload"
)

// Clients work on one set of keys for an episode and then on fresh ones: a key with a day's history is more than any search
// can judge, and no key is worth more than its first minutes.
const (
	episode     = 30 * time.Second
	keysOfShard = 6
	leastLists  = 2
	mostLists   = 8
	prefixBytes = 5 // of a key: a letter and the episode
)

// crowd is the clients of a trial.
type crowd struct {
	config    Config
	endpoints []string
	only      bool // the clients know no other way
	ways      func(shard uint32) map[string][]string
	rec       *recorder
	written   atomic.Int64 // acknowledged writes, not counting those of the probes

	registers []string
	lists     []string
	probed    []string       // keys of the probes
	probes    map[int]string // their clients' numbers, and the way on which each measures
	next      int            // number of the next client: no two of a history are the same
}

func newCrowd(c Config, p system, rec *recorder) *crowd {
	urls, only := p.endpoints()
	return &crowd{config: c, endpoints: urls, only: only, ways: p.ways, rec: rec, probes: map[int]string{}}
}

// keys are all that were ever worked on, but for those of the probes.
func (c *crowd) keys() []string { return append(append([]string(nil), c.registers...), c.lists...) }

// run works until ctx ends. The clients of one episode finish what is under way while those of the next begin.
func (c *crowd) run(ctx context.Context) {
	var finishing sync.WaitGroup
	for number := 0; ctx.Err() == nil; number++ {
		limited, cancel := context.WithTimeout(ctx, episode)
		var working sync.WaitGroup
		for _, config := range c.episode(number) {
			working.Go(func() {
				if err := workload.Run(limited, config, tallying{c.rec, &c.written}); err != nil {
					panic(err) // endpoints that are none: ours
				}
			})
		}
		for _, probe := range c.probing(number) {
			working.Go(func() {
				if err := probe.Run(limited, c.rec); err != nil {
					panic(err) // an endpoint that is none: ours
				}
			})
		}
		finishing.Go(func() {
			defer cancel()
			working.Wait()
		})
		<-limited.Done()
	}
	finishing.Wait()
}

// episode makes keys and clients of one. Each shard has clients of its own, but for listings, which ask all shards: were they
// the same, those that wait for a shard without a leader would leave the others without work, and every shard would seem to
// be down.
func (c *crowd) episode(number int) (each []workload.Config) {
	shards := c.config.Shards
	clients := max(1, c.config.Clients/shards)
	for shard := range shards {
		config := workload.Config{
			Seed: c.config.Seed, Clients: clients, First: c.next, Endpoints: c.endpoints, EndpointsOnly: c.only, PrefixBytes: prefixBytes,
			Pause: time.Duration(float64(time.Second) * float64(clients*shards) / float64(c.config.Rate)),
		}
		c.next += clients
		config.Keys = c.draw("abc", number, shard, keysOfShard, 4)
		config.Lists = c.draw("l", number, shard, min(mostLists, max(leastLists, c.config.Rate/40)), 26/shards)
		c.registers, c.lists = append(c.registers, config.Keys...), append(c.lists, config.Lists...)
		each = append(each, config)
	}
	return each
}

// draw makes keys of one shard: of those bytes at their end that belong to it, so many, so that some share a slot and their
// revisions interleave.
func (c *crowd) draw(first string, episode, shard, n, slots int) (keys []string) {
	var ends []byte
	for end := byte('a'); len(ends) < slots && end <= 'z'; end++ {
		if int(end)%c.config.Shards == shard {
			ends = append(ends, end)
		}
	}
	for i := range n {
		keys = append(keys, fmt.Sprintf("%c%04d-%d:%c", first[i%len(first)], episode, i, ends[i%len(ends)]))
	}
	return keys
}
