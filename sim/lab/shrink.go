package lab

import (
	"context"
	"slices"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Shrunk is the smallest schedule found that still fails.
type Shrunk struct {
	Schedule   *schedule.Schedule
	Result     *sim.Result
	Operations int // that the clients began
	Runs       int
	Took       time.Duration
}

// Shrinking says how to make a schedule smaller.
type Shrinking struct {
	Oracle string                           // that must go on firing
	Runs   int                              // at most so many; 0: no bound but the context
	Say    func(format string, args ...any) // progress; nil: none
}

// Shrink makes a failing schedule smaller for as long as the context lasts, while the same oracle fires. Faults go by delta
// debugging (Zeller and Hildebrandt, 2002), then the number of clients, the knobs and the lengths of what is left. What comes after the
// failure goes first, and then most operations: that makes all further runs shorter.
func (l *Lab) Shrink(ctx context.Context, s *schedule.Schedule, how Shrinking) Shrunk {
	k := &shrinker{Shrinking: how, lab: l, ctx: ctx, began: time.Now()}
	k.best = Shrunk{Schedule: s}
	if !k.fails(clone(s)) {
		return k.best
	}
	k.duration()
	k.begin()
	k.operations()
	k.faults()
	k.begin()
	k.operations()
	k.duration()
	k.faults()
	k.clients()
	k.knobs()
	k.lengths()
	k.operations()
	k.best.Took = time.Since(k.began)
	return k.best
}

type shrinker struct {
	Shrinking
	lab   *Lab
	ctx   context.Context
	began time.Time
	best  Shrunk
}

// over: there is no time, or no run, left.
func (k *shrinker) over() bool { return k.ctx.Err() != nil || k.Runs > 0 && k.best.Runs >= k.Runs }

func clone(s *schedule.Schedule) *schedule.Schedule {
	c := *s
	c.Faults, c.Flags = slices.Clone(s.Faults), slices.Clone(s.Flags)
	return &c
}

// fails runs s, and keeps it as the best if the oracle fires.
func (k *shrinker) fails(s *schedule.Schedule) bool {
	if k.over() {
		return false
	}
	r := k.lab.Run(k.ctx, s, sim.Options{Until: k.Oracle})
	k.best.Runs++
	if !slices.Contains(r.Oracles(), k.Oracle) {
		return false
	}
	k.best.Schedule, k.best.Result, k.best.Operations = s, r, len(r.History)
	if k.Say != nil {
		k.Say("%d runs: %d faults, %d operations, %s", k.best.Runs, len(s.Faults), len(r.History), time.Duration(s.Duration))
	}
	return true
}

// try changes a copy of the best.
func (k *shrinker) try(change func(*schedule.Schedule)) bool {
	s := clone(k.best.Schedule)
	change(s)
	return k.fails(s)
}

// faults leaves pieces of the list out, halves first, then smaller ones.
func (k *shrinker) faults() {
	for pieces := 1; ; {
		list := k.best.Schedule.Faults
		if len(list) == 0 || k.over() {
			return
		}
		pieces = min(pieces, len(list))
		size := (len(list) + pieces - 1) / pieces
		cut := false
		for from := 0; from < len(list) && !cut; from += size {
			cut = k.try(func(s *schedule.Schedule) { s.Faults = slices.Delete(s.Faults, from, min(from+size, len(list))) })
		}
		switch {
		case cut:
			pieces = max(1, pieces-1)
		case size == 1:
			return
		default:
			pieces *= 2
		}
	}
}

// operations bounds how many the clients begin, by bisection.
func (k *shrinker) operations() {
	low, high := 0, k.best.Operations
	for high-low > max(4, high/8) {
		middle := (low + high) / 2
		if k.try(func(s *schedule.Schedule) { s.Crowd.Operations = middle }) {
			high = middle
		} else {
			low = middle
		}
		if k.over() {
			return
		}
	}
}

// duration ends the run soon after the failure. Where that is only found when all is over, half the time is tried, and half of that.
func (k *shrinker) duration() {
	i := slices.IndexFunc(k.best.Result.Failures, func(f sim.Failure) bool { return f.Oracle == k.Oracle })
	at := schedule.Duration((k.best.Result.Failures[i].At + 1) * float64(time.Second))
	if at < k.best.Schedule.Duration && k.until(at) {
		return
	}
	for k.best.Schedule.Duration > schedule.Duration(2*time.Second) && k.until(k.best.Schedule.Duration/2) {
	}
}

// until tries the run up to a time.
func (k *shrinker) until(at schedule.Duration) bool {
	return k.try(func(s *schedule.Schedule) {
		s.Duration, s.Crowd.Begin = at, min(s.Crowd.Begin, at/2)
		s.Faults = slices.DeleteFunc(s.Faults, func(f schedule.Fault) bool { return f.At >= at })
	})
}

// begin lets the clients begin as late as may be: what they do before the faults that matter is much to read.
func (k *shrinker) begin() {
	const fine = schedule.Duration(500 * time.Millisecond)
	low, high := k.best.Schedule.Crowd.Begin, k.best.Schedule.Duration
	for high-low > fine && !k.over() {
		middle := (low + high) / 2
		if k.try(func(s *schedule.Schedule) { s.Crowd.Begin = middle }) {
			low = middle
		} else {
			high = middle
		}
	}
}

func (k *shrinker) clients() {
	for n := 1; n < k.best.Schedule.Crowd.Clients; n *= 2 {
		if k.try(func(s *schedule.Schedule) { s.Crowd.Clients = n }) {
			break
		}
	}
	for k.best.Schedule.Crowd.Rate > 2 && k.try(func(s *schedule.Schedule) { s.Crowd.Rate /= 2 }) {
	}
	k.try(func(s *schedule.Schedule) { s.Crowd.Bound = 0 })
	k.try(func(s *schedule.Schedule) { s.Crowd.ValueBytes = 1 })
	k.try(func(s *schedule.Schedule) { s.Core = false })
	k.try(func(s *schedule.Schedule) { s.Skew = 0 })
	k.try(func(s *schedule.Schedule) { s.Drift = 0 })
	k.try(func(s *schedule.Schedule) { s.Crowd.Beat = 0 })
}

// knobs go back to the defaults where they do not matter.
func (k *shrinker) knobs() {
	if k.try(func(s *schedule.Schedule) { s.Flags = nil }) {
		return
	}
	for i := len(k.best.Schedule.Flags) - 1; i >= 0 && !k.over(); i-- {
		k.try(func(s *schedule.Schedule) { s.Flags = slices.Delete(s.Flags, i, i+1) })
	}
}

// lengths of faults are halved while they may be.
func (k *shrinker) lengths() {
	for i := range k.best.Schedule.Faults {
		for again := 0; again < k.best.Schedule.Faults[i].Again; again = 2*again + 1 {
			if k.try(func(s *schedule.Schedule) { s.Faults[i].Again = again }) {
				break
			}
		}
		for !k.over() && k.best.Schedule.Faults[i].For > schedule.Duration(200*time.Millisecond) {
			if !k.try(func(s *schedule.Schedule) { s.Faults[i].For /= 2 }) {
				break
			}
		}
	}
}
