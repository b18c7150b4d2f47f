package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/timeline"
)

// Setup says what world to grow. Seed and Duration are needed.
type Setup struct {
	Seed                      uint64
	Duration                  time.Duration
	Shards, Replicas, Clients int
	Pause                     time.Duration // mean, between operations of a client
	Keys                      int
	Flags                     []string // of kvorum serve
	Keep                      io.Writer
	Logs                      io.Writer
	Say                       func(format string, args ...any)

	programs *Programs
}

// Programs are loaded into an engine, for any number of worlds.
type Programs struct {
	Node, Client *machine.Program
}

// Load compiles built programs.
func Load(ctx context.Context, e *machine.Engine, b build.Programs) (*Programs, error) {
	node, err := e.Load(ctx, b.Node)
	if err != nil {
		return nil, err
	}
	client, err := e.Load(ctx, b.Client)
	if err != nil {
		return nil, err
	}
	return &Programs{Node: node, Client: client}, nil
}

// Result of a run.
type Result struct {
	Trace, Memory string
	Records       uint64
	Outcomes      map[lin.Outcome]int
	Failures      []Failure
	History       []lin.Operation
	Virtual       time.Duration
}

// Run grows the world and lets it live.
func Run(ctx context.Context, s Setup, p *Programs) *Result {
	w := newWorld(s, p)
	for _, n := range w.nodes {
		n.start(ctx)
	}
	crowd := w.network.AddHost("c0")
	c := w.startClient(ctx, crowd, "-clients", fmt.Sprint(s.Clients), "-seed", fmt.Sprint(s.Seed), "-pause", s.Pause.String(), "-keys", fmt.Sprint(s.Keys), "-for", s.Duration.String())
	w.advance(timeline.Time(s.Duration))
	end := w.timeline.Now().Add(10 * time.Second)
	for !c.done && w.timeline.Next(end) {
	}
	if c.code != 0 {
		w.fail("client", c.errors.String())
	}
	reader := w.startClient(ctx, w.network.AddHost("c1"), "-errand", "read-all", "-first", "1000", "-keys", fmt.Sprint(s.Keys), "-for", "30s")
	end = w.timeline.Now().Add(40 * time.Second)
	for !reader.done && w.timeline.Next(end) {
	}
	if !reader.done || reader.code != 0 {
		w.fail("final reads", reader.errors.String())
	}
	r := &Result{Trace: "", Outcomes: w.history.outcomes(), History: w.history.ops, Virtual: time.Duration(w.timeline.Now()), Records: w.trace.Count()}
	memory := sha256.New()
	for _, n := range w.nodes {
		n.machine.HashMemory(memory)
		n.disk.Hash(memory)
	}
	sum := w.trace.Sum()
	r.Trace, r.Memory = hex.EncodeToString(sum[:]), hex.EncodeToString(memory.Sum(nil))
	for _, n := range w.nodes {
		n.machine.Kill()
	}
	c.machine.Kill()
	reader.machine.Kill()
	r.Failures = w.failures
	return r
}
