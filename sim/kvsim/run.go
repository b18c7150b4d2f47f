package kvsim

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/schedule"
)

type runCmd struct {
	Seed uint64 `required:"" help:"Seed of the world."`
	Out  string `placeholder:"DIR" help:"Folder for schedule, log, history and report (default kvsim-SEED)."`
	patched
	world `embed:""`
}

// Run runs one world.
func (c *runCmd) Run(p *program) error {
	d, err := c.defaults()
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = fmt.Sprintf("kvsim-%d", c.Seed)
	}
	_, err = p.one(lab.Draw(c.Seed, d), c.Out, c.patched)
	return err
}

// one runs a schedule into a folder, which is only made, in place of an earlier one, once there is something to run.
func (p *program) one(s *schedule.Schedule, out string, c patched) (*lab.Record, error) {
	if err := lab.MayMakeFolder(out); err != nil {
		return nil, usageError{err}
	}
	l, patch, err := c.lab(p)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	folder, err := lab.NewFolder(out)
	if err != nil {
		return nil, usageError{err}
	}
	p.say("seed %d: %d shards x %d replicas, %d clients, %d faults, %s", s.Seed, s.Shards, s.Replicas, s.Crowd.Clients+s.Crowd.Bound, len(s.Faults), time.Duration(s.Duration))
	r := lab.NewRecord(l.Run(p.ctx, s, sim.Options{Log: folder.Log()}), patch)
	if err := folder.Finish(s, r); err != nil {
		return nil, err
	}
	p.tell(r, out)
	return r, p.finish(r, r.Verdict)
}

// tell sums a run up for people.
func (p *program) tell(r *lab.Record, out string) {
	p.say("%s: %v, %d writes acknowledged, %.0f virtual seconds in %.1f", r.Verdict, r.Outcomes, r.Writes, r.Virtual, r.Wall)
	for _, f := range r.Failures {
		p.say("  %9.3fs %s: %s", f.At, f.Oracle, f.Detail)
	}
	if r.Verdict == sim.Vacuous {
		p.say("  a run with fewer than %d acknowledged writes proves little: give it more --duration or --clients", sim.MinWrites)
	}
	p.say("written to %s", out)
	if r.Verdict != sim.Good {
		p.say("again:   %s replay %s%s", p.name, out, option(r.Patch))
	}
	if r.Verdict == sim.Failed {
		p.say("smaller: %s shrink %s%s", p.name, out, option(r.Patch))
	}
}

// option is how to give the patch again.
func option(patch *lab.Patch) string {
	if patch == nil {
		return ""
	}
	return " --patch " + patch.Path
}

// finish prints the last line and turns the verdict into the exit code.
func (p *program) finish(v any, verdict sim.Verdict) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	fmt.Fprintf(p.stdout, "%s\n", b)
	switch verdict {
	case sim.Good:
		return nil
	case sim.Failed:
		return verdictError{exitFailed}
	}
	return verdictError{exitUndecided}
}

type replayCmd struct {
	Path string `arg:"" help:"Folder of a run, or a schedule file."`
	Out  string `placeholder:"DIR" help:"Folder for what comes of it (default PATH-replay; of a schedule file, its name in the working folder)."`
	patched
}

// Run repeats a run and says whether it was the same.
func (c *replayCmd) Run(p *program) error {
	s, err := lab.ReadSchedule(c.Path)
	if err != nil {
		return usageError{err}
	}
	if c.Out == "" {
		c.Out = replayFolder(c.Path)
	}
	before, err := c.madeWith(p, c.Path)
	if err != nil {
		return err
	}
	after, err := p.one(s, c.Out, c.patched)
	if before != nil && after != nil {
		switch {
		case before.Trace == after.Trace && before.Memory == after.Memory:
			p.say("the same run, bit for bit")
		case before.Programs != after.Programs:
			p.say("not the same run: the program has changed since")
		default:
			p.say("not the same run, of the same program: the schedule was edited, or the simulator has changed or is not deterministic")
			return verdictError{exitFailed}
		}
	}
	return err
}

// replayFolder is where a replay goes by default: beside the folder of a run, and never beside a schedule that is kept somewhere.
func replayFolder(path string) string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return strings.TrimSuffix(filepath.Base(path), ".json") + "-replay"
	}
	return filepath.Clean(path) + "-replay"
}

type shrinkCmd struct {
	Path   string        `arg:"" help:"Folder of a failing run, or a schedule file."`
	Oracle string        `help:"The oracle that must go on firing (default: the run's first)."`
	For    time.Duration `default:"15m" help:"How long to try (default ${default})."`
	Runs   int           `placeholder:"N" help:"How many runs to try at most: on any machine that gives the same schedule, if there is time for them (default as many as there is time for)."`
	Out    string        `placeholder:"FILE" help:"Where the small schedule goes; a schedule that is there is replaced (default shrunk.json in the folder)."`
	patched
}

// Run shrinks.
func (c *shrinkCmd) Run(p *program) error {
	s, err := lab.ReadSchedule(c.Path)
	if err != nil {
		return usageError{err}
	}
	if _, err := c.madeWith(p, c.Path); err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = filepath.Join(c.Path, "shrunk.json")
		if info, err := os.Stat(c.Path); err == nil && !info.IsDir() {
			c.Out = c.Path + ".shrunk.json"
		}
	}
	if err := lab.MayWriteSchedule(c.Out); err != nil {
		return usageError{err}
	}
	l, patch, err := c.lab(p)
	if err != nil {
		return err
	}
	defer l.Close()
	if c.Oracle == "" {
		oracles := l.Run(p.ctx, s, sim.Options{}).Oracles()
		if len(oracles) == 0 {
			return usagef("%s does not fail: there is nothing to shrink", c.Path)
		}
		c.Oracle = oracles[0]
	}
	ctx, cancel := context.WithTimeout(p.ctx, c.For)
	defer cancel()
	small := l.Shrink(ctx, s, lab.Shrinking{Oracle: c.Oracle, Runs: c.Runs, Say: p.say})
	if small.Result == nil {
		return usagef("the oracle %q does not fire: name another with --oracle", c.Oracle)
	}
	if err := lab.WriteSchedule(c.Out, small.Schedule); err != nil {
		return err
	}
	p.say("%s: %d faults, %d operations, after %d runs in %s: %s", c.Oracle, len(small.Schedule.Faults), small.Operations, small.Runs, small.Took.Round(time.Second), c.Out)
	for _, f := range small.Result.Failures {
		p.say("  %9.3fs %s: %s", f.At, f.Oracle, f.Detail)
	}
	p.say("again:   %s replay %s%s", p.name, c.Out, option(patch))
	return nil
}
