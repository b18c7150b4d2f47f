package schedule

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Defaults of a drawn schedule. The zero value of each field draws it or takes the default.
type Defaults struct {
	Shards, Replicas int           // default mostly 1 and 3
	Duration         time.Duration // default 60 s
	Clients          int           // default 8
	Classes          []string      // fault classes to draw from
	Common           []string      // those of them of which most seeds of a swarm have one or two, besides what they draw
	Rare             []string      // fault classes of which one strikes once, in few of the seeds of a swarm
	Lasting          []string      // those that a node may keep for good, in seeds in which only a majority is healed
	All              bool          // every class in every seed; otherwise each seed draws a subset (a swarm)
}

// DrawFault gives a class's fault its parameters. ok is false for an unknown class.
type DrawFault func(id string, d *Drawer) (f Fault, ok bool)

// Draw draws the schedule of a seed: which classes of faults strike, how often, with which parameters, and the knobs. Each
// seed has a subset of the classes, because faults hide each other: what a partition shows may need that nothing crashes.
func Draw(seed uint64, d Defaults, fault DrawFault) *Schedule {
	draw := rand.New(rand.NewPCG(seed, 0x5c4ed01e))
	s := &Schedule{Version: 1, Seed: seed, Shards: d.Shards, Replicas: d.Replicas, Duration: Duration(d.Duration)}
	shape := drawShape(draw)
	s.Shards, s.Replicas = cmp.Or(s.Shards, shape.shards), cmp.Or(s.Replicas, shape.replicas)
	if s.Duration == 0 {
		s.Duration = Duration(time.Minute)
	}
	s.Crowd = Crowd{Clients: d.Clients, Keys: fewKeys(draw), Rate: float64(leastRate + draw.IntN(mostRate-leastRate+1)), ValueBytes: 64}
	if s.Crowd.Clients == 0 {
		s.Crowd.Clients = 8
	}
	if draw.IntN(3) > 0 {
		s.Crowd.Bound = s.Shards * s.Replicas
	}
	if draw.IntN(4) == 0 {
		s.Crowd.ValueBytes = 4096
	}
	if draw.IntN(2) == 0 {
		s.Crowd.Beat = Duration([]time.Duration{30, 60, 90}[draw.IntN(3)] * time.Millisecond)
	}
	if draw.IntN(3) == 0 {
		s.Skew = (&Drawer{draw, s}).Between(100*time.Millisecond, time.Hour)
	}
	if draw.IntN(3) == 0 { // a leader with a slow clock takes itself for one when others have elected another
		s.Drift = []float64{0.02, 0.1, 0.1}[draw.IntN(3)]
	}
	s.Stock, s.Core = draw.IntN(10) == 0, draw.IntN(2) == 0 && s.Replicas > 1
	s.Flags = knobs(draw)
	s.Faults = faults(draw, s, d, fault)
	return s
}

// shape is how many shards there are, and replicas of each.
type shape struct{ shards, replicas int }

// fewKeys draws how many keys the clients share. What is stale, lost or done twice shows when somebody reads the key that was just
// written: the fewer there are the sooner. Some seeds have more, for listings and slots.
func fewKeys(draw *rand.Rand) int { return []int{1, 2, 2, 3, 3, 4, 6, 15}[draw.IntN(8)] }

// drawShape draws mostly the smallest cluster that bears a failure: others cost twice as much, and show what needs a router
// between shards, or a majority of three.
func drawShape(draw *rand.Rand) shape {
	switch draw.IntN(16) {
	case 0:
		return shape{2, 3}
	case 1:
		return shape{1, 5}
	}
	return shape{1, 3}
}

// How many operations a second the clients of a seed aim at that are not bound to a node. Two fifths are writes. More cost more and
// find hardly more: what finds something are the faults.
const (
	leastRate = 44
	mostRate  = 62
)

