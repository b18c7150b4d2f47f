package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvorum/kvorum/internal/rig"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/trial"
)

type runCmd struct {
	Target     string        `enum:"processes,compose" default:"processes" placeholder:"processes|compose" help:"What the cluster is made of: processes, on loopback or, where a nemesis needs it, each in a network of its own; or the containers of docker-compose.yml (default ${default})."`
	Nemesis    string        `default:"all" placeholder:"LIST" help:"Names or families, comma separated; all: what this machine can do; single: each fault of one part that leaves a quorum, at leaders and at followers, one at a time, for the table of times without service; none (default ${default})."`
	Time       time.Duration `default:"60s" help:"How long clients work and nemeses strike (default ${default})."`
	Rate       int           `default:"200" help:"Operations a second that all clients together aim at, at least 15: fewer could prove nothing (default ${default})."`
	Replicas   int           `default:"3" help:"Of each of the three shards, 3 to 7; other than 3 only of processes and with --through nodes (default ${default})."`
	Clients    int           `default:"24" help:"Concurrent clients, the same number for each shard: what is left over of a multiple of 3 is not started (default ${default})."`
	Seed       uint64        `default:"1" help:"Of the schedule and of what the clients do (default ${default})."`
	Through    string        `enum:",haproxy,nodes" default:"" placeholder:"haproxy|nodes" help:"Where clients go. Default: haproxy where it is installed (or where the environment variable HAPROXY says), else nodes."`
	Kvorum     string        `placeholder:"PATH" help:"The program to break. Default: built from this checkout."`
	HAProxy    string        `name:"haproxy" placeholder:"DIR" help:"Folder of another configuration of HAProxy, as haproxy/ is. Default: haproxy/ of this checkout."`
	Out        string        `placeholder:"DIR" help:"Folder for schedule, history, logs and report (default jepsen-lite-SEED). One of an earlier run is replaced, whatever its verdict."`
	ServeFlags []string      `name:"serve-flag" sep:"none" placeholder:"--FLAG=X" help:"A further flag of each kvorum serve, such as --heartbeat-timeout=400ms; may be repeated. Default: none, the node's own defaults."`
}

const (
	shards   = 3
	replicas = 3 // of what stands behind haproxy/haproxy.cfg and in docker-compose.yml

	leastRate = 15 // about half of all are writes and a quarter linearizable reads, see trial's leastWrites
)

// Run runs one trial.
func (c *runCmd) Run(p *program) error {
	config, err := c.plan(p)
	if err != nil {
		return usageError{err}
	}
	if config.Program == "" && config.Target != trial.Compose {
		p.say("building kvorum") // before the folder of an earlier run goes
		folder, err := os.MkdirTemp("", "jepsen-lite-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		if config.Program, err = cluster.Build(p.ctx, folder, false); err != nil {
			return err
		}
	}
	if err := rig.NewFolder(config.Out, trial.Mark); err != nil {
		return err
	}
	config.Say = p.say
	p.tellPlan(config)
	if err := rig.WriteFile(filepath.Join(config.Out, trial.ScheduleFile), config.Schedule.Write); err != nil {
		return err
	}
	r, err := trial.Run(p.ctx, config)
	if r == nil {
		return err
	}
	return p.over(config, r, err)
}

// over tells what the run came to, and before that what of it could not be written: the verdict decides the exit code, and a good one
// whose files are not all there is worth less.
func (p *program) over(c trial.Config, r *trial.Result, unwritten error) error {
	if unwritten != nil {
		p.say("jepsen-lite: the folder is not whole: %v", unwritten)
	}
	err := p.finish(c, r)
	if err == nil && unwritten != nil {
		return verdictError{exitUndecided}
	}
	return err
}

// plan checks everything that can be refused before the start, and draws the schedule.
func (c *runCmd) plan(p *program) (config trial.Config, err error) {
	switch {
	case c.Time < 5*time.Second || c.Time > 24*time.Hour:
		return config, fmt.Errorf("--time %s: give at least 5s and at most 24h", c.Time)
	case c.Rate < leastRate || c.Clients < shards || c.Clients > 1000:
		return config, fmt.Errorf("--rate must be at least %d, --clients %d to 1000: one for each shard at least", leastRate, shards)
	case c.Replicas < replicas || c.Replicas > 7:
		return config, fmt.Errorf("--replicas %d: give 3 to 7", c.Replicas)
	case c.Replicas != replicas && (c.Target == trial.Compose || c.Through != trial.ThroughNodes):
		return config, fmt.Errorf("--replicas %d needs --target processes --through nodes: haproxy/haproxy.cfg and docker-compose.yml have 3", c.Replicas)
	}
	if c.Target == trial.Compose {
		if c.Through == trial.ThroughNodes || c.Kvorum != "" || c.HAProxy != "" || len(c.ServeFlags) > 0 {
			return config, errors.New("--target compose is docker-compose.yml as it is: through HAProxy, its own image, its own flags")
		}
		c.Through = trial.ThroughHAProxy
	}
	if c.Through == "" {
		c.Through = trial.ThroughNodes
		if _, err := cluster.FindHAProxy(); err == nil {
			c.Through = trial.ThroughHAProxy
		}
	}
	if c.HAProxy != "" && c.Through != trial.ThroughHAProxy {
		return config, errors.New("--haproxy needs --through haproxy: with --through nodes nothing stands in front")
	}
	if c.Out == "" {
		c.Out = fmt.Sprintf("jepsen-lite-%d", c.Seed)
	}
	config = trial.Config{
		Target: c.Target, Seed: c.Seed, Time: c.Time, Rate: c.Rate, Clients: c.Clients, Through: c.Through, Program: c.Kvorum, Flags: c.ServeFlags, Out: c.Out, Shards: shards, Replicas: c.Replicas,
	}
	if err := c.places(&config); err != nil {
		return config, err
	}
	place, engine := c.place(p, config.Checkout)
	if config.Nemeses, config.LeftOut, err = place.Select(c.Nemesis); err != nil {
		return config, err
	}
	draw := nemesis.Draw
	if c.Nemesis == nemesis.Singles {
		draw = nemesis.DrawSingles
	}
	config.Schedule, config.NoRoom = draw(c.Seed, c.Time, shards, config.Nemeses)
	if len(config.Nemeses) > 0 && len(config.Schedule.Strikes) == 0 {
		return config, fmt.Errorf("--time %s has no room for a single strike of %s: give it more", c.Time, c.Nemesis)
	}
	if name := c.namedWithoutRoom(config.NoRoom); name != "" {
		return config, fmt.Errorf("--time %s has no room for %s, which was asked for by name: give it more, or name fewer", c.Time, name)
	}
	if err := rig.MayBeNew(config.Out, trial.Mark); err != nil {
		return config, err
	}
	return config, engine()
}

