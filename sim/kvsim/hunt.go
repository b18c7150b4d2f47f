package kvsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/astmutants"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/mutants"
	"github.com/kvorum/kvorum/sim/schedule"
)

type huntCmd struct {
	Patch string `required:"" placeholder:"FILE" help:"Unified diff; paths a/... relative to the project, or a/ and a dependency's import path."`
	Out   string `placeholder:"FILE" help:"Where the schedule that killed it goes."`
	many  `embed:""`
}

// Run hunts one patch.
func (c *huntCmd) Run(p *program) error {
	text, err := os.ReadFile(c.Patch)
	if err != nil {
		return usageError{err}
	}
	campaign, err := c.campaign()
	if err != nil {
		return err
	}
	h, err := p.hunter()
	if err != nil {
		return err
	}
	defer h.close()
	bar := newBar(p.stderr, campaign.Size(), "seeds")
	campaign.Done = func(*schedule.Schedule, *sim.Result) bool {
		_ = bar.Add(1)
		return true
	}
	k, err := h.hunt(c.Patch, text, campaign)
	_ = bar.Exit()
	if err != nil {
		return err
	}
	if k.Killed {
		p.say("\nkilled by seed %d: %v", k.Seed, k.Oracles)
		if c.Out != "" {
			if err := writeSchedule(c.Out, k.Schedule); err != nil {
				return err
			}
		}
		return p.finish(k, sim.Failed)
	}
	p.say("\nno seed of %d killed it", k.Seeds)
	return p.finish(k, p.goodUnlessInterrupted())
}

func writeSchedule(name string, s *schedule.Schedule) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write the schedule: %w", err)
	}
	if err := errors.Join(s.Write(file), file.Close()); err != nil {
		return fmt.Errorf("write the schedule: %w", err)
	}
	return nil
}

// hunter keeps the plain program, which is only loaded once a seed has failed, and what it made of each such seed: all hunts of
// one run of kvsim have the same seeds.
type hunter struct {
	p     *program
	root  string
	plain func() (*lab.Lab, error)
	kept  *lab.Lab
	fine  map[uint64]bool // by seed

	shrink time.Duration // how long to try to make what killed small; 0: not at all
}

func (p *program) hunter() (*hunter, error) {
	root, err := lab.Root()
	if err != nil {
		return nil, usageError{err}
	}
	h := &hunter{p: p, root: root, fine: map[uint64]bool{}}
	h.plain = sync.OnceValues(func() (*lab.Lab, error) {
		l, err := lab.New(p.ctx, lab.Config{Build: build.Config{Root: root}, Engine: p.engine})
		h.kept = l
		return l, err
	})
	return h, nil
}

// plainPasses says whether the program without a patch passes what one with a patch failed. One call at a time.
func (h *hunter) plainPasses(s *schedule.Schedule) (bool, error) {
	if fine, known := h.fine[s.Seed]; known {
		return fine, nil
	}
	l, err := h.plain()
	if err != nil {
		return false, err
	}
	fine := l.Run(h.p.ctx, s, sim.Options{}).Verdict != sim.Failed
	if h.p.ctx.Err() == nil { // an interrupted run says nothing
		h.fine[s.Seed] = fine
	}
	return fine, nil
}

func (h *hunter) close() {
	if h.kept != nil {
		_ = h.kept.Close()
	}
}

func (h *hunter) hunt(name string, text []byte, c lab.Campaign) (lab.Kill, error) {
	patched, err := h.p.patchedLab(name, text)
	if err != nil {
		return lab.Kill{}, err
	}
	defer patched.Close()
	k, err := lab.Hunt(h.p.ctx, patched, h.plainPasses, c)
	k.Patch = name
	if k.Killed && h.shrink > 0 {
		ctx, cancel := context.WithTimeout(h.p.ctx, h.shrink)
		defer cancel()
		k.Small = lab.SmallOf(patched.Shrink(ctx, k.Schedule, k.Oracles[0], nil), k.Oracles[0])
	}
	return k, err
}

type mutantsCmd struct {
	Only     string `help:"Only mutants whose name contains this."`
	Class    string `help:"Only those of a class: raft, disk, read, outcome, store."`
	Harmless bool   `help:"The harmless ones, which must live."`
	AST      int    `name:"ast" placeholder:"N" help:"In place of the patches: N drawn by the AST mutator."`
	ASTSeed  uint64 `name:"ast-seed" default:"1" help:"Seed of the AST mutator (default ${default})."`
	Seeds    string `default:"1-1000" placeholder:"A-B" help:"Seeds to try each with (default ${default})."`
	Workers  int    `help:"Worlds at a time (default: one per core)."`
	Out      string `placeholder:"DIR" help:"Folder for the schedules that killed."`

	Shrink time.Duration `help:"Make each schedule that killed small, for as long as this (default not)."`
}

