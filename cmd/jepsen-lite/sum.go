package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kvorum/kvorum/jepsen-lite/trial"
)

type sumCmd struct {
	Folders []string `arg:"" name:"folder" help:"Folders of runs."`
}

// sum is the last line of standard output.
type sum struct {
	Runs     int                    `json:"runs"`
	Verdict  trial.Verdict          `json:"verdict"` // the worst
	Verdicts map[trial.Verdict]int  `json:"verdicts"`
	Seconds  float64                `json:"seconds"`
	Writes   int                    `json:"writes_acknowledged"`
	Nemeses  map[string]trial.Fired `json:"nemeses"`
	Outages  []trial.Outages        `json:"time_without_service"`
}

// Run adds up what several runs came to.
func (c *sumCmd) Run(p *program) error {
	all := sum{Verdict: trial.Linearizable, Verdicts: map[trial.Verdict]int{}, Nemeses: map[string]trial.Fired{}}
	var strikes [][]trial.Struck
	var missing error // the rest is summed up all the same
	for _, folder := range c.Folders {
		f, err := trial.Load(folder)
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		p.say("%s: %s by %v, seed %d, %.0f s, %d writes acknowledged", folder, f.Verdict, f.DecidedBy, f.Seed, f.Seconds, f.Writes)
		if f.NoReplay != "" {
			p.say("  no replay: %s", f.NoReplay)
		}
		for _, what := range append(f.Findings, f.Doubts...) {
			p.say("  %s", what)
		}
		all.add(f)
		strikes = append(strikes, f.Strikes)
	}
	switch {
	case all.Runs == 0:
		return usageError{missing}
	case missing != nil && all.Verdict == trial.Linearizable:
		all.Verdict = trial.Undecided
	}
	all.Outages = trial.TimesWithoutService(strikes...)
	for _, name := range slices.Sorted(maps.Keys(all.Nemeses)) {
		p.say("  %-20s %4d times, %4d proved", name, all.Nemeses[name].Fired, all.Nemeses[name].Proved)
	}
	p.say("without service:")
	if err := trial.WriteOutages(p.stderr, all.Outages); err != nil {
		return err
	}
	if missing != nil {
		p.say("no result: %v", missing)
	}
	p.say("%s: %d runs, %.0f s, %d writes acknowledged", all.Verdict, all.Runs, all.Seconds, all.Writes)
	line, err := json.Marshal(all)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s\n", line)
	return exitOf(all.Verdict)
}

func (s *sum) add(f trial.Full) {
	s.Runs++
	s.Verdicts[f.Verdict]++
	s.Seconds += f.Seconds
	s.Writes += f.Writes
	for name, n := range f.Nemeses {
		before := s.Nemeses[name]
		s.Nemeses[name] = trial.Fired{Fired: before.Fired + n.Fired, Proved: before.Proved + n.Proved}
	}
	// A violation is worse than what proves nothing, and that is worse than a good run.
	if s.Verdict == trial.Linearizable || f.Verdict == trial.Violation {
		s.Verdict = f.Verdict
	}
}
