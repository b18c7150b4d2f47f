package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Defaults of a drawn schedule. The zero value of each field draws it or takes the default.
type Defaults struct {
	Shards, Replicas int
	Duration         time.Duration // default 60 s
	Clients          int           // default 5
	Classes          []string      // fault classes to draw from
	All              bool          // every class in every seed; otherwise each seed draws a subset (a swarm)
}

// DrawFault gives a class's fault its parameters. ok is false for an unknown class.
type DrawFault func(id string, d *Drawer) (f Fault, ok bool)

// Draw draws the schedule of a seed: which classes of faults strike, how often, with which parameters, and the knobs. Each
// seed has a subset of the classes, because faults hide each other: what a partition shows may need that nothing crashes.
func Draw(seed uint64, d Defaults, fault DrawFault) *Schedule {
	draw := rand.New(rand.NewPCG(seed, 0x5c4ed01e))
	s := &Schedule{Version: 1, Seed: seed, Shards: d.Shards, Replicas: d.Replicas, Duration: Duration(d.Duration)}
	if s.Shards == 0 {
		s.Shards = 1
	}
	if s.Replicas == 0 {
		s.Replicas = 3
	}
	if s.Duration == 0 {
		s.Duration = Duration(time.Minute)
	}
	s.Crowd = Crowd{Clients: d.Clients, Keys: 4 + draw.IntN(12), Pause: Duration(time.Duration(30+draw.IntN(60)) * time.Millisecond), ValueBytes: 64}
	if s.Crowd.Clients == 0 {
		s.Crowd.Clients = 5
	}
	if draw.IntN(4) == 0 {
		s.Crowd.ValueBytes = 4096
	}
	s.Stock, s.Core = draw.IntN(10) == 0, draw.IntN(2) == 0 && s.Replicas > 1
	s.Flags = knobs(draw)
	classes := slices.Clone(d.Classes)
	if !d.All {
		classes = subset(draw, classes)
	}
	for _, id := range classes {
		rate := 1 + draw.IntN(5) // times in a run
		for range rate {
			// faults begin once a leader was elected, and end before the run does
			at := 2*time.Second + time.Duration(draw.Int64N(int64(max(time.Second, time.Duration(s.Duration)-4*time.Second))))
			f, ok := fault(id, &Drawer{draw, s})
			if !ok {
				continue
			}
			f.ID, f.At = id, Duration(at).round()
			s.Faults = append(s.Faults, f)
		}
	}
	slices.SortStableFunc(s.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	return s
}

// subset draws some of the classes: mostly few, sometimes many, so that rare ones also meet alone.
func subset(draw *rand.Rand, classes []string) (some []string) {
	chance := []float64{0.1, 0.2, 0.2, 0.35, 0.5}[draw.IntN(5)]
	for _, id := range classes {
		if draw.Float64() < chance {
			some = append(some, id)
		}
	}
	return some
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
	pick("commit-timeout", "10ms", "20ms", "50ms")
	pick("rpc-timeout", "500ms", "1s", "5s")
	pick("max-append-entries", "1", "4", "64")
	pick("max-rpcs-in-flight", "1", "2", "8")
	pick("snapshot-interval", "500ms", "2s", "10s")
	pick("snapshot-threshold", "16", "64", "256", "8192")
	pick("trailing-logs", "0", "4", "32", "128", "10240")
	pick("snapshot-retain", "1", "2")
	pick("batch-operations", "1", "2", "16", "512")
	pick("batches-in-flight", "1", "4")
	pick("read-rounds-in-flight", "1", "2")
	pick("confirm-timeout", "300ms", "1s")
	pick("disk-stall-timeout", "1s", "2s")
	pick("proposal-timeout", "2s", "10s")
	pick("request-timeout", "2s", "4s")
	pick("idempotency-bytes", "1MiB", "64MiB")
	return flags
}