// Run hunts all mutants with the same settings and prints the kill table.
func (c *mutantsCmd) Run(p *program) error {
	campaign, err := many{c.Seeds, c.Workers, standardWorld()}.campaign()
	if err != nil {
		return err
	}
	h, err := p.hunter()
	if err != nil {
		return err
	}
	defer h.close()
	h.shrink = c.Shrink
	list, err := c.list(p, h.root)
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return fmt.Errorf("folder for schedules: %w", err)
		}
	}
	var kills []lab.Kill
	survivors := 0
	for i, m := range list {
		p.say("%d/%d %s", i+1, len(list), m.Name)
		k, err := h.hunt(m.Name, []byte(m.Patch), campaign)
		if err != nil {
			return err
		}
		if k.Killed && c.Out != "" {
			if err := writeSchedule(c.Out+"/"+m.Name+".json", k.Schedule); err != nil {
				return err
			}
		}
		if k.Small != nil && c.Out != "" {
			if err := writeSchedule(c.Out+"/"+m.Name+".small.json", k.Small.Schedule); err != nil {
				return err
			}
		}
		if k.Killed == c.Harmless {
			survivors++
		}
		p.say("  killed %t by seed %d after %d seeds, %.0f CPU s: %v", k.Killed, k.Seed, k.Seeds, k.CPU, k.Oracles)
		if s := k.Small; s != nil {
			p.say("  shrunk for %s to %d faults, %d operations, %d bytes, after %d runs in %.0f s", s.Oracle, s.Faults, s.Operations, s.Bytes, s.Runs, s.Seconds)
		}
		kills = append(kills, k)
		if p.ctx.Err() != nil {
			break
		}
	}
	killTable(p.stderr, kills)
	if survivors > 0 {
		return p.finish(kills, sim.Failed)
	}
	return p.finish(kills, p.goodUnlessInterrupted())
}

// goodUnlessInterrupted: who was stopped before the end has not shown that nothing is wrong.
func (p *program) goodUnlessInterrupted() sim.Verdict {
	if p.ctx.Err() != nil {
		return sim.Undecided
	}
	return sim.Good
}

// standardWorld is what every mutant is hunted with: the defaults of the flags.
func standardWorld() world {
	return world{Duration: defaultDuration, Shards: 1, Replicas: 3, Clients: 5, Faults: "swarm"}
}

func (c *mutantsCmd) list(p *program, root string) (list []mutants.Mutant, err error) {
	all := mutants.List()
	switch {
	case c.Harmless:
		all = mutants.Harmless()
	case c.AST > 0:
		drawn, err := astmutants.Draw(p.ctx, root, c.ASTSeed, c.AST)
		if err != nil {
			return nil, err
		}
		all = nil
		for _, m := range drawn {
			all = append(all, mutants.Mutant{Name: m.Name, Class: "ast", Patch: m.Patch})
		}
	}
	for _, m := range all {
		if (c.Class == "" || m.Class == c.Class) && strings.Contains(m.Name, c.Only) {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil, usagef("no such mutant")
	}
	return list, nil
}

func killTable(w io.Writer, kills []lab.Kill) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nmutant\tkilled by\tseeds\tCPU s\toracles")
	var cpu []float64
	for _, k := range kills {
		by := "-"
		if k.Killed {
			by = fmt.Sprintf("seed %d", k.Seed)
			cpu = append(cpu, k.CPU)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.0f\t%v\n", k.Patch, by, k.Seeds, k.CPU, k.Oracles)
	}
	slices.Sort(cpu)
	if len(cpu) > 0 {
		fmt.Fprintf(t, "\n%d of %d killed; CPU seconds until killed: median %.0f, slowest %.0f\n", len(cpu), len(kills), cpu[len(cpu)/2], cpu[len(cpu)-1])
	}
	_ = t.Flush()
	shrinkTable(w, kills)
}

// The goal of shrinking: what a person can read.
const (
	fewFaults     = 8
	fewOperations = 100
)

func shrinkTable(w io.Writer, kills []lab.Kill) {
	var faults, operations []int
	small := 0
	for _, k := range kills {
		if k.Small == nil {
			continue
		}
		faults, operations = append(faults, k.Small.Faults), append(operations, k.Small.Operations)
		if k.Small.Faults <= fewFaults && k.Small.Operations <= fewOperations {
			small++
		}
	}
	if len(faults) == 0 {
		return
	}
	slices.Sort(faults)
	slices.Sort(operations)
	fmt.Fprintf(w, "%d of %d shrunk to at most %d faults and %d operations; median %d faults, %d operations\n", small, len(faults), fewFaults, fewOperations, faults[len(faults)/2], operations[len(operations)/2])
}
