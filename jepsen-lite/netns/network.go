package netns

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
)

// Host is the machine itself as a member.
const Host = "host"

// Network is a set of namespaces on one switch. It is safe for concurrent use. Close it.
type Network struct {
	id      string
	subnet  netip.Prefix
	members []string          // in the order given; Host is not among them
	port    map[string]string // of the switch, by member and Host

	guardian *exec.Cmd
	leash    io.Closer // closing it makes the guardian remove everything

	mu     sync.Mutex
	faults []*Fault // in force
	slow   []*Slow  // in force
	number int      // of the last fault
	closed bool
}

// ErrNoNamespaces: this machine or user can't have network namespaces.
var ErrNoNamespaces = errors.New("no network namespaces")

// Possible is an error of ErrNoNamespaces if this machine or user can't have them.
func Possible() error { return possible() }

// guardianScript waits for the end of its input and removes the interface $1 and the namespaces behind it.
const guardianScript = `read -r _; ip link del "$1" 2>/dev/null; shift; for n; do ip netns del "$n" 2>/dev/null; done; exit 0`

// New makes a namespace for each member and connects them. Names are chosen so that several networks may live side by
// side. An error of ErrNoNamespaces means: not possible here.
func New(ctx context.Context, members ...string) (*Network, error) {
	if err := Possible(); err != nil {
		return nil, err
	}
	if len(members) == 0 || len(members) > 250 {
		return nil, fmt.Errorf("netns: %d members", len(members))
	}
	var id [3]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	subnet, err := freeSubnet()
	if err != nil {
		return nil, err
	}
	n := &Network{id: "kv" + hex.EncodeToString(id[:]), subnet: subnet, members: members, port: map[string]string{Host: "host"}}
	for i, m := range members {
		if _, double := n.port[m]; double {
			return nil, fmt.Errorf("netns: member %q twice", m)
		}
		n.port[m] = fmt.Sprintf("p%d", i)
	}
	if err := n.startGuardian(); err != nil {
		return nil, err
	}
	if err := n.connect(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Network) startGuardian() error {
	arguments := []string{"-c", guardianScript, "guardian", n.id, n.switchName()}
	for _, m := range n.members {
		arguments = append(arguments, n.namespace(m))
	}
	n.guardian = exec.Command("sh", arguments...)
	leave(n.guardian)
	leash, err := n.guardian.StdinPipe()
	if err != nil {
		return err
	}
	n.leash = leash
	return n.guardian.Start()
}

func (n *Network) switchName() string             { return n.id + "-switch" }
func (n *Network) namespace(member string) string { return n.id + "-" + member }

// connect makes switch, namespaces and cables. Every member's interface is called eth0.
func (n *Network) connect(ctx context.Context) error {
	sw := n.switchName()
	steps := [][]string{
		{"netns", "add", sw},
		{"-n", sw, "link", "add", "br0", "type", "bridge"},
		{"-n", sw, "link", "set", "br0", "up"},
		{"link", "add", n.id, "type", "veth", "peer", "name", n.port[Host], "netns", sw},
		{"addr", "add", n.withBits(Host), "dev", n.id},
		{"link", "set", n.id, "up"},
		{"-n", sw, "link", "set", n.port[Host], "master", "br0", "up"},
	}
	for _, m := range n.members {
		ns, port := n.namespace(m), n.port[m]
		steps = append(steps,
			[]string{"netns", "add", ns},
			[]string{"link", "add", port, "netns", sw, "type", "veth", "peer", "name", "eth0", "netns", ns},
			[]string{"-n", sw, "link", "set", port, "master", "br0", "up"},
			[]string{"-n", ns, "addr", "add", n.withBits(m), "dev", "eth0"},
			[]string{"-n", ns, "link", "set", "eth0", "up"},
			[]string{"-n", ns, "link", "set", "lo", "up"},
		)
	}
	for _, step := range steps {
		if _, err := run(ctx, "", "ip", step...); err != nil {
			return err
		}
	}
	return n.makeChain(ctx)
}

// Members lists them, without Host.
func (n *Network) Members() []string { return append([]string(nil), n.members...) }

// Address is the IP address of a member or of Host, by which all others know it.
func (n *Network) Address(member string) netip.Addr {
	a := n.subnet.Addr().As4()
	a[3] = 254
	for i, m := range n.members {
		if m == member {
			a[3] = byte(i + 1)
		}
	}
	return netip.AddrFrom4(a)
}

func (n *Network) withBits(member string) string {
	return netip.PrefixFrom(n.Address(member), n.subnet.Bits()).String()
}

// Command is what to put before a command line so that it runs as the member. The process keeps its id and its parent.
func (n *Network) Command(member string) []string {
	return []string{"nsenter", "--net=" + n.file(n.namespace(member)), "--"}
}

func (n *Network) file(namespace string) string { return "/run/netns/" + namespace }

// known refuses links to nowhere.
func (n *Network) known(members ...string) error {
	for _, m := range members {
		if _, ok := n.port[m]; !ok {
			return fmt.Errorf("netns: no member %q", m)
		}
	}
	return nil
}

// Close removes everything. Processes in the namespaces should have ended before.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	return errors.Join(n.leash.Close(), n.guardian.Wait())
}

// run runs a program to its end and gives what it printed.
func run(ctx context.Context, input, program string, arguments ...string) (string, error) {
	var out, problems strings.Builder
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}

// inSwitch runs a program in the switch.
func (n *Network) inSwitch(ctx context.Context, input, program string, arguments ...string) (string, error) {
	return run(ctx, input, "nsenter", append([]string{"--net=" + n.file(n.switchName()), "--", program}, arguments...)...)
}
