// Package lab runs worlds: one, many at a time, again and again until a failure is small. It is what kvsim and the tests use.
package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kvorum/kvorum/internal/rig"
	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Lab holds the compiled programs. It is safe for concurrent use.
type Lab struct {
	engine   machine.Engine
	programs *sim.Programs
}

// NewEngine makes an engine.
type NewEngine func(context.Context, machine.Options) (machine.Engine, error)

// Config of a lab. Only Root is needed.
type Config struct {
	Build       build.Config
	Throwaway   bool      // the programs are not worth a place in the cache
	Interpreter bool      // slow; to check wazero's compiler
	Engine      NewEngine // what the machines run on; nil: wazero
}

// New builds and compiles the programs, or takes them from the caches. Close the lab.
func New(ctx context.Context, c Config) (*Lab, error) {
	built, err := build.All(ctx, c.Build)
	if err != nil {
		return nil, err
	}
	return load(ctx, c, built)
}

func load(ctx context.Context, c Config, built build.Programs) (*Lab, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("no cache folder: %w", err)
	}
	options := machine.Options{Interpreter: c.Interpreter, Cache: filepath.Join(cache, "kvorum", "machines")}
	if c.Throwaway {
		options.Cache = ""
	}
	if c.Engine == nil || c.Interpreter {
		c.Engine = machine.NewWazero
	}
	engine, err := c.Engine(ctx, options)
	if err != nil {
		return nil, err
	}
	defer c.Build.While("compiling the machines' programs (the first time takes half a minute)")()
	programs, err := sim.Load(ctx, engine, built)
	if err != nil {
		return nil, err
	}
	return &Lab{engine: engine, programs: programs}, nil
}

// Close frees the programs.
func (l *Lab) Close() error { return l.engine.Close(context.Background()) }

// Run runs one world.
func (l *Lab) Run(ctx context.Context, s *schedule.Schedule, o sim.Options) *sim.Result {
	o.Programs = l.programs
	return sim.Run(ctx, s, o)
}

// Draw draws the schedule of a seed with all tolerated classes, or those named.
func Draw(seed uint64, d schedule.Defaults) *schedule.Schedule {
	if len(d.Classes) == 0 && !d.All {
		for _, c := range sim.Classes() {
			if c.Tier == sim.Tolerated {
				d.Classes = append(d.Classes, c.ID)
			}
		}
		d.Common = sim.CommonClasses()
		d.Rare = sim.ClassesOf(sim.Detectable)
	}
	d.Lasting = sim.LastingClasses()
	return schedule.Draw(seed, d, sim.DrawFault)
}

// Root is the folder of the module that the working folder is in.
func Root() (string, error) { return rig.Root() }
