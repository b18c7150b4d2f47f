package machine

import (
	"math/rand/v2"
	"testing"
)

// TestMoods: about half of the picks are fair; in some stretches nearly all are of the newest, in others all of the oldest.
func TestMoods(t *testing.T) {
	const picks, stretch, ready = 2_000_000, 16, 8
	draw := rand.New(rand.NewPCG(1, 2))
	var d mood
	newest, oldest, other := 0, 0, 0
	for range picks / stretch {
		n, o := 0, 0
		for range stretch {
			switch d.pick(draw, ready, draw.Uint32N(ready)) {
			case ready - 1:
				n++
			case 0:
				o++
			}
		}
		switch {
		case n >= stretch-2:
			newest++
		case o == stretch:
			oldest++
		case n < stretch/2 && o < stretch/2:
			other++
		}
	}
	all := picks / stretch
	if newest < all/20 || oldest < all/20 || other < all/3 {
		t.Errorf("of %d stretches %d are of the newest, %d of the oldest, %d of neither", all, newest, oldest, other)
	}
}
