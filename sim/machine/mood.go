package machine

import (
	"math"
	"math/rand/v2"
)

// mood is how a scheduler picks for a while when no fault makes it unfair. With fair picks alone, one goroutine hardly ever
// goes ten steps before another, which is ready too, goes one; in a mood it does. Compare probabilistic concurrency testing
// (Burckhardt et al., ASPLOS 2010), which gives threads priorities and changes them now and then.
type mood struct {
	left   uint32  // picks until the next mood
	chance float64 // that a pick is not fair
	newest bool    // and then: who became ready last, else who waits longest
}

// moods last from 16 picks to 1,024, short ones as often as long ones.
const leastMood, mostMood = 16, 1024

func (d *mood) pick(draw *rand.Rand, n, fair uint32) uint32 {
	if d.left == 0 {
		d.change(draw)
	}
	d.left--
	switch {
	case d.chance == 0 || d.chance < 1 && draw.Float64() >= d.chance:
		return fair
	case d.newest:
		return n - 1
	}
	return 0
}

func (d *mood) change(draw *rand.Rand) {
	d.left = uint32(leastMood * math.Pow(mostMood/leastMood, draw.Float64()))
	switch draw.IntN(6) {
	case 0:
		d.newest, d.chance = true, 0.6
	case 1:
		d.newest, d.chance = true, 0.95
	case 2:
		d.newest, d.chance = false, 1
	default:
		d.chance = 0
	}
}
