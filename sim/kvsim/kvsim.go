// Package kvsim is the command of that name: it runs kvorum in simulated worlds, the very program that serves, with faults drawn
// from a seed. It is a package because two mains have it: cmd/kvsim, and one whose machines another engine runs (sim/wasmtime).
package kvsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Exit codes. They stand in the help too.
const (
	exitGood      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitUndecided = 3
)

// description has the name by which the program was started.
const description = `Runs kvorum in simulated worlds: the very program that serves, one WebAssembly machine per node, with faults
drawn from a seed. A run repeats bit for bit.

    %[1]s run --seed 42                 # one world; what it was goes to --out
    %[1]s campaign --seeds 1-200        # many
    %[1]s replay DIR                    # the run of a folder again, or of a schedule file
    %[1]s shrink DIR                    # the smallest schedule that still fails

The last line on standard output of run, campaign and hunt is one JSON object; sim/README.md says what is in it.

Exit codes:
  0  all good
  1  an oracle fired; for hunt: the patch was caught; for twice, and for replay with the same
     program: the runs differ
  2  wrong usage, or the patch does not apply or build, or changes nothing that the machines run
  3  undecided, or the run proves nothing (too few writes, a fault or probe never seen)
"go run" makes 1 of all but 0; a program built with "go build ./cmd/kvsim" does not.`

type cli struct {
	Run      runCmd      `cmd:"" help:"Run one world."`
	Campaign campaignCmd `cmd:"" help:"Run many worlds and sum up."`
	Replay   replayCmd   `cmd:"" help:"Run the schedule of a folder or file again."`
	Twice    twiceCmd    `cmd:"" help:"Run seeds two times and compare everything that happened."`
	Shrink   shrinkCmd   `cmd:"" help:"Make a failing schedule small."`
	Hunt     huntCmd     `cmd:"" help:"Build the node with a patch and look for a seed that shows it."`
	Mutants  mutantsCmd  `cmd:"" help:"Hunt all mutants and print the kill table."`
	Faults   faultsCmd   `cmd:"" help:"List the fault classes."`
	Oracles  oraclesCmd  `cmd:"" help:"List the oracles."`
	Probes   probesCmd   `cmd:"" help:"List what campaigns must have seen."`
}

// program is what commands share.
type program struct {
	ctx            context.Context
	name           string // how to start it again
	engine         lab.NewEngine
	stdout, stderr io.Writer
}

// verdictError carries an exit code.
type verdictError struct{ code int }

func (e verdictError) Error() string { return "exit " + strconv.Itoa(e.code) }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

type usageError struct{ error }

// Main is a program's main. The machines run on the engine; nil: wazero.
func Main(engine lab.NewEngine) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := &program{ctx, startedAs(os.Args[0]), engine, os.Stdout, os.Stderr}
	os.Exit(p.run(os.Args[1:]))
}

// runFolder matches where "go run" starts programs: a temporary folder, or one of the build cache.
var runFolder = regexp.MustCompile(`/go-build|/[0-9a-f]{64}-d/`)

// startedAs is what to type to start the program again, which is not a path that nobody typed.
func startedAs(path string) string {
	if runFolder.MatchString(filepath.ToSlash(path)) {
		return "go run ./cmd/kvsim"
	}
	return path
}

func (p *program) run(args []string) (code int) {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name(p.name), kong.Description(fmt.Sprintf(description, p.name)), kong.Writers(p.stdout, p.stderr), kong.Exit(func(code int) { exited = code }), kong.UsageOnError())
	if err != nil {
		p.say("kvsim: %v", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err == nil {
		err = parsed.Run(p)
	} else {
		err = usageError{err}
	}
	var verdict verdictError
	switch {
	case err == nil:
		return exitGood
	case errors.As(err, &verdict):
		return verdict.code
	case errors.As(err, new(usageError)):
		p.say("kvsim: %v\nTry '%s --help'.", err, p.name)
		return exitUsage
	}
	p.say("kvsim: %v", err)
	return exitUsage
}

const defaultDuration = time.Minute

// world is the flags of what is drawn.
type world struct {
	Duration time.Duration `default:"60s" help:"Virtual time of clients and faults (default ${default})."`
	Shards   *int          `help:"Shards (default: drawn by the seed, mostly 1)."`
	Replicas *int          `help:"Replicas of each shard (default: drawn by the seed, mostly 3)."`
	Clients  int           `default:"8" help:"Concurrent clients (default ${default})."`
	Faults   string        `default:"swarm" help:"Fault classes, comma separated; swarm: each seed draws some; all; none (default ${default})."`
}

func (w world) defaults() (schedule.Defaults, error) {
	d := schedule.Defaults{Duration: w.Duration, Clients: w.Clients}
	switch {
	case w.Shards != nil && *w.Shards < 1 || w.Replicas != nil && *w.Replicas < 1 || w.Clients < 1:
		return d, usagef("--shards, --replicas and --clients must be at least 1")
	case w.Duration < 5*time.Second:
		return d, usagef("--duration %s is too short to elect a leader and do something: give at least 5s", w.Duration)
	}
	if w.Shards != nil {
		d.Shards = *w.Shards
	}
	if w.Replicas != nil {
		d.Replicas = *w.Replicas
	}
	known := map[string]bool{}
	for _, c := range sim.Classes() {
		known[c.ID] = true
	}
	switch w.Faults {
	case "swarm":
	case "none":
		d.All = true
	case "all":
		d.All = true
		for _, c := range sim.Classes() {
			if c.Tier == sim.Tolerated {
				d.Classes = append(d.Classes, c.ID)
			}
		}
	default:
		d.All = true
		for _, id := range strings.Split(w.Faults, ",") {
			if !known[id] {
				return d, usagef("no fault class %q: the command faults lists them", id)
			}
			d.Classes = append(d.Classes, id)
		}
	}
	return d, nil
}

// many is the flags of commands that run a range of seeds.
type many struct {
	Seeds   string `required:"" placeholder:"A-B" help:"Range of seeds."`
	Workers int    `help:"Worlds at a time (default: one per core)."`
	world   `embed:""`
}

func (m many) campaign() (c lab.Campaign, err error) {
	c.Workers = workers(m.Workers)
	if c.From, c.To, err = seeds(m.Seeds); err != nil {
		return c, err
	}
	c.Defaults, err = m.defaults()
	return c, err
}

// lab builds the programs and shows it.
func (p *program) lab() (*lab.Lab, error) { return p.labWith(lab.Config{}) }

func (p *program) labWith(c lab.Config) (_ *lab.Lab, err error) {
	if c.Build.Root, err = lab.Root(); err != nil {
		return nil, usageError{err}
	}
	c.Build.Say = p.say
	if c.Engine == nil {
		c.Engine = p.engine
	}
	return lab.New(p.ctx, c)
}

func (p *program) say(format string, args ...any) { fmt.Fprintf(p.stderr, format+"\n", args...) }

// workers: one world per core.
func workers(n int) int {
	if n > 0 {
		return n
	}
	return runtime.NumCPU()
}

// seeds reads A-B or A.
func seeds(text string) (from, to uint64, err error) {
	first, last, found := strings.Cut(text, "-")
	if !found {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 64)
	to, err2 := strconv.ParseUint(last, 10, 64)
	if err1 != nil || err2 != nil || to < from {
		return 0, 0, usagef("--seeds %q: want a range such as 1-200", text)
	}
	return from, to, nil
}
