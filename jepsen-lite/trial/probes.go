package trial

import (
	"maps"
	"slices"
	"time"

	"github.com/kvorum/kvorum/workload"
)

// What the crowd does says too little of how long a shard executed no write: its clients wait for answers, back off, or talk to
// the node that hangs. So probes put something into each shard at a steady beat on each way to it.
const (
	probeEvery = 50 * time.Millisecond
	probeLimit = time.Second // a put that takes longer is no service; and no longer are its outcome and its client in doubt
	// A client whose put took all of its time is free again before its next beat, so that none is left out.
	probeClients = int(probeLimit*3/2) / int(probeEvery)
)

// probing makes the probes of one episode, and their keys.
func (c *crowd) probing(number int) (all []workload.Probe) {
	for shard := range c.config.Shards {
		ways := c.ways(uint32(shard))
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			probe := workload.Probe{
				First: c.next, Endpoints: ways[way], Every: probeEvery, Limit: probeLimit,
				Keys: c.draw(map[string]string{ThroughNodes: "n", ThroughHAProxy: "h"}[way], number, shard, probeClients, 26/c.config.Shards),
			}
			for range probeClients {
				c.probes[c.next] = way
				c.next++
			}
			c.probed = append(c.probed, probe.Keys...)
			all = append(all, probe)
		}
	}
	return all
}
