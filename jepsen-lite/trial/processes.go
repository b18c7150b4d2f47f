package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// processes is a cluster of real processes on loopback, as nemeses and clients see it.
type processes struct {
	*cluster.Cluster
	haproxy *cluster.HAProxy // nil: clients talk to the nodes
	router  *cluster.Router  // with haproxy
	network *netns.Network   // nil: all are on loopback
	disks   map[string]*faultfs.Mount
	target  *nemesis.Target
}

func (p *processes) prepare(context.Context) error { return nil }

func (p *processes) victims() *nemesis.Target { return p.target }

func (p *processes) alarms() ([]string, error) { return p.Alarms() }

func (p *processes) logTails(lines int) string { return p.LogTails(lines) }

// wholeLog keeps the log behind each snapshot for as long as a trial may last (at 100 entries a second, almost three hours), so
// that at the end it tells the order of everything. Snapshots are taken as ever.
const wholeLog = "--trailing-logs=1000000"

// newProcesses chooses ports and folders, and makes what the nodes will stand on. It starts none.
func newProcesses(ctx context.Context, c Config) (p *processes, err error) {
	data, logs := filepath.Join(c.Out, dataFolder), filepath.Join(c.Out, logFolder)
	if err := errors.Join(os.MkdirAll(data, 0o755), os.MkdirAll(logs, 0o755)); err != nil {
		return nil, err
	}
	p = &processes{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	options := cluster.Options{Binary: c.Program, Dir: data, Name: "jepsen-lite", Shards: c.Shards, Replicas: c.Replicas, Flags: append([]string{wholeLog}, c.Flags...)}
	if p.network, options.Place, err = placed(ctx, c); err != nil {
		return p, err
	}
	if p.Cluster, err = cluster.New(options); err != nil {
		return p, err
	}
	for _, n := range p.Nodes {
		n.LogFile = filepath.Join(logs, n.Name+".log")
	}
	if err := p.mount(c, data); err != nil {
		return p, err
	}
	if c.Through == ThroughHAProxy {
		if err := p.front(c.HAProxy, logs); err != nil {
			return p, err
		}
	}
	p.target = p.asTarget()
	return p, nil
}

// front puts HAProxy, with the project's own configuration, and a router before the nodes.
func (p *processes) front(folder, logs string) (err error) {
	if p.haproxy, err = p.NewHAProxy(folder); err != nil {
		return err
	}
	if p.router, err = p.NewRouter(p.haproxy); err != nil {
		return err
	}
	p.haproxy.LogFile, p.router.LogFile = filepath.Join(logs, "haproxy.log"), filepath.Join(logs, "router.log")
	return nil
}

// start starts everything and waits until it serves.
func (p *processes) start(ctx context.Context) error {
	if err := p.Start(ctx); err != nil || p.haproxy == nil {
		return err
	}
	if err := errors.Join(p.haproxy.Side.Start(), p.router.Side.Start()); err != nil {
		return err
	}
	return errors.Join(p.target.Router.Ready(ctx), p.haproxy.WaitUp(ctx, p.Shards(), len(p.Shard(0))))
}

// mend brings back whatever a nemesis may have left broken, and waits until all of it serves.
func (p *processes) mend(ctx context.Context) error {
	var errs []error
	if p.network != nil {
		errs = append(errs, p.network.Heal(ctx))
	}
	for _, d := range p.disks {
		errs = append(errs, d.Set(faultfs.Faults{}))
	}
	for _, n := range p.Nodes {
		switch {
		case !n.Running():
			errs = append(errs, n.Start())
		case !n.Answers():
			errs = append(errs, n.Resume())
		}
	}
	errs = append(errs, p.WaitReady(ctx))
	if p.haproxy != nil {
		for _, s := range p.sides() {
			if s.Pid() == 0 {
				errs = append(errs, s.Start())
			}
		}
		errs = append(errs, p.target.Proxy.Ready(ctx), p.target.Router.Ready(ctx))
	}
	return errors.Join(errs...)
}

func (p *processes) endpoints() (urls []string, only bool) {
	if p.haproxy != nil {
		return []string{"http://" + p.haproxy.Front.API}, true
	}
	return p.Endpoints(), false
}

func (p *processes) ways(shard uint32) map[string][]string {
	all := map[string][]string{}
	for _, n := range p.Shard(shard) {
		all[ThroughNodes] = append(all[ThroughNodes], "http://"+n.API)
	}
	if p.haproxy != nil {
		all[ThroughHAProxy] = []string{"http://" + p.haproxy.Front.API}
	}
	return all
}

func (p *processes) everyEndpoint() []string {
	if urls, only := p.endpoints(); only {
		return append(p.Endpoints(), urls...)
	}
	return p.Endpoints()
}

// sides are the processes in front.
func (p *processes) sides() (all []*cluster.Side) {
	if p.haproxy != nil {
		all = append(all, &p.haproxy.Side)
	}
	if p.router != nil {
		all = append(all, &p.router.Side)
	}
	return all
}

// close ends all that runs, and says what had ended unasked.
func (p *processes) close() error {
	var errs []error
	if p.Cluster != nil {
		errs = append(errs, p.Close())
	}
	for _, s := range p.sides() {
		errs = append(errs, s.Close())
	}
	errs = append(errs, p.unmount())
	if p.network != nil { // after all that is in it
		errs = append(errs, p.network.Close())
	}
	return errors.Join(errs...)
}

func (p *processes) asTarget() *nemesis.Target {
	t := &nemesis.Target{}
	for shard := range p.Shards() {
		var nodes []nemesis.Node
		for _, n := range p.Shard(shard) {
			nodes = append(nodes, node{n})
		}
		t.Shards = append(t.Shards, nodes)
	}
	t.Leader = func(ctx context.Context, shard int) (nemesis.Node, error) {
		n, err := p.Leader(ctx, uint32(shard))
		return node{n}, leaderless(err)
	}
	if p.haproxy != nil {
		t.Proxy, t.Router = proxy{p.haproxy}, router{p.router}
	}
	if p.network != nil {
		t.Network = network{p.network}
	}
	t.Disks = map[string]nemesis.Disk{}
	for name, d := range p.disks {
		t.Disks[name] = d
	}
	return t
}

// node is a process of a replica as a nemesis sees it.
type node struct{ *cluster.Node }

func (n node) ID() string { return n.Name }

func (n node) Kill(context.Context) (string, error) {
	pid := n.Pid()
	return fmt.Sprintf("process %d of %s ended by SIGKILL", pid, n.Name), n.Node.Kill()
}

func (n node) Start(context.Context) error { return n.Node.Start() }

func (n node) Ready(ctx context.Context) error { return n.WaitReady(ctx) }

func (n node) Pause(ctx context.Context) (string, error) {
	return fmt.Sprintf("all threads of %s stopped (process %d)", n.Name, n.Pid()), n.Node.Pause(ctx)
}

func (n node) Paused() error { return n.Stopped() }

func (n node) Resume(context.Context) error { return n.Node.Resume() }

func (n node) Terminate(ctx context.Context) (string, error) {
	exit, err := n.Node.Terminate(ctx)
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("%s, asked to end, ended with code %d: see %s", n.Name, exit.Code, n.LogFile)
	}
	return fmt.Sprintf("%s ended with code 0 after %.1f s", n.Name, exit.Took.Seconds()), err
}

