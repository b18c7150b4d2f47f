package lab

import (
	"bytes"
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Kill is what a hunt found out about a patch. Of how many workers it had, and which of them was faster, only the times tell.
type Kill struct {
	Patch  string  `json:"patch"`
	Killed bool    `json:"killed"`
	Seed   *uint64 `json:"seed"`            // that killed it: the first that does; nil if none did
	Seeds  int     `json:"seeds"`           // that were run with the patch, from the first up to the one that killed it
	Vague  int     `json:"undecided_seeds"` // of these, how many were undecided: they say nothing of the patch
	From   uint64  `json:"from"`            // of the range that was asked for
	To     uint64  `json:"to"`

	Oracles  []string       `json:"oracles"` // that fired in the run that killed; the first is the one that fired first
	Together                // of the run that killed, its own hashes; if none did, of all seeds
	Fired    map[string]int `json:"faults"` // how often each took effect, in the same runs

	Verdict sim.Verdict `json:"verdict"` // failed: killed; good: it lives; undecided: it lived until the hunt was interrupted
	Virtual float64     `json:"virtual_seconds"`
	CPU     float64     `json:"cpu_seconds"` // of this process for those runs, without building
	Wall    float64     `json:"wall_seconds"`

	Small    *Small             `json:"small,omitempty"`
	Schedule *schedule.Schedule `json:"-"`
}

// Small is what shrinking made of a schedule that killed.
type Small struct {
	Oracle     string  `json:"oracle"` // that goes on firing
	Faults     int     `json:"faults"`
	Operations int     `json:"operations"`
	Bytes      int     `json:"bytes"` // of the schedule's file
	Runs       int     `json:"runs"`
	Seconds    float64 `json:"wall_seconds"`

	Schedule *schedule.Schedule `json:"-"`
}

// SmallOf sums shrinking up; nil if the schedule did not fail again.
func SmallOf(s Shrunk, oracle string) *Small {
	if s.Result == nil {
		return nil
	}
	var file bytes.Buffer
	_ = s.Schedule.Write(&file) // a buffer takes everything
	return &Small{oracle, len(s.Schedule.Faults), s.Operations, file.Len(), s.Runs, s.Took.Seconds(), s.Schedule}
}

// Passes reports whether a run of the plain program clears it, so that what the same seed shows of a patched one is the patch's
// doing. A run that was not decided clears nothing.
func Passes(r *sim.Result) bool { return r.Verdict == sim.Good || r.Verdict == sim.Vacuous }

// Hunt runs seeds on patched until one fails that the plain program passes, which is only asked once a seed has failed. Seeds below
// it that are under way are run to their end: it is the first of them all that counts.
func Hunt(ctx context.Context, patched *Lab, plainPasses func(*schedule.Schedule) (bool, error), c Campaign) (Kill, error) {
	return hunt(ctx, func(s *schedule.Schedule) *sim.Result { return patched.Run(ctx, s, sim.Options{}) }, plainPasses, c)
}

func hunt(ctx context.Context, one func(*schedule.Schedule) *sim.Result, plainPasses func(*schedule.Schedule) (bool, error), c Campaign) (Kill, error) {
	k := Kill{Oracles: []string{}, Fired: map[string]int{}, From: c.From, To: c.To, Verdict: sim.Good}
	var killer *sim.Result
	var failure error
	began, cpu := time.Now(), cpuSeconds()
	done := c.Done
	c.Done = func(s *schedule.Schedule, r *sim.Result) bool {
		if done != nil && !done(s, r) {
			return false
		}
		if r.Verdict != sim.Failed || killer != nil && killer.Seed < r.Seed || failure != nil || ctx.Err() != nil {
			return killer == nil && failure == nil
		}
		before := cpuSeconds()
		passes, err := plainPasses(s)
		cpu += cpuSeconds() - before // the plain program's share is no part of the hunt
		if passes && err == nil {
			killer, k.Schedule = r, s
		}
		failure = err
		return killer == nil && failure == nil // it goes on if that is not the patch's doing
	}
	k.tell(c.run(ctx, one), killer)
	if killer == nil && ctx.Err() != nil {
		k.Verdict = sim.Undecided
	}
	k.CPU, k.Wall = cpuSeconds()-cpu, time.Since(began).Seconds()
	return k, failure
}

// tell sums up the results up to the killer's, or all.
func (k *Kill) tell(results []*sim.Result, killer *sim.Result) {
	if killer != nil {
		results = slices.DeleteFunc(results, func(r *sim.Result) bool { return r.Seed > killer.Seed }) // what ran beside it
	}
	for _, r := range results {
		k.Virtual += r.Virtual
		if r.Verdict == sim.Undecided {
			k.Vague++
		}
	}
	k.Seeds = len(results)
	if killer != nil {
		k.Killed, k.Seed, k.Verdict, k.Oracles = true, &killer.Seed, sim.Failed, oraclesOf(killer)
		results = []*sim.Result{killer}
	}
	k.Together = together(results)
	if killer != nil {
		k.Trace, k.Memory = killer.Trace, killer.Memory
	}
	for _, r := range results {
		for id, n := range r.Fired {
			k.Fired[id] += n
		}
	}
}

// cpuSeconds is what this process has used.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
