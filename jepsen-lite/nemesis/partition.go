package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// Network is what the nodes talk over, if it can be broken. Members are named by the nodes' ids. Clients and what stands in
// front of the nodes are not cut off: an isolated leader that answers all the same must be heard.
type Network interface {
	// Cut drops everything that is sent on the links.
	Cut(ctx context.Context, links ...netns.Link) (Outage, error)
	// Lose drops so many of a thousand packets on each of the links.
	Lose(ctx context.Context, perMill int, links ...netns.Link) (Outage, error)
	// Slow lets the member's cable carry only so much.
	Slow(ctx context.Context, member string, kilobits int) (Outage, error)
	// Reaches says whether what one member sends arrives at another.
	Reaches(ctx context.Context, from, to string) (bool, error)
}

// Outage is what is broken of a network, until it is healed.
type Outage interface {
	Heal(ctx context.Context) error
	// Proof says what it did to somebody; an error of ErrNoProof: nothing.
	Proof(ctx context.Context) (string, error)
}

func partitions() []Nemesis {
	var all []Nemesis
	for _, p := range netns.Partitions() {
		all = append(all, Nemesis{
			Name: "partition-" + p.Name, Family: "partition", Does: "in a shard, " + p.About, Needs: []Need{OwnNetwork}, Replicas: p.Least,
			Single: singlePartitions(p.Name), Scope: OneShard, Lasts: 2 * time.Second, Inject: partition(p),
		})
	}
	return all
}

// singlePartitions are the roles at which a partition strikes that leaves a quorum which all members see. Halves of three are a
// partition of one.
func singlePartitions(name string) []Role {
	switch name {
	case "leader":
		return []Role{Leader}
	case "one":
		return []Role{Follower}
	case "mute", "deaf":
		return []Role{Leader, Follower}
	case "bridge": // of three: a single link is broken
		return []Role{Leader}
	}
	return nil
}

// partition cuts a shard's network until healed. The proof is that nothing passed, and that something was to.
func partition(p netns.Partition) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		victim, err := victimOf(ctx, t, b, p.Leads)
		if err != nil {
			return nil, err
		}
		members := ids(t.Shards[b.Shard])
		b.Draw.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		if at := slices.Index(members, victim.ID()); b.Aim != Either { // a cut that goes by the order has the first at one of its ends
			members[0], members[at] = members[at], members[0]
		}
		links := p.Links(members, victim.ID())
		heal, err := cutLinks(ctx, t, links)
		if err != nil {
			return nil, err
		}
		return &Strike{Victims: victims(links, members), Heal: func(ctx context.Context) (string, error) {
			proof, err := heal(ctx)
			return proof, errors.Join(err, waitReady(ctx, t.Shards[b.Shard]))
		}}, nil
	}
}

// cutLinks gives what heals the cut and proves that it was one.
func cutLinks(ctx context.Context, t *Target, links []netns.Link) (func(context.Context) (string, error), error) {
	cut, err := t.Network.Cut(ctx, links...)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (string, error) {
		proof, counting := cut.Proof(ctx) // before the probes, which are packets too
		probing := overAll(links, func(l netns.Link) error { return separate(ctx, t.Network, l) })
		healing := cut.Heal(ctx)
		err := errors.Join(counting, probing, healing)
		if healing == nil {
			err = errors.Join(err, overAll(links, func(l netns.Link) error { return connected(ctx, t.Network, l) }))
		}
		return fmt.Sprintf("%s: %s, and at the end no probe passed", drawn(links), proof), err
	}, nil
}

// victimOf draws a node, unless the blow is aimed. One in two is the leader, where it need not be: most of what can go wrong
// does so at leaders.
func victimOf(ctx context.Context, t *Target, b Blow, leads bool) (Node, error) {
	if b.Aim != Either {
		return t.aimedAt(ctx, b)
	}
	if leads || b.Draw.IntN(2) == 0 {
		return t.Leader(ctx, b.Shard)
	}
	return t.one(b), nil
}

// victims are the members at an end of every cut that has the most of them: the one that is cut off, or, of halves, the smaller.
func victims(links []netns.Link, members []string) []string {
	ends := map[string]int{}
	for _, l := range links {
		ends[l.From]++
		ends[l.To]++
	}
	most := 0
	for _, n := range ends {
		most = max(most, n)
	}
	var struck []string
	for _, m := range slices.Sorted(slices.Values(members)) {
		if ends[m] == most {
			struck = append(struck, m)
		}
	}
	return struck
}

// drawn is a set of links as text: "a>b" for one direction, "a-b" for both.
func drawn(links []netns.Link) string {
	var all []string
	for _, l := range links {
		switch back := slices.Contains(links, netns.Link{From: l.To, To: l.From}); {
		case !back:
			all = append(all, l.From+">"+l.To)
		case l.From < l.To:
			all = append(all, l.From+"-"+l.To)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// overAll looks at all links at the same time.
func overAll(links []netns.Link, look func(netns.Link) error) error {
	errs := make([]error, len(links))
	each(len(links), func(i int) { errs[i] = look(links[i]) })
	return errors.Join(errs...)
}

// separate is an error of ErrNoProof if what is sent on a link that was cut arrives.
func separate(ctx context.Context, n Network, l netns.Link) error {
	passed, err := n.Reaches(ctx, l.From, l.To)
	if err == nil && passed {
		err = fmt.Errorf("%w: %s reaches %s all the same", ErrNoProof, l.From, l.To)
	}
	return err
}

// passesWithin is what a probe has for its way when the cut has ended: on a busy machine a single one may be late.
const passesWithin = 10 * time.Second

// connected waits until what is sent on a link that was healed arrives.
func connected(ctx context.Context, n Network, l netns.Link) error {
	ctx, cancel := context.WithTimeout(ctx, passesWithin)
	defer cancel()
	return cluster.WaitFor(ctx, fmt.Sprintf("%s to reach %s, now that the cut was healed", l.From, l.To), func(ctx context.Context) error {
		passed, err := n.Reaches(ctx, l.From, l.To)
		if err == nil && !passed {
			err = errors.New("no probe passed")
		}
		return err
	})
}
