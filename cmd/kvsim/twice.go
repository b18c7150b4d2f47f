package main

import (
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/lab"
)

type twiceCmd struct {
	Seeds       string `required:"" placeholder:"A-B" help:"Range of seeds."`
	Workers     int    `help:"Worlds at a time (default: one per core)."`
	Interpreter bool   `help:"The second time by wazero's interpreter, which is slow, in place of its compiler."`
	world       `embed:""`
}

// twiceResult is what the last line says.
type twiceResult struct {
	From      uint64           `json:"from"`
	To        uint64           `json:"to"`
	Second    string           `json:"second"` // compiler or interpreter
	Different []lab.Difference `json:"different"`
	Wall      float64          `json:"wall_seconds"`
	Verdict   sim.Verdict      `json:"verdict"`
}

// Run runs each seed two times and says whether the runs were the same.
func (c *twiceCmd) Run(p *program) error {
	from, to, err := seeds(c.Seeds)
	if err != nil {
		return err
	}
	d, err := c.defaults()
	if err != nil {
		return err
	}
	root, err := lab.Root()
	if err != nil {
		return usageError{err}
	}
	l, err := p.lab()
	if err != nil {
		return err
	}
	defer l.Close()
	result := twiceResult{From: from, To: to, Second: "compiler", Different: []lab.Difference{}, Verdict: sim.Good}
	t := lab.Twice{From: from, To: to, Defaults: d, Workers: workers(c.Workers)}
	if c.Interpreter {
		result.Second = "interpreter"
		if t.Other, err = lab.New(p.ctx, lab.Config{Build: build.Config{Root: root, Say: p.say}, Interpreter: true}); err != nil {
			return err
		}
		defer t.Other.Close()
	}
	bar := newBar(p.stderr, 2*int(to-from+1), "runs")
	t.Done = func() { _ = bar.Add(1) }
	began := time.Now()
	different, err := l.Twice(p.ctx, t)
	_ = bar.Finish()
	result.Different, result.Wall = append(result.Different, different...), time.Since(began).Seconds()
	switch {
	case len(different) > 0:
		result.Verdict = sim.Failed
	case err != nil:
		result.Verdict = p.unlessInterrupted(sim.Undecided)
		p.say("%v", err)
	}
	for _, d := range different {
		p.say("seed %d: the %s differs: %s", d.Seed, d.What, d.First)
	}
	return p.finish(result, result.Verdict)
}
