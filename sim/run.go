package sim

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Options of a run that change nothing in it.
type Options struct {
	Programs   *Programs
	Trace      io.Writer   // gets every record of the trace; nil: only its hash is kept
	Log        io.Writer   // gets what the nodes log and what the world does
	Goroutines hash.Hash64 // gets every choice of a goroutine
	Until      string      // an oracle: the world ends when it fires. For who looks for nothing else
}

// Programs are loaded into an engine, for any number of worlds.
type Programs struct {
	Node, Client machine.Program
	Hash         string
}

// Load compiles built programs.
func Load(ctx context.Context, e machine.Engine, b build.Programs) (*Programs, error) {
	node, err := e.Load(ctx, b.Node)
	if err != nil {
		return nil, err
	}
	client, err := e.Load(ctx, b.Client)
	if err != nil {
		return nil, err
	}
	return &Programs{Node: node, Client: client, Hash: b.Hash}, nil
}

// Verdict of a run.
type Verdict string

// The verdicts. A run that proves nothing is no good one.
const (
	Good      Verdict = "good"
	Failed    Verdict = "failed"
	Undecided Verdict = "undecided"
	Vacuous   Verdict = "vacuous"
)

// Result of a run.
type Result struct {
	Seed     uint64              `json:"seed"`
	Programs string              `json:"programs"` // SHA-256 of what the machines ran: a schedule repeats exactly only with the same
	Trace    string              `json:"trace"`    // SHA-256 of everything that happened
	Memory   string              `json:"memory"`   // SHA-256 of every byte of the machines' memories and disks at the end: of the crowd when it was done, of a node that loses its power for good then, of the others when all was judged
	Outcomes map[lin.Outcome]int `json:"operations"`
	Writes   int                 `json:"writes_acknowledged"`
	Fired    map[string]int      `json:"faults"`
	Beyond   []string            `json:"beyond_raft,omitempty"` // of the faults that fired, those that Raft promises nothing under: a failure is to be expected
	Reached  map[string]int      `json:"reached"`
	Failures []Failure           `json:"failures"`
	Verdict  Verdict             `json:"verdict"`
	Virtual  float64             `json:"virtual_seconds"`
	Wall     float64             `json:"wall_seconds"`
	Records  uint64              `json:"records"`

	History     []lin.Operation  `json:"-"`
	Annotations []lin.Annotation `json:"-"`
	Commits     []lin.Commit     `json:"-"`
	Report      *lin.Report      `json:"-"`
}

// Oracles that failed, each once, in the order in which they first did.
func (r *Result) Oracles() (list []string) {
	seen := map[string]bool{}
	for _, f := range r.Failures {
		if !seen[f.Oracle] {
			seen[f.Oracle] = true
			list = append(list, f.Oracle)
		}
	}
	return list
}

// Says is the verdict with its reason, for the pages of the run; "" if it is good.
func (r *Result) Says() string {
	switch r.Verdict {
	case Good:
		return ""
	case Failed:
		text := "failed: " + strings.Join(r.Oracles(), ", ")
		if len(r.Beyond) > 0 {
			text += " (to be expected: beyond what Raft promises are " + strings.Join(r.Beyond, ", ") + ")"
		}
		return text
	case Vacuous:
		return fmt.Sprintf("vacuous: %d writes acknowledged, fewer than %d prove little", r.Writes, MinWrites)
	}
	return string(r.Verdict)
}

// MinWrites is how many acknowledged writes make a run worth something.
const MinWrites = 500

// Run grows the world, lets it live, heals it, and judges it.
func Run(ctx context.Context, s *schedule.Schedule, o Options) *Result {
	began := time.Now() // for people; nothing in the world sees it
	w := newWorld(s, o)
	defer w.end()
	w.live()
	if !w.enough {
		w.recover()
	}
	r := w.judge(ctx)
	r.Wall = time.Since(began).Seconds()
	return r
}

