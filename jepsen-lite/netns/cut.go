package netns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Fault drops packets on some links until it is healed.
type Fault struct {
	Links   []Link
	PerMill int // of 1000 packets so many are dropped; 1000: all

	network *Network
	number  int
	last    []int64 // packets dropped on each link, when it was healed
}

const chain = "bridge kvorum forward"

// makeChain: what the switch forwards goes through one chain.
func (n *Network) makeChain(ctx context.Context) error {
	_, err := n.inSwitch(ctx, "add table bridge kvorum\nadd chain "+chain+" { type filter hook forward priority 0; policy accept; }\n", "nft", "-f", "-")
	return err
}

// Cut drops everything on the links, each in its direction only. Faults add up.
func (n *Network) Cut(ctx context.Context, links ...Link) (*Fault, error) {
	return n.Lose(ctx, 1000, links...)
}

// Lose drops so many of a thousand packets on each of the links, at random.
func (n *Network) Lose(ctx context.Context, perMill int, links ...Link) (*Fault, error) {
	if len(links) == 0 || perMill < 1 || perMill > 1000 {
		return nil, fmt.Errorf("netns: %d of 1000 packets on %d links is no fault", perMill, len(links))
	}
	for _, l := range links {
		if err := n.known(l.From, l.To); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.number++
	f := &Fault{Links: slices.Clone(links), PerMill: perMill, network: n, number: n.number}
	if err := n.enforce(ctx, append(slices.Clone(n.faults), f), nil); err != nil {
		return nil, err
	}
	n.faults = append(n.faults, f)
	return f, nil
}

// Heal ends the fault. It does nothing if it has ended.
func (f *Fault) Heal(ctx context.Context) error {
	n := f.network
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.faults, f)
	if i < 0 {
		return nil
	}
	rest := slices.Delete(slices.Clone(n.faults), i, i+1)
	if err := n.enforce(ctx, rest, nil); err != nil { // first end it, then count: nothing is missed
		return err
	}
	n.faults = rest
	var err error
	if f.last, err = f.count(ctx); err != nil {
		return err
	}
	return n.enforce(ctx, rest, f)
}

// enforce replaces all rules in one step, and forgets the counters of a fault.
func (n *Network) enforce(ctx context.Context, faults []*Fault, forget *Fault) error {
	var script strings.Builder
	fmt.Fprintf(&script, "flush chain %s\n", chain)
	for _, f := range faults {
		for i, l := range f.Links {
			fmt.Fprintf(&script, "add counter bridge kvorum %s\n", f.counter(i)) // no matter if it is there
			fmt.Fprintf(&script, "add rule %s iifname %q oifname %q ether type ip %scounter name %q drop\n", chain, n.port[l.From], n.port[l.To], Chance(f.PerMill), f.counter(i))
		}
	}
	if forget != nil {
		for i := range forget.Links {
			fmt.Fprintf(&script, "delete counter bridge kvorum %s\n", forget.counter(i))
		}
	}
	_, err := n.inSwitch(ctx, script.String(), "nft", "-f", "-")
	return err
}

func (f *Fault) counter(link int) string { return fmt.Sprintf("fault%d_%d", f.number, link) }

// Dropped says how many packets it has dropped on each of its links: 0 is a link that nobody tried to use.
func (f *Fault) Dropped(ctx context.Context) ([]int64, error) {
	f.network.mu.Lock()
	defer f.network.mu.Unlock()
	if f.last != nil {
		return slices.Clone(f.last), nil
	}
	return f.count(ctx)
}

func (f *Fault) count(ctx context.Context) ([]int64, error) {
	text, err := f.network.inSwitch(ctx, "", "nft", "-j", "list", "counters", "table", "bridge", "kvorum")
	if err != nil {
		return nil, err
	}
	packets, err := Packets(text)
	if err != nil {
		return nil, err
	}
	counts := make([]int64, len(f.Links))
	for i, l := range f.Links {
		var is bool
		if counts[i], is = packets[f.counter(i)]; !is {
			return nil, fmt.Errorf("netns: the counter of %v is not there", l)
		}
	}
	return counts, nil
}

// Heal ends every fault and slowness.
func (n *Network) Heal(ctx context.Context) error {
	n.mu.Lock()
	faults, slow := slices.Clone(n.faults), slices.Clone(n.slow)
	n.mu.Unlock()
	var errs []error
	for _, f := range faults {
		errs = append(errs, f.Heal(ctx))
	}
	for _, s := range slow {
		errs = append(errs, s.Heal(ctx))
	}
	return errors.Join(errs...)
}
