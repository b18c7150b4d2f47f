package schedule

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
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
	return round(Duration(float64(low) * math.Pow(ratio, d.Float64())))
}

// Count draws a number from low (at least 1) to high, small ones more often: evenly in its logarithm.
func (d *Drawer) Count(low, high int64) int64 {
	return int64(float64(low) * math.Pow(float64(high)/float64(low), d.Float64()))
}

func round(d Duration) Duration {
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

// ShardName draws a shard, as it is written behind a role.
func (d *Drawer) ShardName() string { return strconv.Itoa(d.Shard()) }

// Pair draws two nodes, mostly of one shard, in an order; the first leads half of the time. With one node it is alone.
func (d *Drawer) Pair() []string {
	shard := d.ShardName()
	if d.Schedule.Replicas > 1 && d.IntN(2) == 0 {
		pair := []string{"leader:" + shard, "follower:" + shard}
		d.Shuffle(2, func(i, j int) { pair[i], pair[j] = pair[j], pair[i] })
		return pair
	}
	all := d.all()
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(2, len(all))]
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

func (d *Drawer) all() (names []string) {
	for shard := range d.Schedule.Shards {
		for i := range d.Schedule.Replicas {
			names = append(names, fmt.Sprintf("s%dn%d", shard, i))
		}
	}
	return names
}

// SomeNodes draws at least one and not all of the nodes; of a single one, that.
func (d *Drawer) SomeNodes() []string {
	all := d.all()
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+d.IntN(max(1, len(all)-1))]
}
