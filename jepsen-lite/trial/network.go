package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// placed gives each node a network of its own, if a nemesis needs that; else nil, and all are on loopback.
func placed(ctx context.Context, c Config) (*netns.Network, func(string) cluster.Place, error) {
	if !c.needs(nemesis.OwnNetwork) {
		return nil, nil, nil
	}
	n, err := netns.New(ctx, cluster.Names(c.Shards, c.Replicas)...)
	if err != nil {
		return nil, nil, err
	}
	return n, func(name string) cluster.Place {
		return cluster.Place{Host: n.Address(name).String(), Command: n.Command(name)}
	}, nil
}

// needs says whether any nemesis of the schedule has the need.
func (c Config) needs(need nemesis.Need) bool {
	return slices.ContainsFunc(c.Schedule.Strikes, func(s nemesis.Planned) bool { return slices.Contains(c.needsOf(s.Nemesis), need) })
}

func (c Config) needsOf(name string) []nemesis.Need {
	for _, n := range c.Nemeses {
		if n.Name == name {
			return n.Needs
		}
	}
	return nil
}

// network is a nemesis's view of one.
type network struct{ *netns.Network }

func (n network) Cut(ctx context.Context, links ...netns.Link) (nemesis.Outage, error) {
	f, err := n.Network.Cut(ctx, links...)
	return dropping{f}, err
}

func (n network) Lose(ctx context.Context, perMill int, links ...netns.Link) (nemesis.Outage, error) {
	f, err := n.Network.Lose(ctx, perMill, links...)
	return dropping{f}, err
}

func (n network) Slow(ctx context.Context, member string, kilobits int) (nemesis.Outage, error) {
	s, err := n.Network.Slow(ctx, member, kilobits)
	return slowing{s}, err
}

type dropping struct{ *netns.Fault }

func (d dropping) Proof(ctx context.Context) (string, error) {
	var sum int64
	each, err := d.Dropped(ctx)
	for _, packets := range each {
		sum += packets
	}
	return fmt.Sprintf("%d packets dropped", sum), errors.Join(err, enough(sum, d.PerMill, "dropped"))
}

// leastHit is how many packets a bad link must have met to have been one. A cut has its probes besides.
const leastHit = 20

// enough is an error of ErrNoProof if too few packets were.
func enough(packets int64, perMill int, what string) error {
	least := int64(leastHit)
	if perMill == 1000 {
		least = 1
	}
	if packets < least {
		return fmt.Errorf("%w: %d packets were %s, at least %d must be", nemesis.ErrNoProof, packets, what, least)
	}
	return nil
}

type slowing struct{ *netns.Slow }

func (s slowing) Proof(ctx context.Context) (string, error) {
	held, err := s.Held(ctx)
	return fmt.Sprintf("%d packets had to wait or were dropped", held.Packets), errors.Join(err, enough(held.Packets, 0, "held up"))
}
