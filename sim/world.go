// Package sim grows a world from a schedule: machines that run the real kvorum, a network, disks and clocks with faults,
// clients, and oracles that watch.
package sim

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"math/rand/v2"
	"strings"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/timeline"
	"github.com/kvorum/kvorum/sim/vnet"
)

// World is one run. It is not safe for concurrent use; any number of worlds may run side by side.
type World struct {
	*schedule.Schedule
	options     Options
	timeline    *timeline.Timeline
	network     *vnet.Network
	trace       *machine.Trace
	nodes       []*Node
	crowd       *vnet.Host // of the clients
	history     *history
	nemesis     *nemesis
	leaders     []*Node // by shard: who last said that it leads
	failures    []Failure
	failed      map[string]int // failures by oracle
	watch       *watch
	shown       []shownDigest
	annotations []lin.Annotation
	reached     map[string]int                    // probes: it happened that ...
	lives       int                               // of machines, for their numbers
	remains     hash.Hash                         // of the memories of machines that are gone for good
	plainLinks  map[[2]*vnet.Host]vnet.Conditions // without faults
	clients     []*client
	frozen      []standstill       // of nodes' clocks
	starts      map[string][]int64 // of each node's lives
	ended       bool               // the run is over: what now fails is of no interest
	enough      bool               // Options.Until has come
}

// Failure is what an oracle found.
type Failure struct {
	Oracle string  `json:"oracle"`
	At     float64 `json:"at"` // seconds of virtual time
	Detail string  `json:"detail"`
}

// stream makes the random numbers of one subsystem: what one draws never moves another's.
func (w *World) stream(name string, number int) *rand.Rand {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%d", w.Seed, name, number))
	return rand.New(rand.NewChaCha8(sum))
}

// goroutines is the stream that picks goroutines.
func (w *World) goroutines(name string, life int) *rand.Rand {
	if w.GoroutineSeed == 0 {
		return w.stream("goroutines/"+name, life)
	}
	return rand.New(rand.NewPCG(w.GoroutineSeed, w.stream("goroutines/"+name, life).Uint64()))
}

func newWorld(s *schedule.Schedule, o Options) *World {
	t := &timeline.Timeline{}
	w := &World{Schedule: s, options: o, timeline: t, trace: machine.NewTrace(o.Trace), reached: map[string]int{}, failed: map[string]int{}, starts: map[string][]int64{}, remains: sha256.New(), leaders: make([]*Node, s.Shards)}
	w.network = vnet.New(t, w.stream("network", 0).Uint64())
	w.history = newHistory(w)
	for shard := range s.Shards {
		for i := range s.Replicas {
			n := &Node{Name: fmt.Sprintf("s%dn%d", shard, i), Shard: shard, world: w, disk: disk.New(), clock: machine.NewClock()}
			n.host = w.network.AddHost(n.Name)
			n.disk.Watch = n.watchDisk
			w.nodes = append(w.nodes, n)
		}
	}
	w.skew()
	w.crowd = w.network.AddHost("clients")
	w.setLinks()
	w.nemesis = newNemesis(w)
	w.watch = newWatch(w)
	return w
}

// skew sets each machine's wall clock wrong, and lets its clocks run too fast or too slow, as clocks are and do.
func (w *World) skew() {
	draw := w.stream("skew", 0)
	for _, n := range w.nodes {
		if w.Skew > 0 {
			n.clock.Jump(time.Duration(draw.Int64N(int64(2*w.Skew))) - time.Duration(w.Skew))
		}
		n.rate = 1 + w.Drift*(2*draw.Float64()-1)
		n.clock.SetRate(0, n.rate)
	}
}

// setLinks gives every link delays of its own, so that messages of one instant arrive at different ones.
func (w *World) setLinks() {
	draw := w.stream("links", 0)
	w.plainLinks = map[[2]*vnet.Host]vnet.Conditions{}
	for _, a := range w.network.Hosts() {
		for _, b := range w.network.Hosts() {
			l := w.network.Link(a, b)
			c := l.Conditions()
			if a != b {
				c.Delay = time.Duration(50+draw.IntN(1500)) * time.Microsecond
				c.Jitter = time.Duration(10+draw.IntN(400)) * time.Microsecond
			}
			l.Set(c)
			w.plainLinks[[2]*vnet.Host{a, b}] = c
		}
	}
}

// now is the virtual time since the world began.
func (w *World) now() time.Duration { return time.Duration(w.timeline.Now()) }

// mostFailures of one oracle are told; others must be heard besides one that fires at every operation.
const mostFailures = 20

func (w *World) fail(oracle, detail string) {
	if w.ended || w.enough || w.failed[oracle] >= mostFailures {
		return
	}
	w.failed[oracle]++
	w.failures = append(w.failures, Failure{oracle, w.now().Seconds(), detail})
	w.enough = w.enough || oracle == w.options.Until
	w.say("FAIL %s: %s", oracle, detail)
}

// reach counts that something happened that a campaign must have seen.
func (w *World) reach(probe string) { w.reached[probe]++ }

// say writes a line to the log of the run, and hashes it: a world that says something else is another world.
func (w *World) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	switch {
	case strings.Contains(line, " leads shard "):
		w.annotate("leader", line)
	case strings.HasPrefix(line, "FAIL "):
		w.annotate("failure", line)
	}
	w.trace.Note(int64(w.timeline.Now()), line)
	w.log("world", line+"\n")
}

// mostAnnotations bounds how many a report has to draw.
const mostAnnotations = 1000

// annotate puts what happens now on the time axis of the report, as a moment. It returns what makes a window of it, which ends when
// that is called.
func (w *World) annotate(kind, text string) (ends func()) {
	if len(w.annotations) == mostAnnotations {
		return func() {}
	}
	i := len(w.annotations)
	w.annotations = append(w.annotations, lin.Annotation{Kind: kind, Text: text, Start: int64(w.timeline.Now())})
	return func() { w.annotations[i].End = int64(w.timeline.Now()) }
}

func (w *World) log(who, text string) {
	if w.options.Log != nil {
		fmt.Fprintf(w.options.Log, "%12.6f %-7s %s", w.now().Seconds(), who, text)
	}
}

// advance lets the world go on until the instant, or until done.
func (w *World) advance(end timeline.Time, done func() bool) {
	for !w.enough && (done == nil || !done()) && w.timeline.Next(end) {
	}
}

func (w *World) node(name string) *Node {
	for _, n := range w.nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

func (w *World) shard(shard int) (list []*Node) {
	for _, n := range w.nodes {
		if n.Shard == shard {
			list = append(list, n)
		}
	}
	return list
}
