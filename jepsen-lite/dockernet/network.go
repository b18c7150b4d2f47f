package dockernet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Image is what the rules are written with. `make nettools` makes it.
const Image = "kvorum/nettools:local"

// Engine runs docker commands.
type Engine interface {
	// Pipe runs one with some input and gives its output.
	Pipe(ctx context.Context, input string, arguments ...string) (output string, err error)
	// Container is the id of a member's container.
	Container(ctx context.Context, member string) (id string, err error)
}

// Network is a network of the engine that containers are members of. It is safe for concurrent use.
type Network struct {
	Name   string
	Engine Engine

	mu     sync.Mutex
	faults []healer // in force, as far as is known
	number int      // of the last fault
}

type healer interface {
	Heal(ctx context.Context) error
}

// Heal ends every fault.
func (n *Network) Heal(ctx context.Context) error {
	n.mu.Lock()
	faults := slices.Clone(n.faults)
	n.mu.Unlock()
	var errs []error
	for _, f := range faults {
		errs = append(errs, f.Heal(ctx))
	}
	return errors.Join(errs...)
}

// begin notes a fault before it is made: what fails half-way must be healed, too.
func (n *Network) begin(f healer) (number int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.number++
	n.faults = append(n.faults, f)
	return n.number
}

func (n *Network) over(f healer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = slices.DeleteFunc(n.faults, func(other healer) bool { return other == f })
}

// Label marks the containers that write rules; its value is the network's name.
const Label = "kvorum.nettools"

// in runs a shell script in the member's network.
func (n *Network) in(ctx context.Context, member, script string) (string, error) {
	id, err := n.Engine.Container(ctx, member)
	if err != nil {
		return "", err
	}
	out, err := n.Engine.Pipe(ctx, script, oneShot("container:"+id, n.Name)...)
	if err != nil {
		err = fmt.Errorf("in the network of %s: %w", member, err)
	}
	return out, err
}

// oneShot is the docker command that runs a shell script, its input, in a network, may configure that and nothing else, and leaves
// nothing behind.
func oneShot(network, label string) []string {
	return []string{"run", "--rm", "-i", "--network", network, "--label", Label + "=" + label,
		"--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--security-opt", "no-new-privileges", "--read-only", Image, "sh", "-eu"}
}

// mend runs a script that undoes something. Where the container has ended, its network has ended with it.
func (n *Network) mend(ctx context.Context, member, script string) error {
	_, err := n.in(ctx, member, script)
	if err == nil {
		return nil
	}
	id, asking := n.Engine.Container(ctx, member)
	if asking != nil {
		return errors.Join(err, asking)
	}
	runs, asking := n.Engine.Pipe(ctx, "", "inspect", "-f", "{{.State.Running}}", id)
	if asking == nil && strings.TrimSpace(runs) == "false" {
		return nil
	}
	return errors.Join(err, asking)
}

// address is where a member is now: one that was away from the network may come back under another.
func (n *Network) address(ctx context.Context, member string) (string, error) {
	id, err := n.Engine.Container(ctx, member)
	if err != nil {
		return "", err
	}
	out, err := n.Engine.Pipe(ctx, "", "inspect", "-f", fmt.Sprintf("{{with index .NetworkSettings.Networks %q}}{{.IPAddress}}{{end}}", n.Name), id)
	address := strings.TrimSpace(out)
	if err == nil && address == "" {
		err = fmt.Errorf("%s has no address in the network %s", member, n.Name)
	}
	return address, err
}

// each does something for all members at the same time.
func each(members []string, do func(member string) error) error {
	errs := make([]error, len(members))
	var done sync.WaitGroup
	for i, m := range members {
		done.Go(func() { errs[i] = do(m) })
	}
	done.Wait()
	return errors.Join(errs...)
}
