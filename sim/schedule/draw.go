package schedule

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Drawer draws the parameters of one fault.
type Drawer struct {
	*rand.Rand
	Schedule *Schedule
}

// Between draws a duration, small ones more often: evenly in its logarithm.
func (d *Drawer) Between(low, high time.Duration) Duration {
	ratio := float64(high) / float64(low)
	return Duration(float64(low) * math.Pow(ratio, d.Float64())).round()
}

func (d Duration) round() Duration {
	return d / Duration(time.Microsecond) * Duration(time.Microsecond)
}

// Of draws one of the words.
func (d *Drawer) Of(words ...string) string { return words[d.IntN(len(words))] }

// Shard draws a shard.
func (d *Drawer) Shard() int { return d.IntN(d.Schedule.Shards) }

// NodeName draws the name of a node.
func (d *Drawer) NodeName() string {
	return fmt.Sprintf("s%dn%d", d.Shard(), d.IntN(d.Schedule.Replicas))
}

// OneNode draws a node, half of the time whoever leads a shard then.
func (d *Drawer) OneNode() []string {
	switch d.IntN(6) {
	case 0, 1, 2:
		return []string{fmt.Sprintf("leader:%d", d.Shard())}
	case 3:
		return []string{fmt.Sprintf("follower:%d", d.Shard())}
	}
	return []string{d.NodeName()}
}

// SomeNodes draws at least one and not all of the nodes.
func (d *Drawer) SomeNodes() []string {
	var all []string
	for shard := range d.Schedule.Shards {
		for i := range d.Schedule.Replicas {
			all = append(all, fmt.Sprintf("s%dn%d", shard, i))
		}
	}
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+d.IntN(max(1, len(all)-1))]
}
