package dockernet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// Fault drops packets on some links until it is healed.
type Fault struct {
	Links   []netns.Link
	PerMill int // of 1000 packets so many are dropped; 1000: all

	network *Network
	table   string   // of its own, so that ending it leaves others alone
	at      []string // members at which packets are dropped

	mu     sync.Mutex
	last   []Count // when it was healed
	healed bool
}

// Count is what became of the packets on one link.
type Count struct{ Dropped, Passed int64 }

// Cut drops everything on the links, each in its direction only. Faults add up.
func (n *Network) Cut(ctx context.Context, links ...netns.Link) (*Fault, error) {
	return n.Lose(ctx, 1000, links...)
}

// Lose drops so many of a thousand packets on each of the links, at random.
func (n *Network) Lose(ctx context.Context, perMill int, links ...netns.Link) (*Fault, error) {
	if len(links) == 0 || perMill < 1 || perMill > 1000 {
		return nil, fmt.Errorf("dockernet: %d of 1000 packets on %d links is no fault", perMill, len(links))
	}
	addresses, err := n.addresses(ctx, links)
	if err != nil {
		return nil, err
	}
	f := &Fault{Links: slices.Clone(links), PerMill: perMill, network: n, at: ends(links)}
	f.table = fmt.Sprintf("kvorum_%d", n.begin(f))
	err = each(f.at, func(member string) error {
		_, err := n.in(ctx, member, f.write(member, addresses))
		return err
	})
	if err != nil {
		return nil, errors.Join(err, f.Heal(ctx))
	}
	return f, nil
}

// ends are the members at which the links end.
func ends(links []netns.Link) []string {
	var at []string
	for _, l := range links {
		at = append(at, l.To)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

func (n *Network) addresses(ctx context.Context, links []netns.Link) (map[string]string, error) {
	addresses := map[string]string{}
	for _, l := range links {
		for _, member := range []string{l.From, l.To} { // also the end of it: it must be in the network
			if addresses[member] != "" {
				continue
			}
			var err error
			if addresses[member], err = n.address(ctx, member); err != nil {
				return nil, err
			}
		}
	}
	return addresses, nil
}

// write is the script that brings the member's rules into force.
func (f *Fault) write(member string, addresses map[string]string) string {
	return "nft -f - <<'RULES'\n" + f.rules(member, addresses) + "RULES\n"
}

// rules are one table, which comes into force as a whole. What the first chain drops does not reach the second.
func (f *Fault) rules(member string, addresses map[string]string) string {
	var counters, drop, pass strings.Builder
	for i, l := range f.Links {
		if l.To != member {
			continue
		}
		fmt.Fprintf(&counters, "\tcounter dropped%d {}\n\tcounter passed%d {}\n", i, i)
		fmt.Fprintf(&drop, "\t\tip saddr %s %scounter name dropped%d drop\n", addresses[l.From], netns.Chance(f.PerMill), i)
		fmt.Fprintf(&pass, "\t\tip saddr %s counter name passed%d\n", addresses[l.From], i)
	}
	return fmt.Sprintf("table ip %s {\n%s\tchain cut {\n\t\ttype filter hook input priority 0; policy accept;\n%s\t}\n"+
		"\tchain beyond {\n\t\ttype filter hook input priority 10; policy accept;\n%s\t}\n}\n", f.table, &counters, &drop, &pass)
}

// Counts says for each of its links what became of the packets so far. Of a cut none may have passed; none dropped is a link that
// nobody tried to use.
func (f *Fault) Counts(ctx context.Context) ([]Count, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last != nil {
		return slices.Clone(f.last), nil
	}
	return f.count(ctx, "")
}

// count reads all counters, and then does something more in the same networks.
func (f *Fault) count(ctx context.Context, then string) ([]Count, error) {
	counts := make([]Count, len(f.Links))
	err := each(f.at, func(member string) error {
		text, err := f.network.in(ctx, member, "nft -j list counters table ip "+f.table+"\n"+then)
		if err != nil {
			return err
		}
		return f.read(member, text, counts)
	})
	return counts, err
}

// read fills in the links that end at the member, and no other.
func (f *Fault) read(member, text string, counts []Count) error {
	packets, err := netns.Packets(text)
	if err != nil {
		return err
	}
	for i, l := range f.Links {
		if l.To != member {
			continue
		}
		dropped, is := packets[fmt.Sprint("dropped", i)]
		passed, too := packets[fmt.Sprint("passed", i)]
		if !is || !too {
			return fmt.Errorf("dockernet: the counters of %v are not there", l)
		}
		counts[i] = Count{dropped, passed}
	}
	return nil
}

// Heal ends the fault. It does nothing if it has ended. What cannot be counted any more, since a container has ended meanwhile,
// is ended all the same.
func (f *Fault) Heal(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.healed {
		return nil
	}
	remove := fmt.Sprintf("nft 'add table ip %s; delete table ip %s'\n", f.table, f.table) // no matter if it is there
	counts, err := f.count(ctx, remove)
	if err == nil {
		f.last = counts
	} else if err = each(f.at, func(member string) error { return f.network.mend(ctx, member, remove) }); err != nil {
		return err
	}
	f.healed = true
	f.network.over(f)
	return nil
}
