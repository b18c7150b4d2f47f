package netns

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Slow is a member whose cable carries only so much, in both directions, until it is healed. Packets wait in a queue, those
// that find it full are dropped: a link that is slow under load and quick without. (A fixed delay would need netem, which
// not every kernel has.)
type Slow struct {
	Member string

	network *Network
	last    *Held
}

// Held proves that a slow link was one.
type Held struct {
	Packets int64 // that found the link too slow and had to wait or were dropped
	Dropped int64
}

// Slow lets the member's cable carry so many kilobits per second.
func (n *Network) Slow(ctx context.Context, member string, kilobits int) (*Slow, error) {
	if err := n.known(member); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.ContainsFunc(n.slow, func(s *Slow) bool { return s.Member == member }) {
		return nil, fmt.Errorf("netns: %s is slow already", member)
	}
	queue, err := Queue(kilobits)
	if err != nil {
		return nil, err
	}
	s := &Slow{Member: member, network: n}
	n.slow = append(n.slow, s)
	err = s.eachEnd(func(prefix []string, device string) error {
		_, err := run(ctx, "", prefix[0], append(append(prefix[1:], "tc", "qdisc", "replace", "dev", device, "root"), queue...)...)
		return err
	})
	if err != nil {
		n.slow = n.slow[:len(n.slow)-1]
		_ = s.takeAway(ctx) // one end may have it; the other says that it has not
		return nil, err
	}
	return s, nil
}

// eachEnd: a queue is only where packets leave, so the cable has one at each end.
func (s *Slow) eachEnd(do func(prefix []string, device string) error) error {
	n := s.network
	inSwitch := []string{"nsenter", "--net=" + n.file(n.switchName()), "--"}
	atMember, device := n.Command(s.Member), "eth0"
	if s.Member == Host {
		atMember, device = []string{"env"}, n.id
	}
	return errors.Join(do(inSwitch, n.port[s.Member]), do(atMember, device))
}

// Held says what the link has held up so far.
func (s *Slow) Held(ctx context.Context) (Held, error) {
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	if s.last != nil {
		return *s.last, nil
	}
	return s.held(ctx)
}

func (s *Slow) held(ctx context.Context) (Held, error) {
	var h Held
	err := s.eachEnd(func(prefix []string, device string) error {
		text, err := run(ctx, "", prefix[0], append(prefix[1:], "tc", "-s", "-j", "qdisc", "show", "dev", device)...)
		if err != nil {
			return err
		}
		here, err := Queued(text)
		h.Packets += here.Packets
		h.Dropped += here.Dropped
		return err
	})
	return h, err
}

// Heal gives the cable its speed back. It does nothing if it has it.
func (s *Slow) Heal(ctx context.Context) error {
	n := s.network
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.slow, s)
	if i < 0 {
		return nil
	}
	last, err := s.held(ctx)
	if err != nil {
		return err
	}
	s.last = &last
	n.slow = slices.Delete(n.slow, i, i+1)
	return s.takeAway(ctx)
}

func (s *Slow) takeAway(ctx context.Context) error {
	return s.eachEnd(func(prefix []string, device string) error {
		_, err := run(ctx, "", prefix[0], append(prefix[1:], "tc", "qdisc", "del", "dev", device, "root")...)
		return err
	})
}
