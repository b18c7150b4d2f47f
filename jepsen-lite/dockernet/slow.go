package dockernet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// Slow is a member that sends only so much, to whomever, until it is healed. Packets wait in a queue, those that find it full are
// dropped. What it receives is as quick as ever: that queue would be at the other end of its cable, on the machine itself.
type Slow struct {
	Member string

	network *Network
	device  string // shell: finds the interface in the member's network, which is not always the first

	mu     sync.Mutex
	last   int64
	healed bool
}

// tc stands with its folder, for busybox's shell prefers a tc of its own.
const tc = "/usr/sbin/tc"

// Slow lets the member send so many kilobits per second.
func (n *Network) Slow(ctx context.Context, member string, kilobits int) (*Slow, error) {
	queue, err := netns.Queue(kilobits)
	if err != nil {
		return nil, err
	}
	address, err := n.address(ctx, member)
	if err != nil {
		return nil, err
	}
	s := &Slow{Member: member, network: n}
	s.device = fmt.Sprintf("device=$(ip -o -4 addr | awk -v address=%s/ 'index($4, address) == 1 {print $2}')\n", address)
	n.begin(s)
	if _, err := n.in(ctx, member, s.device+slowDown("$device", queue)); err != nil {
		return nil, errors.Join(err, s.Heal(ctx))
	}
	return s, nil
}

// slowDown puts the queue before a device.
func slowDown(device string, queue []string) string {
	return fmt.Sprintf("%s qdisc replace dev %s root %s\n", tc, device, strings.Join(queue, " "))
}

// Held says how many packets found the link too slow and had to wait or were dropped.
func (s *Slow) Held(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.healed {
		return s.last, nil
	}
	return s.held(ctx, "")
}

func (s *Slow) held(ctx context.Context, then string) (packets int64, err error) {
	text, err := s.network.in(ctx, s.Member, s.device+tc+" -s -j qdisc show dev $device\n"+then)
	if err != nil {
		return 0, err
	}
	held, err := netns.Queued(text)
	return held.Packets, err
}

// remove fails only if the queue is there afterwards. Nothing of it is on standard output.
func (s *Slow) remove() string {
	return fmt.Sprintf("%s qdisc del dev $device root 2>/dev/null || true\n! %s qdisc show dev $device | grep tbf >&2\n", tc, tc)
}

// Heal gives the member its speed back. It does nothing if it has it.
func (s *Slow) Heal(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.healed {
		return nil
	}
	remove := s.remove()
	packets, err := s.held(ctx, remove)
	if err == nil {
		s.last = packets
	} else if err = s.network.mend(ctx, s.Member, s.device+remove); err != nil {
		return err
	}
	s.healed = true
	s.network.over(s)
	return nil
}