// side is a process in front.
type side struct{ *cluster.Side }

func (s side) ID() string { return s.Name }

func (s side) Kill(context.Context) (string, error) {
	pid := s.Pid()
	return fmt.Sprintf("process %d of %s ended by SIGKILL", pid, s.Name), s.Side.Kill()
}

func (s side) Start(context.Context) error { return s.Side.Start() }

// proxy is HAProxy as a nemesis sees it.
type proxy struct{ *cluster.HAProxy }

func (p proxy) ID() string { return p.Name }

func (p proxy) Kill(ctx context.Context) (string, error) { return side{&p.Side}.Kill(ctx) }

func (p proxy) Start(context.Context) error { return p.Side.Start() }

// Ready waits until it forwards: whether the nodes behind are well is not its matter.
func (p proxy) Ready(ctx context.Context) error {
	return cluster.WaitFor(ctx, "HAProxy to serve", func(ctx context.Context) error {
		if err := p.Alive(); err != nil {
			return err
		}
		reply, err := p.Front.Do(ctx, "GET", "/v1/health/live", nil)
		if err == nil && reply.Status != 200 {
			err = fmt.Errorf("it answers by itself: %s", reply)
		}
		return err
	})
}

func (p proxy) Reload(ctx context.Context) (string, error) {
	return reloaded(ctx, func(context.Context) error { return p.Signal(syscall.SIGUSR2) }, p.Pid)
}

// router is the standalone router as a nemesis sees it.
type router struct{ *cluster.Router }

func (r router) ID() string { return r.Name }

func (r router) Kill(ctx context.Context) (string, error) { return side{&r.Side}.Kill(ctx) }

func (r router) Start(context.Context) error { return r.Side.Start() }

func (r router) Ready(ctx context.Context) error {
	return cluster.WaitFor(ctx, "the router to be ready", func(ctx context.Context) error {
		return errors.Join(r.Alive(), r.Front.Health(ctx, "ready"))
	})
}