// live is the time of clients and faults.
func (w *World) live() {
	draw := w.stream("start", 0)
	for _, n := range w.nodes {
		w.timeline.After(time.Duration(draw.IntN(100))*time.Millisecond, n.start)
	}
	w.nemesis.arm()
	w.watchStepDown()
	w.watchDigests()
	c, end := w.Crowd, w.timeline.Now().Add(time.Duration(w.Duration))
	if c.Begin > 0 {
		w.advance(w.timeline.Now().Add(time.Duration(c.Begin)), nil)
	}
	crowd := w.startClient(w.crowd, w.endpoints(w.nodes), "-clients", fmt.Sprint(c.Clients), "-bound", fmt.Sprint(c.Bound), "-seed", fmt.Sprint(w.Seed),
		"-pause", time.Duration(c.Pause).String(), "-keys", fmt.Sprint(c.Keys), "-value-bytes", fmt.Sprint(c.ValueBytes),
		"-operations", fmt.Sprint(c.Operations), "-rate", fmt.Sprint(c.Rate), "-beat", time.Duration(c.Beat).String(), "-for", time.Duration(w.Duration-c.Begin).String())
	crowd.machine.Remains = w.remains
	w.advance(end, nil)
	w.nemesis.heal(w.coreOf())
	w.advance(end.Add(lastOperations), func() bool { return crowd.done })
	if !crowd.done && !w.enough {
		w.fail("operations end", fmt.Sprintf("clients still wait %s after the last fault", lastOperations))
	}
	if crowd.code != 0 {
		w.fail("client", crowd.errors.String())
	}
	for i := range w.history.ops {
		if o := &w.history.ops[i]; o.Return != lin.Open && o.Return-o.Call > int64(lastOperations) {
			w.fail("operations end", fmt.Sprintf("it took %s: %s", time.Duration(o.Return-o.Call), o))
		}
	}
	crowd.machine.HashMemory(w.remains) // of one that has ended: it did so then
	crowd.machine.Kill()
}

// lastOperations bounds how long an operation may take: the longest timeout of a client's, and some slack.
const lastOperations = 12 * time.Second

// coreOf is the set of nodes that the end of the faults heals: all, or a majority of each shard.
func (w *World) coreOf() map[*Node]bool {
	core := map[*Node]bool{}
	draw := w.stream("core", 0)
	for shard := range w.Shards {
		list := w.shard(shard)
		keep := len(list)
		if w.Core {
			keep = len(list)/2 + 1
		}
		draw.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		slices.SortStableFunc(list, func(a, b *Node) int { return cmp.Compare(w.nemesis.use(b), w.nemesis.use(a)) })
		for _, n := range list[:keep] {
			core[n] = true
		}
	}
	return core
}

// judge asks every oracle and sums up.
func (w *World) judge(ctx context.Context) *Result {
	w.nemesis.closeWindows()
	r := &Result{Seed: w.Seed, Programs: w.options.Programs.Hash, Outcomes: w.history.outcomes(), Writes: w.history.writes(), History: w.history.ops, Virtual: w.now().Seconds(), Fired: w.nemesis.fired, Annotations: w.annotations}
	for _, id := range ClassesOf(Beyond) {
		if r.Fired[id] > 0 {
			r.Beyond = append(r.Beyond, id)
		}
	}
	w.judgeHistory(ctx, r)
	r.Reached = w.watch.reach()
	for _, n := range w.nodes {
		n.machine.HashMemory(w.remains)
		n.disk.Hash(w.remains)
	}
	sum := w.trace.Sum()
	r.Trace, r.Memory, r.Records = hex.EncodeToString(sum[:]), hex.EncodeToString(w.remains.Sum(nil)), w.trace.Count()
	r.Failures = w.failures
	switch {
	case len(r.Failures) > 0:
		r.Verdict = Failed
	case r.Verdict != "":
	case r.Writes < MinWrites:
		r.Verdict = Vacuous
	default:
		r.Verdict = Good
	}
	return r
}

// end frees all machines.
func (w *World) end() {
	w.ended = true
	for _, c := range w.clients {
		c.machine.Kill()
	}
	for _, n := range w.nodes {
		if n.machine != nil {
			n.machine.Kill()
		}
	}
}
