package kvsim

import (
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
)

type twiceCmd struct {
	Second string `enum:"same,wazero,interpreter" default:"same" help:"What runs the machines the second time: the same, wazero's compiler, or its interpreter, which is slow (default ${default})."`
	many   `embed:""`
}

// twiceResult is what the last line says.
type twiceResult struct {
	From      uint64           `json:"from"`
	To        uint64           `json:"to"`
	Second    string           `json:"second"` // what ran it: same, wazero, interpreter
	Different []lab.Difference `json:"different"`
	Wall      float64          `json:"wall_seconds"`
	Worlds    lab.Summary      `json:"worlds"` // what the first runs came to, as a campaign
	Verdict   sim.Verdict      `json:"verdict"`
}

// Run runs each seed two times and says whether the runs were the same.
func (c *twiceCmd) Run(p *program) error {
	campaign, err := c.campaign()
	if err != nil {
		return err
	}
	first, err := p.lab()
	if err != nil {
		return err
	}
	defer first.Close()
	second := first
	result := twiceResult{From: campaign.From, To: campaign.To, Second: c.Second, Different: []lab.Difference{}, Verdict: sim.Good}
	if c.Second == "wazero" && p.engine == nil {
		return usagef("--second wazero: this kvsim runs its machines by wazero anyway; build the other one: make kvsim")
	}
	if c.Second != "same" {
		if second, err = p.labWith(lab.Config{Engine: machine.NewWazero, Interpreter: c.Second == "interpreter"}); err != nil {
			return err
		}
		defer second.Close()
	}
	bar := newBar(p.stderr, 2*campaign.Size(), "runs")
	campaign.Done = func(*schedule.Schedule, *sim.Result) bool {
		_ = bar.Add(1)
		return true
	}
	began := time.Now()
	different, results, err := first.Twice(p.ctx, campaign, second)
	_ = bar.Finish()
	result.Worlds = lab.Summarize(results, time.Since(began))
	printSummary(p.stderr, result.Worlds)
	result.Different, result.Wall = append(result.Different, different...), time.Since(began).Seconds()
	if err != nil { // interrupted, or no place for a trace
		result.Verdict = sim.Undecided
		p.say("%v", err)
	}
	if len(different) > 0 {
		result.Verdict = sim.Failed
	}
	for _, d := range different {
		p.say("seed %d: the %s differs: %s", d.Seed, d.What, d.First)
	}
	return p.finish(result, result.Verdict)
}
