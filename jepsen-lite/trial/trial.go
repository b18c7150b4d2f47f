package trial

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/workload"
)

// Defaults of a Config.
const (
	defaultGiveUp    = time.Minute
	defaultCheckTime = 5 * time.Minute
)

func (c *Config) fillDefaults() {
	if c.GiveUp == 0 {
		c.GiveUp = defaultGiveUp
	}
	if c.CheckTime == 0 {
		c.CheckTime = defaultCheckTime
	}
	if c.Say == nil {
		c.Say = func(string, ...any) {}
	}
}

// Run runs the trial. An error says that there was none: the cluster could not be made or started. What was found out about
// the cluster is in the Result, which is written into the folder with all the rest.
func Run(ctx context.Context, c Config) (*Result, error) {
	c.fillDefaults()
	p, err := newSystem(ctx, c)
	if err != nil {
		return nil, err
	}
	defer p.close() // for returns on the way; it does nothing the second time
	if err := begin(ctx, c, p); err != nil {
		return nil, err
	}
	rec := newRecorder()
	r := newResult(c)
	r.clock = rec.now
	crowd := newCrowd(c, p, rec)
	r.strikes, r.to = ordeal(ctx, c, p, crowd, rec)
	if ctx.Err() != nil {
		r.Interrupted = true
	}
	ctx = context.WithoutCancel(ctx) // what happened until now is judged
	c.Say("%6.1fs the clients are done: mending, and reading everything at %d places", seconds(r.to), len(p.everyEndpoint()))
	readAll := recoverAll(ctx, c, p, crowd, rec)
	r.find("the cluster did not recover: ", readAll)
	var states []shown
	if readAll == nil {
		var err error
		states, err = atRest(ctx, c, p)
		r.find("", err)
	}
	r.find("", p.close())
	alarms, err := p.alarms()
	r.find("", err)
	r.Findings = append(r.Findings, alarms...)
	h := rec.history()
	known := order{why: "the cluster did not recover"}
	if readAll == nil {
		r.Findings = append(r.Findings, judgeLists(h.Operations, crowd.lists)...)
		known = p.order(states)
	}
	return r, r.finish(ctx, c, h, crowd, known)
}

// begin starts the cluster.
func begin(ctx context.Context, c Config, p system) error {
	c.Say("starting %d shards of %d nodes%s", c.Shards, c.Replicas, map[bool]string{true: ", HAProxy and a router"}[c.Through == ThroughHAProxy])
	if err := p.prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.GiveUp)
	defer cancel()
	if err := p.start(ctx); err != nil {
		return fmt.Errorf("the cluster does not start: %w\n%s", err, p.logTails(5))
	}
	return nil
}

// tellEvery is how often the progress is told while nothing else happens.
const tellEvery = 10 * time.Second

// ordeal lets clients and nemeses loose. It ends when the time is up and the last strike is over, which is at the moment until;
// what the clients have under way then comes to its end.
func ordeal(ctx context.Context, c Config, p system, crowd *crowd, rec *recorder) (all []Struck, until int64) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	worked := make(chan struct{})
	go func() { // ends with working; waited for below
		defer close(worked)
		crowd.run(working)
	}()
	struck := make(chan []Struck, 1)
	go func() { struck <- newStriker(c, p.victims(), rec).run(ctx) }() // waited for below
	up := time.NewTimer(c.Time - time.Since(rec.start))
	defer up.Stop()
	tell := time.NewTicker(tellEvery)
	defer tell.Stop()
	for timeUp, over := false, false; !timeUp || !over; {
		select {
		case <-ctx.Done():
			timeUp = true
			if !over {
				all, over = <-struck, true
			}
		case <-up.C:
			timeUp = true
		case all = <-struck:
			over = true
		case <-tell.C:
			outcomes := rec.counts()
			c.Say("%6.1fs of %s: %d applied, %d not applied, %d unknown or under way; %d writes acknowledged", seconds(rec.now()), c.Time,
				outcomes[lin.Applied], outcomes[lin.NotApplied], outcomes[lin.Unknown], crowd.written.Load())
		}
	}
	until = rec.now()
	stop()
	<-worked
	return all, until
}

// recoverAll mends everything and reads every key at every place.
func recoverAll(ctx context.Context, c Config, p system, crowd *crowd, rec *recorder) error {
	limited, cancel := context.WithTimeout(ctx, c.GiveUp)
	defer cancel()
	if err := p.mend(limited); err != nil {
		return err
	}
	limited, cancel = context.WithTimeout(ctx, c.GiveUp+time.Duration(len(crowd.keys())+len(crowd.probed))*time.Second)
	defer cancel()
	everywhere := p.everyEndpoint()
	err := workload.ReadAll(limited, workload.Config{Seed: c.Seed, First: crowd.next, Endpoints: everywhere, Keys: crowd.keys()}, rec)
	// The probes' keys are many and simple: once each will do, as what all replicas hold is compared besides.
	once := workload.Config{Seed: c.Seed, First: crowd.next + len(everywhere), Endpoints: everywhere[:1], Keys: crowd.probed}
	return errors.Join(err, workload.ReadAll(limited, once, rec))
}

// atRest waits until all replicas of each shard have executed the same entries, as nobody writes any more, and gives what they say of
// themselves.
func atRest(ctx context.Context, c Config, p system) (states []shown, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.GiveUp)
	defer cancel()
	err = cluster.WaitFor(ctx, "all replicas to execute the same entries", func(ctx context.Context) error {
		all, err := p.ask(ctx)
		if err == nil {
			states, err = all, behind(all)
		}
		return err
	})
	return states, err
}

// behind says which replica has executed less than another one of its shard.
func behind(all []shown) error {
	furthest := map[uint32]shown{}
	for _, s := range all {
		if s.applied >= furthest[s.shard].applied {
			furthest[s.shard] = s
		}
	}
	for _, s := range all {
		if f := furthest[s.shard]; s.applied < f.applied {
			return fmt.Errorf("%s has executed up to entry %d, %s up to %d", s.name, s.applied, f.name, f.applied)
		}
	}
	return nil
}

// find notes what is wrong with the cluster.
func (r *Result) find(what string, err error) {
	if err != nil {
		r.Findings = append(r.Findings, what+err.Error())
	}
}

// SocketRoom is an error if the folder's path is too long for HAProxy's admin socket in it: systems allow some 100 bytes.
func SocketRoom(out string) error {
	const most, needed = 107, len("/" + dataFolder + "/haproxy/admin.sock.1234567.tmp")
	path, err := filepath.Abs(out)
	if err == nil && len(path)+needed > most {
		err = errors.New("the path of the folder is too long for HAProxy's socket in it: name a shorter one with --out")
	}
	return err
}
