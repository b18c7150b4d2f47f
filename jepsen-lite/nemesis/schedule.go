package nemesis

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/kvorum/kvorum/internal/rig"
)

// Schedule says which nemesis strikes when. It is data: drawn from a seed, shown, kept beside what came of it.
type Schedule struct {
	Seed uint64       `json:"seed"`
	Time rig.Duration `json:"time"` // of clients and nemeses; it goes on until the last strike is over
	// OneAtATime: a strike waits until the one before it is over and all has been calm for a moment, wherever that one was.
	OneAtATime bool      `json:"one_at_a_time,omitempty"`
	Strikes    []Planned `json:"strikes"`
}

// Planned is one strike to come. It begins at At or, if it would collide with one under way, as soon as that is over.
type Planned struct {
	Nemesis string       `json:"nemesis"`
	At      rig.Duration `json:"at"`
	For     rig.Duration `json:"for"`   // between the injection and the healing
	Shard   int          `json:"shard"` // of the victims; -1: of none in particular
	Aim     Role         `json:"aim,omitempty"`
	Draw    uint64       `json:"draw"` // decides what is left open: which replica
}

// String is the strike as people read it.
func (p Planned) String() string {
	text := fmt.Sprintf("%6.1fs %s", time.Duration(p.At).Seconds(), p.Nemesis)
	if p.Aim != Either {
		text += " at a " + string(p.Aim)
	}
	if p.Shard >= 0 {
		text += fmt.Sprintf(" in shard %d", p.Shard)
	}
	return text + " for " + p.For.String()
}

// Calm times of a schedule: the first acknowledged writes come before the first strike, and each strike finds a whole cluster
// unless it is one that comes during another.
const (
	calmAtFirst  = 2 * time.Second
	shortestHold = 1500 * time.Millisecond // longer than an election takes
	longestHold  = 4 * time.Second
	shortestCalm = 1 * time.Second
	longestCalm  = 3 * time.Second
	together1In  = 4 // strikes that begin during the one before
)

// Draw fills the time with strikes of the nemeses given. Every one has its turn before one comes again, as far as there is
// time; those for which there was none come second.
func Draw(seed uint64, d time.Duration, shards int, from []Nemesis) (s Schedule, noRoom []string) {
	s = Schedule{Seed: seed, Time: rig.Duration(d), Strikes: []Planned{}}
	draw := rand.New(rand.NewPCG(seed, 0x6e656d65736973))
	drawn := map[string]bool{}
	var bag []Nemesis
	var before *Planned // that the next one begins during
	for at, misses := calmAtFirst, 0; misses < len(from); {
		if len(bag) == 0 {
			bag = append(bag, from...)
			draw.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		n := bag[0]
		bag = bag[1:]
		p := Planned{Nemesis: n.Name, At: tenths(at), For: tenths(between(draw, shortestHold, longestHold)), Shard: n.shard(draw, shards, before), Draw: draw.Uint64() >> 12}
		end := at + time.Duration(p.For) + n.Lasts
		if end > d {
			misses++ // a shorter one may fit
			continue
		}
		s.Strikes = append(s.Strikes, p)
		drawn[n.Name], misses, before = true, 0, nil
		if draw.IntN(together1In) == 0 {
			at, before = at+time.Duration(p.For)/2, &p
			continue
		}
		at = end + between(draw, shortestCalm, longestCalm)
	}
	for _, n := range from {
		if !drawn[n.Name] {
			noRoom = append(noRoom, n.Name)
		}
	}
	return s, noRoom
}

// shard draws one, another than that of the strike before if this one begins during it.
func (n Nemesis) shard(draw *rand.Rand, shards int, before *Planned) int {
	drawn := draw.IntN(shards)
	switch {
	case n.NoShard:
		return -1
	case before != nil && before.Shard == drawn:
		return (drawn + 1) % shards
	}
	return drawn
}

func between(draw *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(draw.Int64N(int64(high-low)))
}

func tenths(d time.Duration) rig.Duration { return rig.Duration(d.Round(100 * time.Millisecond)) }

// Write writes s as JSON for people.
func (s Schedule) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}
