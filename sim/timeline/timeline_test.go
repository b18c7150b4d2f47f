package timeline

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestOrder pushes events, some from within events, and cancels some: what happens is sorted by instant and then by the order
// of the pushes, nothing happens twice, and nothing canceled happens.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var line Timeline
		type happened struct {
			at    Time
			order int
		}
		var got, want []happened
		var events []*Event
		var push func(at Time, nested bool)
		push = func(at Time, nested bool) {
			order := len(events)
			want = append(want, happened{max(at, line.Now()), order})
			events = append(events, line.At(at, func() {
				got = append(got, happened{line.Now(), order})
				if nested {
					push(line.Now().Add(5), false)
					push(0, false) // in the past: now
				}
			}))
		}
		for range rapid.IntRange(1, 40).Draw(rt, "events") {
			push(Time(rapid.IntRange(0, 20).Draw(rt, "at")), rapid.Bool().Draw(rt, "nested"))
		}
		canceled := rapid.IntRange(0, len(events)-1).Draw(rt, "canceled")
		line.Cancel(events[canceled])
		for line.Next(10) {
		}
		if line.Now() != 10 {
			rt.Fatalf("the clock stands at %d after all until 10", line.Now())
		}
		for line.Next(1000) {
		}
		want = slices.DeleteFunc(want, func(h happened) bool { return h.order == canceled })
		slices.SortStableFunc(want, func(a, b happened) int { return int(a.at - b.at) })
		if !slices.Equal(got, want) {
			rt.Fatalf("happened %v, want %v", got, want)
		}
		line.Cancel(nil)
		line.Cancel(events[0])
	})
}
