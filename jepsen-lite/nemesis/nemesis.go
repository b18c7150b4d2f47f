// Package nemesis breaks real clusters. A Nemesis knows how to break one thing and how to mend it, and gives proof that what
// it did took effect: a nemesis that struck nothing would make a clean run out of nothing. Which one strikes when is a
// Schedule, data drawn from a seed. What it strikes is a Target, made of handles that processes and containers fill in;
// where a handle is missing, the nemeses that need it are refused before the start.
package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Nemesis is one way to break a cluster.
type Nemesis struct {
	Name   string
	Family string
	Does   string // for people
	Needs  []Need
	// Replicas that a shard must have at least.
	Replicas int
	// Beyond: what it does is beyond what Raft promises to survive, and why. Such a nemesis is never part of "all", and what comes
	// of it says nothing about the program.
	Beyond string
	// Scope is what may not be broken by another nemesis at the same time: the victims must be there to be struck.
	Scope Scope
	// NoShard: it strikes no shard in particular.
	NoShard bool
	// Single: it breaks one part and leaves a quorum. These are the roles at which each is to strike for the tables of how long a
	// shard was without service; Either where there is no choice.
	Single []Role
	// Lasts is about how long it takes besides the time that it is held: a schedule leaves room for it.
	Lasts time.Duration
	// Inject breaks something. It has happened when Inject returns, or is under way until Heal. Without a Strike nothing is broken any
	// more; an error beside a Strike says what of it failed, one of ErrBroken that the cluster did.
	Inject func(ctx context.Context, t *Target, b Blow) (*Strike, error)
}

// Blow is what a schedule says of one strike.
type Blow struct {
	Shard int           // whose nodes it strikes, if they are of one shard
	Aim   Role          // of the victim, where there is a choice
	For   time.Duration // how long it will be held
	Draw  *rand.Rand    // for the choice of victims
}

// Strike is what one Inject did.
type Strike struct {
	Victims []string
	Proof   string // by what it is known to have taken effect; it may be known only when it is over
	Over    bool   // it lasted as long as it was to, and is not held any longer
	// Heal ends it, waits until the victims are ready again, and adds to the proof what became known meanwhile. An error of
	// ErrNoProof says that it did not take effect, any other that something did not come back.
	Heal func(ctx context.Context) (proof string, err error)
}

// ErrNoProof: it is not known that a strike took effect.
var ErrNoProof = errors.New("no proof that it took effect")

// ErrBroken: the cluster did not do, in the course of a strike, what it must do in spite of it. That is no matter of proof.
var ErrBroken = errors.New("it did not bear it")

// Scope says what a nemesis keeps others away from.
type Scope string

// Scopes.
const (
	OneShard Scope = "shard"   // the nodes of one shard
	Front    Scope = "front"   // what stands in front of the nodes
	Whole    Scope = "cluster" // everything
)

// Collides: may the two not be under way at once.
func (s Scope) Collides(shard int, other Scope, otherShard int) bool {
	if s == Whole || other == Whole {
		return true
	}
	return s == other && (s != OneShard || shard == otherShard)
}

// Families in the order in which they are listed.
func Families() []string {
	return []string{"kill", "pause", "slow", "restart", "partition", "link", "unplug", "disk", "disk-lying", "proxy", "router", "mixture"}
}

// List gives all nemeses, family by family.
func List() []Nemesis {
	var all []Nemesis
	for _, family := range [][]Nemesis{kills(), pauses(), slowness(), restarts(), partitions(), links(), unplugs(), disks(), lies(), proxies(), mixtures()} {
		all = append(all, family...)
	}
	return all
}

// Absent is a family that is not here, and why.
type Absent struct{ Family, Reason string }

// Elsewhere lists what people look for here and won't find.
func Elsewhere() []Absent {
	return []Absent{
		{"clock", "stays with the simulator, because the wall clock of one process or container can't be moved without the machine's own: kvsim run --faults all has offsets, jumps, drift and freezes, each for one machine"},
		{"member", "is not possible yet: the replicas of a shard are named when it is made, and can't be changed"},
		{"slots", "is not possible yet: no slot moves to another shard, as the number of shards is given when the cluster is made"},
	}
}
