package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/timeline"
	"github.com/kvorum/kvorum/sim/vnet"
)

// Node is one computer of the cluster. Its program comes and goes; its disk and its clock stay.
type Node struct {
	Name    string
	Shard   int
	world   *World
	host    *vnet.Host
	disk    *disk.Disk
	clock   *machine.Clock
	rate    float64          // of the clock without faults
	machine *machine.Machine // the present life; nil before the first
	life    int
	up      bool
	leads   bool // it says so: raft's own word, before it has committed anything
	broken  bool // for good: nobody expects anything of it any more
	asked   bool // to stop: its exit is no surprise
	line    []byte
	words   string // the last line that the present life printed outside its log

	holds    int           // faults that keep it down
	pauses   int           // faults that pause the present life
	frozen   int           // faults that let its clock stand
	frozenAt timeline.Time // since when it stands
	refusing int           // faults that make its kernel refuse connections
	troubled bool          // the disk failed a call of the present life
	hangs    timeline.Time // until when calls on its disk hang, those of two faults one after the other: maybe longer than these last
	excused  bool          // it was asked to stop while in trouble
	swapped  bool          // it has another node's disk
	damage   string        // what was done to the disk that the node must refuse; "" nothing
	tainted  bool          // what was done to the disk no replica can bear or see
}

// lost: nobody can count on the node's disk any more.
func (n *Node) lost() bool { return n.broken || n.damage != "" || n.tainted }

const (
	apiPort  = 8080
	peerPort = 7080
	sigTERM  = 15
)

func (w *World) members(shard int) string {
	var list []string
	for _, n := range w.shard(shard) {
		list = append(list, fmt.Sprintf("%s=%s:%d/%s:%d", n.Name, n.Name, peerPort, n.Name, apiPort))
	}
	return strings.Join(list, ",")
}

// seeds are the first nodes of the other shards.
func (w *World) seeds(shard int) string {
	var list []string
	for _, n := range w.nodes {
		if n.Shard != shard {
			list = append(list, fmt.Sprintf("%s:%d", n.Name, peerPort))
		}
	}
	return strings.Join(list, ",")
}

func (n *Node) endpoint() string { return fmt.Sprintf("http://%s:%d", n.Name, apiPort) }

func (w *World) endpoints(nodes []*Node) string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.endpoint())
	}
	return strings.Join(list, ",")
}

func (n *Node) args() []string {
	w := n.world
	args := []string{"kvorum", "serve", "--cluster=sim", fmt.Sprintf("--shard=%d", n.Shard), "--node=" + n.Name,
		fmt.Sprintf("--shard-count=%d", w.Shards), "--members=" + w.members(n.Shard),
		fmt.Sprintf("--listen=0.0.0.0:%d", apiPort), fmt.Sprintf("--peer-listen=0.0.0.0:%d", peerPort),
		fmt.Sprintf("--advertise-api=%s:%d", n.Name, apiPort), "--data=/data", "--memory-quota=64MiB", "--log-format=json", "--log-level=debug"}
	if seeds := w.seeds(n.Shard); seeds != "" {
		args = append(args, "--seeds="+seeds)
	}
	return append(args, w.Flags...)
}

// start begins a life of the node.
func (n *Node) start() {
	w := n.world
	n.life++
	n.up, n.asked, n.leads, n.line, n.words = true, false, false, nil, ""
	n.pauses, n.troubled, n.hangs, n.excused = 0, false, 0, false
	n.host.Start()
	w.starts[n.Name] = append(w.starts[n.Name], int64(w.timeline.Now()))
	w.watch.started(n)
	c := machine.Config{
		Program: w.options.Programs.Node, Args: n.args(), Disk: n.disk, Host: n.host, Clock: n.clock,
		Random: w.stream("random/"+n.Name, n.life),
		Output: func(_ int, b []byte) { n.printed(b) },
		Exited: n.exited,
		DiskDelay: func(kind disk.Kind, path string, bytes int) time.Duration {
			return w.nemesis.diskDelay(n, kind, path, bytes)
		},
	}
	if !w.Stock {
		c.Schedule, c.Scheduled = w.goroutines(n.Name, n.life), w.options.Goroutines
	}
	if w.nemesis.watchesCalls(n) {
		c.Called = func(function string) bool { return w.nemesis.called(n, function) }
	}
	n.machine = w.startMachine(c)
	w.nemesis.started(n)
	w.say("%s starts, life %d", n.Name, n.life)
}

