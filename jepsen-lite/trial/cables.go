package trial

import (
	"context"
	"errors"
	"fmt"

	"github.com/kvorum/kvorum/jepsen-lite/dockernet"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// cables are a nemesis's view of the network of containers.
type cables struct{ of *containers }

func (c cables) Cut(ctx context.Context, links ...netns.Link) (nemesis.Outage, error) {
	f, err := c.of.network.Cut(ctx, links...)
	return losing{f}, err
}

func (c cables) Lose(ctx context.Context, perMill int, links ...netns.Link) (nemesis.Outage, error) {
	f, err := c.of.network.Lose(ctx, perMill, links...)
	return losing{f}, err
}

func (c cables) Slow(ctx context.Context, member string, kilobits int) (nemesis.Outage, error) {
	s, err := c.of.network.Slow(ctx, member, kilobits)
	return sending{s}, err
}

// Reaches asks with the program that is in every container. That takes both directions; what the rules have counted tells them
// apart.
func (c cables) Reaches(ctx context.Context, from, to string) (bool, error) {
	id, err := c.of.Container(ctx, from)
	if err != nil {
		return false, err
	}
	_, err = c.of.Docker(ctx, "exec", id, "/kvorum", "health", "--timeout="+probeWithin.String(), "http://"+to+":8080/v1/health/live")
	return err == nil, ctx.Err()
}

type losing struct{ *dockernet.Fault }

// Proof of a cut is also that nothing got through, from its first moment on.
func (l losing) Proof(ctx context.Context) (string, error) {
	counts, err := l.Counts(ctx)
	if err != nil {
		return "", err
	}
	var sum int64
	for i, c := range counts {
		sum += c.Dropped
		if link := l.Links[i]; l.PerMill == 1000 && c.Passed > 0 {
			return "", fmt.Errorf("%w: %d packets passed from %s to %s", nemesis.ErrNoProof, c.Passed, link.From, link.To)
		}
	}
	return fmt.Sprintf("%d packets dropped", sum), enough(sum, l.PerMill, "dropped")
}

type sending struct{ *dockernet.Slow }

func (s sending) Proof(ctx context.Context) (string, error) {
	packets, err := s.Held(ctx)
	return fmt.Sprintf("%d packets had to wait or were dropped", packets), errors.Join(err, enough(packets, 0, "held up"))
}

// plugs take a container from the network, whole.
type plugs struct{ of *containers }

func (p plugs) Unplug(ctx context.Context, member string) (nemesis.Outage, error) {
	id, err := p.of.Container(ctx, member)
	if err != nil {
		return nil, err
	}
	_, err = p.of.Docker(ctx, "network", "disconnect", p.of.network.Name, id)
	return taken{container{p.of, member}}, err
}

// taken is a container without a network.
type taken struct{ container }

func (t taken) Proof(ctx context.Context) (string, error) {
	now, err := t.state(ctx)
	if err == nil && now.connected {
		err = fmt.Errorf("%w: %s is still connected", nemesis.ErrNoProof, t.service)
	}
	return "container " + t.service + " has no network", err
}

func (t taken) Heal(ctx context.Context) error { return t.of.connect(ctx, t.service) }

// connect gives a container the network back, under the name by which the others know it.
func (s *containers) connect(ctx context.Context, service string) error {
	id, err := s.Container(ctx, service)
	if err != nil {
		return err
	}
	_, err = s.Docker(ctx, "network", "connect", "--alias", service, s.network.Name, id)
	return err
}
