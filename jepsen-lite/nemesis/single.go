package nemesis

import (
	"math/rand/v2"
	"time"

	"github.com/kvorum/kvorum/internal/rig"
)

// Role of a victim in its shard at the time of the strike.
type Role string

// Roles.
const (
	Leader   Role = "leader"
	Follower Role = "follower"
	Either   Role = ""
)

// Singles is the word for all nemeses that break one part and leave a quorum, one strike at a time: what a shard was without
// service then is the fault's doing and no other's.
const Singles = "single"

// How long single strikes are held, so that healing ends no time without service that is within what is promised (four election
// timeouts of 1 s) and a follower's absence has had time to show.
const (
	holdSingle   = 4500 * time.Millisecond
	holdFollower = 2 * time.Second
	// Calm is the least time between two single strikes.
	Calm = time.Second
)

// aimed is a nemesis and the role that its victim is to have.
type aimed struct {
	Nemesis
	role Role
}

// DrawSingles fills the time with rounds of all the single faults given, each at each of its roles, in an order drawn anew for
// each round; those for which there was no time come second.
func DrawSingles(seed uint64, d time.Duration, shards int, from []Nemesis) (s Schedule, noRoom []string) {
	s = Schedule{Seed: seed, Time: rig.Duration(d), Strikes: []Planned{}, OneAtATime: true}
	var all []aimed
	for _, n := range from {
		for _, role := range n.Single {
			all = append(all, aimed{n, role})
		}
	}
	draw := rand.New(rand.NewPCG(seed, 0x73696e676c65))
	at := calmAtFirst
	for first, full := true, false; !full && len(all) > 0; first = false {
		draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, a := range all {
			hold := holdSingle
			if a.role == Follower || a.NoShard {
				hold = holdFollower
			}
			end := at + hold + a.Lasts
			if end > d {
				full = true
				if first {
					noRoom = append(noRoom, a.title())
				}
				continue
			}
			s.Strikes = append(s.Strikes, Planned{
				Nemesis: a.Name, At: tenths(at), For: tenths(hold), Shard: a.shard(draw, shards, nil), Aim: a.role, Draw: draw.Uint64() >> 12,
			})
			at = end + Calm
		}
	}
	return s, noRoom
}

func (a aimed) title() string {
	if a.role == Either {
		return a.Name
	}
	return a.Name + " at a " + string(a.role)
}