func faults(draw *rand.Rand, s *Schedule, d Defaults, fault DrawFault) (list []Fault) {
	add := func(id string) {
		// faults begin once a leader was elected, and end before the run does
		at := 2*time.Second + time.Duration(draw.Int64N(int64(max(time.Second, time.Duration(s.Duration)-4*time.Second))))
		f, ok := fault(id, &Drawer{draw, s})
		if !ok {
			return
		}
		f.ID, f.At = id, round(Duration(at))
		list = append(list, f)
	}
	classes := slices.Clone(d.Classes)
	if !d.All {
		classes = subset(draw, classes, common(draw, d.Common))
	}
	for _, id := range classes {
		for range times(draw, s, len(classes)) {
			add(id)
		}
	}
	if len(d.Rare) > 0 && !d.All && draw.IntN(rareEvery) == 0 {
		add(d.Rare[draw.IntN(len(d.Rare))])
	}
	if s.Core {
		last(draw, s, d.Lasting, list)
	}
	slices.SortStableFunc(list, func(a, b Fault) int { return int(a.At - b.At) })
	return list
}

// last makes a fault one that outlasts the others, if there is one that can: who is not of the core keeps it for good.
func last(draw *rand.Rand, s *Schedule, lasting []string, list []Fault) {
	var can []*Fault
	for i := range list {
		if slices.Contains(lasting, list[i].ID) {
			can = append(can, &list[i])
		}
	}
	if len(can) == 0 {
		return
	}
	f := can[draw.IntN(len(can))]
	f.At = round(Duration(time.Duration(s.Duration) - 2*time.Second - time.Duration(draw.Int64N(int64(2*time.Second)))))
	f.For = max(f.For, Duration(10*time.Second))
}

// rareEvery is in how many seeds one has a rare fault.
const rareEvery = 8

// subset draws some of the classes: mostly few, sometimes many, so that each also meets some others alone. It has those of
// common besides.
func subset(draw *rand.Rand, classes, common []string) []string {
	n := []int{2, 3, 3, 4, 5, 6, 6, 8, 12}[draw.IntN(9)]
	some := slices.Clone(classes)
	draw.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	some = append(some[:min(n, len(some))], common...)
	slices.Sort(some)
	return slices.Compact(some)
}

// common draws one to four of the classes that most promises are broken under. With all classes alike most seeds would
// have none of them.
func common(draw *rand.Rand, classes []string) []string {
	some := slices.Clone(classes)
	draw.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	return some[:min([]int{1, 2, 3, 4}[draw.IntN(4)], len(some))]
}

// times draws how often a class strikes: less often if there are many, so that the cluster lives in between, and more often
// in a longer run. A fault lasts some seconds; about thirty in a minute keep a cluster busy and alive.
func times(draw *rand.Rand, s *Schedule, classes int) int {
	most := 30 * time.Duration(s.Duration).Seconds() / 60 / float64(classes)
	return 1 + draw.IntN(1+int(min(most, 8)))
}

// knobs draws the node's own flags, so that what takes hours by default (snapshots, compaction, catching up in several
// batches) happens in a minute.
func knobs(draw *rand.Rand) (flags []string) {
	pick := func(name string, values ...string) {
		flags = append(flags, fmt.Sprintf("--%s=%s", name, values[draw.IntN(len(values))]))
	}
	heartbeat := []string{"300ms", "500ms", "1s"}[draw.IntN(3)] // the election may not be shorter, the lease not longer
	pick("heartbeat-timeout", heartbeat)
	pick("election-timeout", heartbeat, "1s")
	pick("leader-lease-timeout", "200ms", heartbeat)
	pick("commit-timeout", "20ms", "50ms", "100ms", "200ms") // an idle leader speaks that often: dear in a simulator
	pick("rpc-timeout", "500ms", "1s", "5s")
	pick("max-append-entries", "1", "4", "64")
	pick("max-rpcs-in-flight", "1", "2", "8")
	pick("snapshot-interval", "300ms", "1s", "5s")
	pick("snapshot-threshold", "8", "32", "128", "8192")
	pick("trailing-logs", "1", "4", "32", "128", "10240")
	pick("snapshot-retain", "1", "2")
	pick("batch-operations", "1", "2", "16", "512")
	pick("batches-in-flight", "1", "4", "16")
	pick("read-rounds-in-flight", "1", "2")
	pick("confirm-timeout", "300ms", "1s")
	pick("disk-stall-timeout", "1s", "2s")
	pick("proposal-timeout", "1s", "2s", "10s")
	pick("request-timeout", "400ms", "1s", "2s", "4s") // some shorter than clients wait, so that they hear what became of it
	pick("idempotency-bytes", "1MiB", "64MiB")
	return flags
}
