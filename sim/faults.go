package sim

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/kvorum/kvorum/sim/schedule"
)

// Tier says what a cluster must do with a fault.
type Tier string

// The tiers of the fault model, see ARCHITECTURE.md.
const (
	Tolerated  Tier = "tolerated"   // all promises hold
	Detectable Tier = "detectable"  // the node must refuse to serve
	Beyond     Tier = "beyond Raft" // labelled, reported apart
)

// class is one kind of fault.
type class struct {
	line string // for kvsim faults
	tier Tier
	draw func(d *schedule.Drawer) schedule.Fault // its parameters; At is the drawer's
	// strike begins the fault; nil if there is nothing to end. It counts by took when the fault really had an effect, which
	// for some is only known at the end.
	strike func(x *nemesis, s *strike) (end func())
	// lasts: a node outside the core may keep it for good. It takes the node out, makes it deaf or mute, or its disk take nothing
	// more, so that the others must go on without it; what only makes it slow may leave it the leader.
	lasts bool
}

// strike is one fault at the moment when it begins.
type strike struct {
	fault *schedule.Fault
	index int // of the fault in the schedule
	nodes []*Node
	draw  *rand.Rand
}

// Class describes a fault class to people.
type Class struct {
	ID, Line string
	Tier     Tier
}

// Classes lists all fault classes by id.
func Classes() (list []Class) {
	all := classes()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list = append(list, Class{id, all[id].line, all[id].tier})
	}
	return list
}

// ClassesOf lists the ids of a tier's classes. A swarm draws from the tolerated ones, and rarely from the detectable ones.
func ClassesOf(tier Tier) (ids []string) {
	for _, c := range Classes() {
		if c.Tier == tier {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// CommonClasses lists the ids of those tolerated classes that take a leader from its followers, a machine from its memory
// and cache, or its disk at the worst of times: what the promises of a replicated store are about. Of these most seeds of a swarm have some.
func CommonClasses() []string {
	return []string{"crash-on-event", "cut-on-event", "error-on-event", "freeze", "isolate", "kill", "late-connection", "late-snapshot", "left-behind", "partition", "pause-leader", "power", "stall-cut", "stall-on-event", "suspend", "transfer-cut", "transfer-lag"}
}

// LastingClasses lists the ids of those that a node outside the core may keep for good.
func LastingClasses() (ids []string) {
	all := classes()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if all[id].lasts {
			ids = append(ids, id)
		}
	}
	return ids
}

// DrawFault draws a fault of the class.
func DrawFault(id string, d *schedule.Drawer) (schedule.Fault, bool) {
	c, ok := classes()[id]
	if !ok {
		return schedule.Fault{}, false
	}
	return c.draw(d), true
}

func classes() map[string]class {
	all := map[string]class{}
	for _, family := range []map[string]class{
		crashFaults(), processFaults(), cutFaults(), linkFaults(), connectionFaults(), diskFaults(), damageFaults(), clockFaults(), operations(), keyedFaults(),
	} {
		maps.Copy(all, family)
	}
	return all
}

// LeftOut lists the known kinds of faults that are not injected, each with the reason.
func LeftOut() []Class {
	return []Class{
		{"duplicate, reorder, replay or corrupt a packet", "TCP hides the first three from the program, and its checksum the fourth; a new connection after a reset repeats messages for real", Beyond},
		{"filter by message type", "one connection carries all types in order, so what is held holds the rest; stale-connection holds some connections and not others, which parts heartbeats from entries", Tolerated},
		{"a wrong bit in what a leader reads of a snapshot to send it", "the follower finds it and the leader sends it again (tried by hand); the oracle raft-snapshot, which reads along, would take it for the leader's word", Detectable},
		{"out of memory", "Go ends the process: a kill", Tolerated},
		{"stop inside a critical section", "only goroutines of the same process see the difference; to the others it is a pause, to the former the seeded scheduler", Tolerated},
		{"priorities of goroutines that change at few points (PCT)", "they would need a goroutine's name where the scheduler picks; moods that prefer the newest or the oldest for a while, and the class starve, make the same long runs of one goroutine", Tolerated},
		{"allocation and hash seeds", "not a fault: each life of a machine has seeds of its own", Tolerated},
		{"knobs", "not a fault: every schedule draws the node's flags", Tolerated},
		{"members added, removed, replaced; learners promoted", "the product cannot do it yet", Tolerated},
		{"slot moves, shards added", "the product cannot do it yet", Tolerated},
		{"backup and restore by the user", "the product cannot do it yet", Tolerated},
		{"mixed versions", "there is one version yet", Tolerated},
		{"configuration rolled back, wrong routing table", "members and slots do not change yet; clients that know nothing or guess wrong are sent on, which every world has", Tolerated},
		{"a client that dies", "to the cluster it is a connection that ends with a request under way: reset, clients-cut, and the one operation in eight that is given up early", Tolerated},
		{"a slow client", "net/http's deadlines and the bound on what a reply may wait are tested natively; a slow reader in a world would only spend its minute", Tolerated},
		{"a storm of retries under one key", "the client library repeats under one idempotency key after every doubt (probe: retry under a key after failover); many at once of one key are tested natively", Tolerated},
	}
}
