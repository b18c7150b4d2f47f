package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// Options of a cluster. Binary and Dir are needed.
type Options struct {
	Binary           string // kvorum, see Build
	Dir              string // data folders and logs go below it
	Name             string // --cluster; default "test"
	Shards, Replicas int    // default 3 and 3
	Flags            []string
	// Place says where a node runs; nil: on loopback, each on ports of its own.
	Place func(name string) Place
}

// Place is where a node runs.
type Place struct {
	Host    string   // its address
	Command []string // put before the program, which it must become: the process is signalled and waited for
}

// Ports of nodes that have an address of their own.
const (
	apiPort  = 8080
	peerPort = 7070
)

// FastRaft are flags that elect a leader within about a second, yet stand a busy machine.
func FastRaft() []string {
	return []string{"--heartbeat-timeout=400ms", "--election-timeout=400ms", "--leader-lease-timeout=300ms"}
}

// Cluster is a set of nodes, running or not. Close ends those that run.
type Cluster struct {
	Nodes []*Node // by shard, then replica: s0n0, s0n1, ...
	opt   Options
}

// New chooses ports and folders. It starts nothing.
func New(opt Options) (*Cluster, error) {
	if opt.Name == "" {
		opt.Name = "test"
	}
	if opt.Shards == 0 {
		opt.Shards = 3
	}
	if opt.Replicas == 0 {
		opt.Replicas = 3
	}
	var err error
	if opt.Dir, err = filepath.Abs(opt.Dir); err != nil { // HAProxy takes nothing else for the path of a socket
		return nil, err
	}
	var ports []int
	if opt.Place == nil {
		if ports, err = freePorts(2 * opt.Shards * opt.Replicas); err != nil {
			return nil, err
		}
	}
	c := &Cluster{opt: opt}
	for i, name := range Names(opt.Shards, opt.Replicas) {
		n := &Node{
			Name: name, Shard: uint32(i / opt.Replicas), Data: filepath.Join(opt.Dir, name), LogFile: filepath.Join(opt.Dir, name+".log"),
			binary: opt.Binary, http: newHTTPClient(),
		}
		if opt.Place == nil {
			n.Peer, n.API, ports = loopback(ports[0]), loopback(ports[1]), ports[2:]
		} else {
			at := opt.Place(name)
			n.Peer, n.API, n.before = address(at.Host, peerPort), address(at.Host, apiPort), at.Command
		}
		c.Nodes = append(c.Nodes, n)
	}
	for _, n := range c.Nodes {
		n.flags = c.flags(n)
	}
	return c, nil
}

// Names of the nodes of a cluster: s0n0, s0n1, ...
func Names(shards, replicas int) (names []string) {
	for shard := range shards {
		for replica := range replicas {
			names = append(names, fmt.Sprintf("s%dn%d", shard, replica))
		}
	}
	return names
}

// flags of one node: those every deployment needs, then Options.Flags.
func (c *Cluster) flags(n *Node) []string {
	flags := []string{
		"--cluster=" + c.opt.Name, "--shard=" + strconv.Itoa(int(n.Shard)), "--node=" + n.Name,
		"--shard-count=" + strconv.Itoa(c.opt.Shards), "--members=" + c.Members(n.Shard), "--seeds=" + c.seeds(),
		"--listen=" + n.API, "--peer-listen=" + n.Peer, "--advertise-api=" + n.API, "--data=" + n.Data,
	}
	return append(flags, c.opt.Flags...)
}

// Members is the value of --members for a shard.
func (c *Cluster) Members(shard uint32) string {
	var members []string
	for _, n := range c.Shard(shard) {
		members = append(members, n.Name+"="+n.Peer+"/"+n.API)
	}
	return strings.Join(members, ",")
}

func (c *Cluster) seeds() string {
	var seeds []string
	for _, n := range c.Nodes {
		seeds = append(seeds, n.Peer)
	}
	return strings.Join(seeds, ",")
}

