package vnet

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kvorum/kvorum/sim/timeline"
)

// Network is not safe for concurrent use: the world is one loop.
type Network struct {
	// Tap, if set, sees what is sent, before the network decides what becomes of it.
	Tap Tap
	// Window bounds the bytes of one stream that were sent and not yet read; more must wait.
	Window int
	// Patience is how long a connection waits for its packets to get through before it is given up (but see Forget).
	Patience time.Duration

	timeline *timeline.Timeline
	seed     uint64
	hosts    map[string]*Host
	order    []*Host // as they were added
	links    map[[2]*Host]*Link
	streams  uint64
}

// Tap sees streams as their senders wrote them.
type Tap interface {
	// Opened is told of a connection that the listener's host accepted.
	Opened(connection uint64, from, to *Host, port int, at timeline.Time)
	// Sent is told of bytes written; back: by the side that listened.
	Sent(connection uint64, back bool, b []byte, at timeline.Time)
	// Arrived is told of bytes that reached the other side's host.
	Arrived(connection uint64, back bool, b []byte, at timeline.Time)
	// Closed is told once, when neither side can send any more.
	Closed(connection uint64, at timeline.Time)
}

// New makes a network without hosts.
func New(t *timeline.Timeline, seed uint64) *Network {
	return &Network{Window: 256 << 10, Patience: 20 * time.Second, timeline: t, seed: seed, hosts: map[string]*Host{}, links: map[[2]*Host]*Link{}}
}

// Host is a machine's network card and kernel. It outlives the program's crash, not the power's.
type Host struct {
	Name string
	// Wake is called when something that the program may wait for has become ready.
	Wake func()
	// Refuse makes the kernel refuse all connections to the host, as with a full queue of a program that accepts none.
	Refuse bool
	// Refused counts connections that were refused because of Refuse.
	Refused int64

	network   *Network
	up        bool
	listeners map[int]*Listener
	ends      map[*End]bool
	dialings  []*Dialing // not decided yet
	nextPort  int
}

// AddHost adds a host that is up.
func (n *Network) AddHost(name string) *Host {
	h := &Host{Name: name, network: n, up: true, listeners: map[int]*Listener{}, ends: map[*End]bool{}, nextPort: 40000}
	n.hosts[name] = h
	n.order = append(n.order, h)
	return h
}

// Hosts are all hosts, in the order in which they were added.
func (n *Network) Hosts() []*Host { return n.order }

// Link returns the link from a to b.
func (n *Network) Link(a, b *Host) *Link {
	k := [2]*Host{a, b}
	l := n.links[k]
	if l == nil {
		name := fnv.New64a()
		name.Write([]byte(a.Name + ">" + b.Name))
		l = &Link{from: a, to: b, cutAfter: -1, draw: rand.New(rand.NewPCG(n.seed, name.Sum64()))}
		l.conditions.Delay = 100 * time.Microsecond
		if a == b {
			l.conditions.Delay = 20 * time.Microsecond
		}
		n.links[k] = l
	}
	return l
}

// Reset ends all connections between a and b and returns how many there were.
func (n *Network) Reset(a, b *Host) (ended int) { return n.reset(a, b) + n.reset(b, a) }

func (h *Host) wake() {
	if h.Wake != nil {
		h.Wake()
	}
}

// Crash ends the program. Power is whether the kernel goes too: then the other sides learn nothing until they hear from the
// host's next life.
func (h *Host) Crash(power bool) {
	for _, port := range sortedPorts(h.listeners) {
		h.listeners[port].close(power)
	}
	for _, e := range h.sortedEnds() {
		e.vanish(power)
	}
	for _, d := range h.dialings {
		d.done, d.errno = true, ECONNRESET
		d.near.vanish(power)
	}
	h.dialings = nil
	if power {
		h.up = false
	}
}

// Start brings a host that lost its power back.
func (h *Host) Start() { h.up = true }

// sortedEnds: in the order in which the connections were made.
func (h *Host) sortedEnds() []*End {
	list := make([]*End, 0, len(h.ends))
	for e := range h.ends {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *End) int {
		if c := cmp.Compare(a.connection, b.connection); c != 0 {
			return c
		}
		if a.accepted == b.accepted {
			return 0
		}
		if a.accepted {
			return 1
		}
		return -1
	})
	return list
}

func sortedPorts(m map[int]*Listener) []int {
	ports := make([]int, 0, len(m))
	for p := range m {
		ports = append(ports, p)
	}
	slices.Sort(ports)
	return ports
}
