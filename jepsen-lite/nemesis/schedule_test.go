package nemesis

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestScheduleIsDrawnFromTheSeed(t *testing.T) {
	one, _ := Draw(7, 5*time.Minute, 3, List())
	again, _ := Draw(7, 5*time.Minute, 3, List())
	other, _ := Draw(8, 5*time.Minute, 3, List())
	if !reflect.DeepEqual(one, again) {
		t.Error("the same seed gives another schedule")
	}
	if reflect.DeepEqual(one.Strikes, other.Strikes) {
		t.Error("another seed gives the same schedule")
	}
	var text bytes.Buffer
	if err := one.Write(&text); err != nil || !bytes.Contains(text.Bytes(), []byte(`"nemesis": "`+one.Strikes[0].Nemesis+`"`)) {
		t.Errorf("%v: %s", err, &text)
	}
}

// TestEveryNemesisHasItsTurn: with time for all, none comes twice before each came once.
func TestEveryNemesisHasItsTurn(t *testing.T) {
	for seed := range uint64(50) {
		s, noRoom := Draw(seed, 6*time.Minute, 3, List())
		if len(noRoom) > 0 {
			t.Errorf("seed %d: no room for %v in six minutes", seed, noRoom)
		}
		var first []string
		for _, p := range s.Strikes[:len(List())] {
			first = append(first, p.Nemesis)
		}
		slices.Sort(first)
		if len(slices.Compact(first)) != len(List()) {
			t.Errorf("seed %d: one came again before all had come: %v", seed, first)
		}
	}
}

func TestStrikesStayWithinTheTime(t *testing.T) {
	byName := map[string]Nemesis{}
	for _, n := range List() {
		byName[n.Name] = n
	}
	during := 0
	for seed := range uint64(200) {
		const d = 40 * time.Second
		s, _ := Draw(seed, d, 3, List())
		for i, p := range s.Strikes {
			n := byName[p.Nemesis]
			if at := time.Duration(p.At); at < calmAtFirst || at+time.Duration(p.For)+n.Lasts > d+100*time.Millisecond {
				t.Errorf("seed %d: %s is not within %s", seed, p, d)
			}
			if n.NoShard != (p.Shard < 0) || p.Shard > 2 {
				t.Errorf("seed %d: %s", seed, p)
			}
			if i == 0 || p.At >= s.Strikes[i-1].At+s.Strikes[i-1].For {
				continue
			}
			during++
			if p.Shard >= 0 && p.Shard == s.Strikes[i-1].Shard {
				t.Errorf("seed %d: %s is to come during %s", seed, p, s.Strikes[i-1])
			}
		}
	}
	if during == 0 {
		t.Error("no strike ever comes during another")
	}
}

func TestNoRoomIsSaid(t *testing.T) {
	s, noRoom := Draw(1, 5*time.Second, 3, restarts())
	if len(s.Strikes) != 0 || len(noRoom) != 2 {
		t.Errorf("in five seconds: %v, no room for %v", s.Strikes, noRoom)
	}
	if s, noRoom := Draw(1, time.Minute, 3, nil); len(s.Strikes) != 0 || len(noRoom) != 0 {
		t.Errorf("of none: %v, %v", s, noRoom)
	}
}

func TestScopes(t *testing.T) {
	for _, c := range []struct {
		a      Scope
		aShard int
		b      Scope
		bShard int
		want   bool
	}{
		{OneShard, 0, OneShard, 0, true}, {OneShard, 0, OneShard, 1, false}, {OneShard, 0, Front, -1, false},
		{Front, -1, Front, -1, true}, {Whole, -1, OneShard, 2, true}, {Front, -1, Whole, -1, true}, {Whole, 1, Whole, 2, true},
	} {
		if got := c.a.Collides(c.aShard, c.b, c.bShard); got != c.want {
			t.Errorf("%s %d and %s %d: %v", c.a, c.aShard, c.b, c.bShard, got)
		}
	}
}