// Shards is how many there are.
func (c *Cluster) Shards() uint32 { return uint32(c.opt.Shards) }

// Shard lists the nodes of one shard.
func (c *Cluster) Shard(shard uint32) []*Node {
	return c.Nodes[int(shard)*c.opt.Replicas : (int(shard)+1)*c.opt.Replicas]
}

// Others lists the nodes of n's shard but n.
func (c *Cluster) Others(n *Node) []*Node {
	var others []*Node
	for _, o := range c.Shard(n.Shard) {
		if o != n {
			others = append(others, o)
		}
	}
	return others
}

// Endpoints are the base URLs of all nodes, running or not.
func (c *Cluster) Endpoints() []string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, "http://"+n.API)
	}
	return urls
}

// Start starts every node that does not run and waits until all are ready and each shard has a leader.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.Nodes {
		if n.Running() {
			continue
		}
		if err := n.Start(); err != nil {
			return err
		}
	}
	return c.WaitReady(ctx)
}

// WaitReady waits until every running, unpaused node is ready and each shard has a leader.
func (c *Cluster) WaitReady(ctx context.Context) error {
	for _, n := range c.Nodes {
		if !n.Answers() {
			continue
		}
		if err := n.WaitReady(ctx); err != nil {
			return err
		}
	}
	for shard := range c.Shards() {
		if _, err := c.Leader(ctx, shard); err != nil {
			return err
		}
	}
	return nil
}

// Leader waits until exactly one of the shard's running, unpaused nodes says that it leads.
func (c *Cluster) Leader(ctx context.Context, shard uint32) (*Node, error) {
	var leader *Node
	err := WaitFor(ctx, fmt.Sprintf("a leader of shard %d", shard), func(ctx context.Context) error {
		leader = nil
		var said []error
		for _, n := range c.Shard(shard) {
			if !n.Answers() {
				said = append(said, fmt.Errorf("%s does not run", n.Name))
				continue
			}
			err := n.Health(ctx, "leader")
			if err != nil {
				said = append(said, err)
				continue
			}
			if leader != nil {
				return fmt.Errorf("both %s and %s say that they lead", leader.Name, n.Name)
			}
			leader = n
		}
		if leader == nil {
			return errors.Join(said...)
		}
		return nil
	})
	return leader, err
}

// Status asks n for the state of the whole cluster.
func (c *Cluster) Status(ctx context.Context, n *Node) (wire.ClusterStatus, error) {
	var status wire.ClusterStatus
	err := n.getJSON(ctx, "/v1/cluster", &status)
	return status, err
}

// Close kills what still runs and reports nodes that ended unasked.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.close())
	}
	return errors.Join(errs...)
}

// LogTails gives the last lines of each node's log, for the report of a failure.
func (c *Cluster) LogTails(lines int) string {
	var b strings.Builder
	for _, n := range c.Nodes {
		text, err := os.ReadFile(n.LogFile)
		if err != nil {
			continue
		}
		all := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&b, "--- %s (%s, last %d of %d lines)\n", n.Name, n.LogFile, min(lines, len(all)), len(all))
		b.WriteString(strings.Join(all[max(0, len(all)-lines):], "\n") + "\n")
	}
	return b.String()
}

// pollEvery is how often a condition is looked at.
const pollEvery = 20 * time.Millisecond

// WaitFor waits until the condition gives nil. When ctx ends first, the error says what was waited for and what the
// condition said last.
func WaitFor(ctx context.Context, what string, condition func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	start := time.Now()
	var said error
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		if said == nil || ctx.Err() == nil { // a condition that was cut short says nothing
			said = err
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); cause != ctx.Err() {
				return fmt.Errorf("waited in vain for %s: %w", what, cause)
			}
			return fmt.Errorf("waited %s for %s: %w", time.Since(start).Round(time.Millisecond), what, said)
		case <-tick.C:
		}
	}
}
