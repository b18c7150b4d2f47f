// Package sim grows a world from a seed: machines that run the real kvorum, a network, disks and clocks with faults, clients,
// and oracles that watch.
package sim

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/timeline"
	"github.com/kvorum/kvorum/sim/vnet"
)

// World is one run. It is not safe for concurrent use; any number of worlds may run side by side.
type World struct {
	setup    Setup
	timeline *timeline.Timeline
	network  *vnet.Network
	trace    *machine.Trace
	nodes    []*Node
	history  *history
	say      func(format string, args ...any)
	lives    int // of machines, for their numbers
	failures []Failure
}

// Node is one computer of the cluster.
type Node struct {
	Name    string
	Shard   int
	world   *World
	host    *vnet.Host
	disk    *disk.Disk
	clock   *machine.Clock
	machine *machine.Machine // the present life
	life    int
	down    bool
}

// Failure is what an oracle found.
type Failure struct {
	Oracle string
	At     time.Duration
	Detail string
}

const (
	apiPort  = 8080
	peerPort = 7080
)

// stream makes the random numbers of one subsystem: what one draws never moves another's.
func (w *World) stream(name string, number int) *rand.Rand {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%d", w.setup.Seed, name, number))
	return rand.New(rand.NewChaCha8(sum))
}

func newWorld(s Setup, programs *Programs) *World {
	t := &timeline.Timeline{}
	w := &World{setup: s, timeline: t, trace: machine.NewTrace(s.Keep), say: s.Say}
	w.network = vnet.New(t, w.stream("network", 0).Uint64())
	w.history = newHistory(w)
	for shard := range s.Shards {
		for i := range s.Replicas {
			n := &Node{Name: fmt.Sprintf("s%dn%d", shard, i), Shard: shard, world: w, disk: disk.New(), clock: machine.NewClock()}
			n.host = w.network.AddHost(n.Name)
			w.nodes = append(w.nodes, n)
		}
	}
	w.setup.programs = programs
	return w
}

func (w *World) members(shard int) string {
	var list []string
	for _, n := range w.nodes {
		if n.Shard == shard {
			list = append(list, fmt.Sprintf("%s=%s:%d/%s:%d", n.Name, n.Name, peerPort, n.Name, apiPort))
		}
	}
	return strings.Join(list, ",")
}

func (w *World) seeds(shard int) string {
	var list []string
	for _, n := range w.nodes {
		if n.Shard != shard {
			list = append(list, fmt.Sprintf("%s:%d", n.Name, peerPort))
		}
	}
	return strings.Join(list, ",")
}

func (w *World) endpoints() string {
	var list []string
	for _, n := range w.nodes {
		list = append(list, fmt.Sprintf("http://%s:%d", n.Name, apiPort))
	}
	return strings.Join(list, ",")
}

// start begins a life of the node.
func (n *Node) start(ctx context.Context) {
	w := n.world
	args := []string{"kvorum", "serve", "--cluster=sim", fmt.Sprintf("--shard=%d", n.Shard), "--node=" + n.Name,
		fmt.Sprintf("--shard-count=%d", w.setup.Shards), "--members=" + w.members(n.Shard),
		fmt.Sprintf("--listen=0.0.0.0:%d", apiPort), fmt.Sprintf("--peer-listen=0.0.0.0:%d", peerPort),
		fmt.Sprintf("--advertise-api=%s:%d", n.Name, apiPort), "--data=/data", "--memory-quota=64MiB", "--log-format=json"}
	if seeds := w.seeds(n.Shard); seeds != "" {
		args = append(args, "--seeds="+seeds)
	}
	args = append(args, w.setup.Flags...)
	n.life++
	n.down = false
	n.host.Start()
	n.machine = w.startMachine(ctx, machine.Config{
		Program: w.setup.programs.Node, Args: args, Disk: n.disk, Host: n.host, Clock: n.clock,
		Random: w.stream("random/"+n.Name, n.life), Schedule: w.stream("schedule/"+n.Name, n.life),
		Output: func(fd int, b []byte) { w.logged(n, fd, b) },
		Exited: func(code int, err error) {
			w.fail("unasked exit", fmt.Sprintf("%s exited with code %d: %v", n.Name, code, err))
		},
		DiskDelay: func(kind disk.Kind, _ string, _ int) time.Duration {
			if kind == disk.Sync {
				return 300 * time.Microsecond
			}
			return 0
		},
	})
}

func (w *World) startMachine(ctx context.Context, c machine.Config) *machine.Machine {
	c.Number, c.Timeline, c.Trace = w.lives, w.timeline, w.trace
	w.lives++
	return machine.Start(ctx, c)
}

func (w *World) logged(n *Node, _ int, b []byte) {
	if w.setup.Logs != nil {
		fmt.Fprintf(w.setup.Logs, "%.6f %s %s", time.Duration(w.timeline.Now()).Seconds(), n.Name, b)
	}
}

func (w *World) fail(oracle, detail string) {
	w.failures = append(w.failures, Failure{oracle, time.Duration(w.timeline.Now()), detail})
}

// advance lets the world go on until the instant.
func (w *World) advance(end timeline.Time) {
	for w.timeline.Next(end) {
	}
}
