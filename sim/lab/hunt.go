package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/patch"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Kill is what a hunt found out about a patch.
type Kill struct {
	Patch   string   `json:"patch"`
	Killed  bool     `json:"killed"`
	Seed    uint64   `json:"seed,omitempty"`    // that killed it
	Oracles []string `json:"oracles,omitempty"` // that fired there; the first is the one that fired first
	Seeds   int      `json:"seeds"`             // that were run with the patch
	CPU     float64  `json:"cpu_seconds"`       // of this process for those runs, without building
	Wall    float64  `json:"wall_seconds"`

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

// BuildError says that a patch does not apply or build: nothing was run.
type BuildError struct{ Err error }

func (e *BuildError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *BuildError) Unwrap() error { return e.Err }

// NewPatched is New with a unified diff applied to the node (and to the client, if it changes what both share).
func NewPatched(ctx context.Context, c Config, text []byte) (*Lab, error) {
	work := c.Build.Work
	if work == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no cache folder: %w", err)
		}
		work = filepath.Join(cache, "kvorum", "patched")
	}
	ready, err := patch.Prepare(ctx, c.Build.Root, work, text)
	if err != nil {
		return nil, &BuildError{err}
	}
	c.Build.Overlay, c.Build.Patches = ready.Overlay, append(c.Build.Patches, ready.Patches...)
	built, err := build.All(ctx, c.Build)
	if err != nil {
		return nil, &BuildError{err}
	}
	return load(ctx, c, built)
}

// Hunt runs seeds on patched until one fails that the plain program passes, which is only asked once a seed has failed.
func Hunt(ctx context.Context, patched *Lab, plainPasses func(*schedule.Schedule) (bool, error), c Campaign) (Kill, error) {
	var k Kill
	var failure error
	began, cpu := time.Now(), cpuSeconds()
	done := c.Done
	c.Done = func(s *schedule.Schedule, r *sim.Result) bool {
		k.Seeds++
		if done != nil && !done(s, r) {
			return false
		}
		if r.Verdict != sim.Failed || k.Killed || ctx.Err() != nil {
			return !k.Killed
		}
		before := cpuSeconds()
		passes, err := plainPasses(s)
		cpu += cpuSeconds() - before // the plain program's share is no part of the hunt
		if err != nil {
			failure = err
			return false
		}
		if !passes {
			return true // not the patch's doing
		}
		k.Killed, k.Seed, k.Oracles, k.Schedule = true, r.Seed, r.Oracles(), s
		return false
	}
	patched.Campaign(ctx, c)
	k.CPU, k.Wall = cpuSeconds()-cpu, time.Since(began).Seconds()
	return k, failure
}

// cpuSeconds is what this process has used.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
