package kvsim

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/astmutants"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/mutants"
)

type mutantsCmd struct {
	Only     string `help:"Only mutants whose name contains this."`
	Class    string `help:"Only those of a class: raft, disk, read, outcome, store."`
	Harmless bool   `help:"The harmless ones, which must live."`
	AST      int    `name:"ast" placeholder:"N" help:"In place of the patches: N drawn by the AST mutator."`
	ASTSeed  uint64 `name:"ast-seed" default:"1" help:"Seed of the AST mutator (default ${default})."`
	Seeds    string `default:"1-1000" placeholder:"A-B" help:"Seeds to try each with (default ${default})."`
	Workers  int    `help:"Worlds at a time (default: one per core)."`
	Out      string `placeholder:"DIR" help:"Folder for the schedules that killed; one that kvsim wrote before is replaced (default none)."`

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
	if err := c.folder(h); err != nil {
		return err
	}
	kills := []lab.Kill{}
	survivors := 0
	for i, m := range list {
		p.say("%d/%d %s", i+1, len(list), m.Name)
		k, err := h.hunt(m.Name, []byte(m.Patch), campaign)
		if err != nil {
			return err
		}
		if err := c.keep(k); err != nil {
			return err
		}
		if k.Killed == c.Harmless && k.Verdict != sim.Undecided { // an interrupted hunt says nothing
			survivors++
		}
		p.say("  killed by %s after %d seeds, %.0f CPU s: %v", killer(k), k.Seeds, k.CPU, k.Oracles)
		if s := k.Small; s != nil {
			p.say("  shrunk for %s to %d faults, %d operations, %d bytes, after %d runs in %.0f s", s.Oracle, s.Faults, s.Operations, s.Bytes, s.Runs, s.Seconds)
		}
		kills = append(kills, k)
		if p.ctx.Err() != nil {
			break
		}
	}
	killTable(p.stderr, kills)
	if c.Shrink > 0 {
		shrinkTable(p.stderr, kills)
	}
	if survivors > 0 {
		return p.finish(kills, sim.Failed)
	}
	return p.finish(kills, p.goodUnlessInterrupted())
}

// folder makes it, in place of an earlier one, once the program was built.
func (c *mutantsCmd) folder(h *hunter) error {
	if c.Out == "" {
		return nil
	}
	if err := lab.MayMakeFolder(c.Out); err != nil {
		return usageError{err}
	}
	if _, err := h.plain(); err != nil {
		return err
	}
	if err := lab.MakeFolder(c.Out); err != nil {
		return usageError{err}
	}
	return nil
}

// keep writes the schedule that killed, and what became of it, into the folder.
func (c *mutantsCmd) keep(k lab.Kill) error {
	if c.Out == "" || !k.Killed {
		return nil
	}
	name := filepath.Join(c.Out, strings.NewReplacer("/", "-", ":", "-").Replace(k.Patch)) // AST mutants are named after their place
	err := lab.WriteSchedule(name+".json", k.Schedule)
	if err == nil && k.Small != nil {
		err = lab.WriteSchedule(name+".small.json", k.Small.Schedule)
	}
	return err
}

// killer names the seed, for people.
func killer(k lab.Kill) string {
	if !k.Killed {
		return "none"
	}
	return fmt.Sprintf("seed %d", *k.Seed)
}

// standardWorld is what every mutant is hunted with: the defaults of the flags.
func standardWorld() world {
	return world{Duration: defaultDuration, Clients: 8, Faults: "swarm"}
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
