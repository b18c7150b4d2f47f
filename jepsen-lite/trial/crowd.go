package trial

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kvorum/kvorum/workload"
)

// Clients work on one set of keys for an episode and then on fresh ones: a key with a day's history is more than any search
// can judge, and no key is worth more than its first minutes.
const (
	episode        = 30 * time.Second
	keysPerEpisode = 16
	leastLists     = 4
	mostLists      = 24
	prefixBytes    = 5 // of a key: a letter and the episode
)

// crowd is the clients of a trial.
type crowd struct {
	config    Config
	endpoints []string
	only      bool // the clients know no other way
	rec       *recorder

	registers []string
	lists     []string
	next      int // number of the next client: no two of a history are the same
}

func newCrowd(c Config, p *processes, rec *recorder) *crowd {
	return &crowd{config: c, endpoints: p.endpoints(), only: p.haproxy != nil, rec: rec}
}

// keys are all that were ever worked on.
func (c *crowd) keys() []string { return append(append([]string(nil), c.registers...), c.lists...) }

// run works until ctx ends. The clients of one episode finish what is under way while those of the next begin.
func (c *crowd) run(ctx context.Context) {
	var finishing sync.WaitGroup
	for number := 0; ctx.Err() == nil; number++ {
		config := c.episode(number)
		limited, cancel := context.WithTimeout(ctx, episode)
		finishing.Go(func() {
			defer cancel()
			if err := workload.Run(limited, config, c.rec); err != nil {
				panic(err) // endpoints that are none: ours
			}
		})
		<-limited.Done()
	}
	finishing.Wait()
}

// episode makes keys and clients of one.
func (c *crowd) episode(number int) workload.Config {
	config := workload.Config{
		Seed: c.config.Seed, Clients: c.config.Clients, First: c.next, Endpoints: c.endpoints, EndpointsOnly: c.only, PrefixBytes: prefixBytes,
		Pause: time.Duration(float64(time.Second) * float64(c.config.Clients) / float64(c.config.Rate)),
	}
	c.next += c.config.Clients
	for i := range keysPerEpisode { // keys that end alike share a slot, so their revisions interleave
		config.Keys = append(config.Keys, fmt.Sprintf("%c%04d-%d:%c", 'a'+i%4, number, i, 'a'+i*5%13))
	}
	for i := range min(mostLists, max(leastLists, c.config.Rate/16)) {
		config.Lists = append(config.Lists, fmt.Sprintf("l%04d-%d:%c", number, i, 'a'+i*7%26))
	}
	c.registers, c.lists = append(c.registers, config.Keys...), append(c.lists, config.Lists...)
	return config
}