// namedWithoutRoom is the first nemesis that was asked for by its own name and is not in the schedule. Members of a family may be left
// out, and are told.
func (c *runCmd) namedWithoutRoom(noRoom []string) string {
	for _, name := range strings.Split(c.Nemesis, ",") {
		if slices.Contains(noRoom, name) {
			return name
		}
	}
	return ""
}

// place is where the run takes place. What takes long to find out is found out once: if rules can be written into the network of
// containers, if a nemesis needs it, and, last of all, if there is an engine.
func (c *runCmd) place(p *program, checkout string) (place nemesis.Place, engine func() error) {
	place = nemesis.Place{Containers: c.Target == trial.Compose, ThroughProxy: c.Through == trial.ThroughHAProxy, Replicas: c.Replicas}
	engine = sync.OnceValue(func() error {
		if !place.Containers {
			return nil
		}
		return cluster.EnginePossible(p.ctx)
	})
	place.Rules = sync.OnceValue(func() error {
		if err := engine(); err != nil {
			return err
		}
		p.say("trying rules for a container's network; their image is made if it is not there")
		return cluster.NetTools(p.ctx, checkout)
	})
	return place, engine
}

// places finds the files of the outside: the program, HAProxy and its configuration.
func (c *runCmd) places(config *trial.Config) error {
	if c.Kvorum != "" {
		if _, err := exec.LookPath(c.Kvorum); err != nil {
			return fmt.Errorf("--kvorum: %w", err)
		}
		path, err := filepath.Abs(c.Kvorum)
		if err != nil {
			return err
		}
		config.Program = path
	}
	if c.Kvorum != "" && c.Through == trial.ThroughNodes {
		return nil // needs no checkout
	}
	root, err := rig.Root()
	if err != nil {
		return err
	}
	config.HAProxy, config.Checkout = cmp.Or(c.HAProxy, filepath.Join(root, "haproxy")), root
	if c.Target == trial.Compose {
		return nil
	}
	if c.Through != trial.ThroughHAProxy {
		return nil
	}
	if _, err := os.Stat(filepath.Join(config.HAProxy, "haproxy.cfg")); err != nil {
		return fmt.Errorf("--haproxy: %w", err)
	}
	if reason := (nemesis.Place{ThroughProxy: true}).Missing(nemesis.HAProxy); reason != "" {
		return fmt.Errorf("--through haproxy %s", reason)
	}
	return trial.SocketRoom(c.Out)
}

// tellPlan says what is going to happen.
func (p *program) tellPlan(c trial.Config) {
	p.say("seed %d: %s, %d clients, %d operations/s through %s, %d strikes", c.Seed, c.Time, c.Clients, c.Rate, c.Through, len(c.Schedule.Strikes))
	for _, s := range c.Schedule.Strikes {
		p.say("  %s", s)
	}
	for _, name := range slices.Sorted(maps.Keys(c.LeftOut)) {
		p.say("  left out: %s %s", name, c.LeftOut[name])
	}
	if len(c.NoRoom) > 0 {
		p.say("  no time for %s: give it more --time, or name them with --nemesis", strings.Join(c.NoRoom, ", "))
	}
}

// finish sums up, for people and, on the last line, for programs.
func (p *program) finish(c trial.Config, r *trial.Result) error {
	if r.Report.Verdict != "linearizable" {
		if err := r.Report.WriteSummary(p.stderr); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		p.say("  found: %s", f)
	}
	for _, d := range r.Doubts {
		p.say("  doubt: %s", d)
	}
	for name, why := range r.BeyondRaft {
		p.say("  beyond what Raft promises: %s: %s. A violation was to be expected, and is none of the program's", name, why)
	}
	if r.Caught != nil {
		p.say("  caught %.1f s after the clients began, by %s", r.Caught.Seconds, r.Caught.By)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Nemeses)) {
		f := r.Nemeses[name]
		p.say("  %-20s %3d times, %3d proved", name, f.Fired, f.Proved)
	}
	if len(r.Outages) > 0 {
		p.say("without service:")
		if err := trial.WriteOutages(p.stderr, r.Outages); err != nil {
			return err
		}
	}
	p.say("%s: %d operations, %d writes acknowledged, longest %.2f s without service (shard %d); see %s", r.Verdict, r.Report.Operations, r.Writes,
		r.Longest.Seconds, r.Longest.Shard, filepath.Join(c.Out, trial.ReportFolder, "index.html"))
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s\n", line)
	return exitOf(r.Verdict)
}

func exitOf(v trial.Verdict) error {
	switch v {
	case trial.Linearizable:
		return nil
	case trial.Violation:
		return verdictError{exitViolation}
	}
	return verdictError{exitUndecided}
}
