package sim

import (
	"fmt"
	"time"

	"github.com/kvorum/kvorum/sim/timeline"
)

// stepDownWithin is how long a leader may go on believing that it leads when no majority can hear it or be heard: its lease is at
// most 1 s (the knobs), and raft looks at it at least that often.
const stepDownWithin = 4 * time.Second

// watchStepDown begins the oracle "step down": it looks at every node some times a second.
func (w *World) watchStepDown() {
	alone := map[*Node]timeline.Time{} // since when
	w.nemesis.repeat(func() time.Duration { return 250 * time.Millisecond }, func() {
		now := w.timeline.Now()
		for _, n := range w.nodes {
			if !n.up || !n.leads || w.nemesis.inTrouble(n) || !w.cutOff(n) {
				delete(alone, n)
				continue
			}
			since, known := alone[n]
			switch {
			case !known:
				alone[n] = now
			case now.Sub(since) > stepDownWithin:
				w.fail("step down", fmt.Sprintf("%s still leads %s after it was cut off from a majority of its shard", n.Name, now.Sub(since)))
				delete(alone, n)
			}
		}
	})
}

// cutOff: too few of the shard's other nodes can exchange a message with the node to make a majority with it.
func (w *World) cutOff(n *Node) bool {
	heard := 1
	list := w.shard(n.Shard)
	for _, other := range list {
		if other != n && other.up && !w.network.Link(n.host, other.host).Conditions().Cut && !w.network.Link(other.host, n.host).Conditions().Cut {
			heard++
		}
	}
	return heard <= len(list)/2
}