func (w *World) startMachine(c machine.Config) *machine.Machine {
	c.Number, c.Timeline, c.Trace = w.lives, w.timeline, w.trace
	w.lives++
	return machine.Start(context.Background(), c)
}

func (n *Node) exited(code int, err error) {
	n.up = false
	n.host.Crash(false)
	n.world.say("%s exited with code %d", n.Name, code)
	if n.panicked() && !n.tainted { // no trouble excuses it, nor that it was asked to stop
		n.world.fail("exit", fmt.Sprintf("%s ended with a panic: %s", n.Name, n.words))
		n.world.nemesis.supervise(n)
		return
	}
	if n.asked || n.broken {
		n.world.nemesis.stopped(n, code)
		return
	}
	n.world.nemesis.exitedUnasked(n, code, err)
}

// handlerPanicked is what a node says when net/http has saved it from a panic.
const handlerPanicked = "the handler of a request panicked"

// panicked: what it said last is what Go says when a program ends by a panic or a fatal error.
func (n *Node) panicked() bool {
	return strings.HasPrefix(n.words, goPanic) || strings.HasPrefix(n.words, goFatal)
}

// What a Go program's last words begin with when it ends by itself.
const (
	goPanic = "panic: "
	goFatal = "fatal error: "
)

// crash ends the present life as a power cut (disk's cache and network card's memory gone) or a kill (both stay) does.
func (n *Node) crash(power bool, plan disk.Plan) disk.Loss {
	if !n.up {
		return disk.Loss{}
	}
	n.up = false
	n.machine.Kill()
	n.host.Crash(power)
	var loss disk.Loss
	if power {
		loss = n.disk.Crash(plan, n.world.stream("crash/"+n.Name, n.life))
		n.world.watch.crashed(n)
	}
	n.world.say("%s crashed, power %t, lost %+v", n.Name, power, loss)
	return loss
}

// preferred is how often an unfair scheduler has really decided in the present life.
func (n *Node) preferred() uint64 {
	if n.machine == nil {
		return 0
	}
	return n.machine.Preferred()
}

// stop sends SIGTERM.
func (n *Node) stop() {
	n.asked = true
	n.machine.Signal(sigTERM)
}

func (n *Node) watchDisk(c disk.Call) disk.Verdict { return n.world.nemesis.diskCall(n, c) }

// printed takes the node's log in, line by line.
func (n *Node) printed(b []byte) {
	n.line = append(n.line, b...)
	for {
		line, rest, found := bytes.Cut(n.line, []byte("\n"))
		if !found {
			return
		}
		n.world.log(n.Name, string(line)+"\n")
		n.logged(line)
		n.line = rest
	}
}

func (n *Node) logged(line []byte) {
	var entry struct {
		Level, Msg string
	}
	if json.Unmarshal(line, &entry) != nil {
		if !n.panicked() {
			n.words = string(line) // of a panic the first line says most
		}
		n.world.nemesis.logLine(n, string(line))
		return
	}
	switch entry.Msg {
	case handlerPanicked:
		if !n.tainted {
			n.world.fail("exit", fmt.Sprintf("%s: %s", n.Name, line))
		}
	case "entering leader state":
		n.leads = true
	case "entering follower state", "entering candidate state":
		n.leads = false
	}
	if entry.Msg == "leads the shard" {
		if old := n.world.leaders[n.Shard]; old != nil && old != n {
			n.world.reach("another leader")
		}
		n.world.leaders[n.Shard] = n
		n.world.say("%s leads shard %d", n.Name, n.Shard)
	}
	n.world.nemesis.logLine(n, string(line))
}
