package kvsim

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/schedule"
)

type huntCmd struct {
	Patch string `required:"" placeholder:"FILE" help:"Unified diff; paths a/... relative to the project, or a/ and a dependency's import path."`
	Out   string `placeholder:"FILE" help:"Where the schedule that killed it goes; a schedule that is there is replaced (default nowhere)."`
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
	if c.Out != "" {
		if err := lab.MayWriteSchedule(c.Out); err != nil {
			return usageError{err}
		}
	}
	h, err := p.hunter()
	if err != nil {
		return err
	}
	defer h.close()
	bar := newBar(p.stderr, campaign.Size(), "seeds")
	h.say = func(format string, args ...any) {
		_ = bar.Clear() // what is built meanwhile has lines of its own
		p.say(format, args...)
	}
	campaign.Done = func(*schedule.Schedule, *sim.Result) bool {
		_ = bar.Add(1)
		return true
	}
	k, err := h.hunt(c.Patch, text, campaign)
	_ = bar.Exit()
	if err != nil {
		return err
	}
	if !k.Killed {
		p.say("\nno seed of %d killed it", k.Seeds)
		if k.Vague > 0 {
			p.say("%d of them were undecided and say nothing of it", k.Vague)
		}
		return p.finish(k, k.Verdict)
	}
	p.say("\nkilled by seed %d: %v", *k.Seed, k.Oracles)
	if c.Out != "" {
		if err := lab.WriteSchedule(c.Out, k.Schedule); err != nil {
			return err
		}
		p.say("again:   %s replay %s --patch %s", p.name, c.Out, c.Patch)
		p.say("smaller: %s shrink %s --patch %s", p.name, c.Out, c.Patch)
	}
	return p.finish(k, k.Verdict)
}

// goodUnlessInterrupted: who was stopped before the end has not shown that nothing is wrong.
func (p *program) goodUnlessInterrupted() sim.Verdict {
	if p.ctx.Err() != nil {
		return sim.Undecided
	}
	return sim.Good
}

// hunter keeps the plain program, which is only loaded once a seed has failed, and what it made of each such seed: all hunts of
// one run of kvsim have the same seeds.
type hunter struct {
	p     *program
	root  string
	plain func() (*lab.Lab, error)
	kept  *lab.Lab
	fine  map[uint64]bool // by seed
	say   func(format string, args ...any)

	shrink time.Duration // how long to try to make what killed small; 0: not at all
}

func (p *program) hunter() (*hunter, error) {
	root, err := lab.Root()
	if err != nil {
		return nil, usageError{err}
	}
	h := &hunter{p: p, root: root, fine: map[uint64]bool{}, say: p.say}
	h.plain = sync.OnceValues(func() (*lab.Lab, error) {
		l, err := lab.New(p.ctx, lab.Config{Build: build.Config{Root: root, Say: h.say}, Engine: p.engine})
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
	r := l.Run(h.p.ctx, s, sim.Options{})
	if h.p.ctx.Err() != nil { // an interrupted run says nothing
		return false, nil
	}
	h.fine[s.Seed] = lab.Passes(r)
	if !h.fine[s.Seed] {
		h.say("seed %d fails, but is %s without the patch: it does not count", s.Seed, r.Verdict)
	}
	return h.fine[s.Seed], nil
}

func (h *hunter) close() {
	if h.kept != nil {
		_ = h.kept.Close()
	}
}

func (h *hunter) hunt(name string, text []byte, c lab.Campaign) (lab.Kill, error) {
	patched, err := h.p.patchedLab(name, text, h.say)
	if err != nil {
		return lab.Kill{}, err
	}
	defer patched.Close()
	k, err := lab.Hunt(h.p.ctx, patched, h.plainPasses, c)
	k.Patch = name
	if k.Killed && h.shrink > 0 {
		ctx, cancel := context.WithTimeout(h.p.ctx, h.shrink)
		defer cancel()
		k.Small = lab.SmallOf(patched.Shrink(ctx, k.Schedule, lab.Shrinking{Oracle: k.Oracles[0]}), k.Oracles[0])
	}
	return k, err
}
