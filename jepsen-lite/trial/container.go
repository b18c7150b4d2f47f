package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

func (s *containers) asTarget() *nemesis.Target {
	t := &nemesis.Target{Network: isolation{s}, Proxy: container{s, "haproxy"}, Router: container{s, "router"}}
	for _, shard := range s.shards {
		var nodes []nemesis.Node
		for _, service := range shard {
			nodes = append(nodes, container{s, service})
		}
		t.Shards = append(t.Shards, nodes)
	}
	t.Leader = s.leader
	return t
}

// leader asks through HAProxy. A leader that has just been stopped is still one to the others, so it must run, too.
func (s *containers) leader(ctx context.Context, shard int) (nemesis.Node, error) {
	var leads container
	err := cluster.WaitFor(ctx, fmt.Sprintf("a leader of shard %d", shard), func(ctx context.Context) error {
		status, err := s.kv.ClusterStatus(ctx)
		if err != nil {
			return err
		}
		var leaders []string
		for _, r := range status.Shards[shard].Replicas {
			if r.Status != nil && r.Status.Role == "leader" {
				leaders = append(leaders, r.ID)
			}
		}
		if len(leaders) != 1 {
			return fmt.Errorf("these say that they lead: %v", leaders)
		}
		leads = container{s, leaders[0]}
		state, err := leads.state(ctx)
		if err == nil && (!state.Running || state.Paused || !state.connected) {
			err = fmt.Errorf("%s led and is gone", leads.service)
		}
		return err
	})
	return leads, err
}

// container is one of the deployment, as a nemesis sees it.
type container struct {
	of      *containers
	service string
}

// state is what the engine knows of a container.
type state struct {
	Running, Paused bool
	ExitCode        int
	connected       bool // to the cluster's network
	restarts        int  // by the engine, since it ended unasked
}

func (c container) state(ctx context.Context) (state, error) {
	id, err := c.of.Container(ctx, c.service)
	if err != nil {
		return state{}, err
	}
	text, err := c.of.Docker(ctx, "inspect", id)
	if err != nil {
		return state{}, err
	}
	var all []struct {
		State           state
		RestartCount    int
		NetworkSettings struct{ Networks map[string]any }
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 1 {
		return state{}, fmt.Errorf("docker inspect %s: %w", c.service, errors.Join(err, fmt.Errorf("%d containers", len(all))))
	}
	now := all[0].State
	now.restarts, now.connected = all[0].RestartCount, len(all[0].NetworkSettings.Networks) > 0
	return now, nil
}

// do runs a docker command on the container and returns when the engine says what was to come of it.
func (c container) do(ctx context.Context, want func(state) bool, command ...string) (state, error) {
	id, err := c.of.Container(ctx, c.service)
	if err != nil {
		return state{}, err
	}
	if _, err := c.of.Docker(ctx, append(command, id)...); err != nil {
		return state{}, err
	}
	var now state
	return now, cluster.WaitFor(ctx, strings.Join(command, " ")+" of "+c.service, func(ctx context.Context) error {
		now, err = c.state(ctx)
		if err == nil && !want(now) {
			err = fmt.Errorf("%+v", now)
		}
		return err
	})
}

func (c container) ID() string { return c.service }

func (c container) Kill(ctx context.Context) (string, error) {
	now, err := c.do(ctx, func(s state) bool { return !s.Running }, "kill", "-s", "KILL")
	const killed = 128 + 9
	if err == nil && now.ExitCode != killed {
		err = fmt.Errorf("%s ended with code %d, not by SIGKILL", c.service, now.ExitCode)
	}
	return fmt.Sprintf("container %s ended by SIGKILL", c.service), err
}

func (c container) Start(ctx context.Context) error {
	_, err := c.do(ctx, func(s state) bool { return s.Running }, "start")
	return err
}

// Ready waits until the others see the node ready, through HAProxy; of what stands in front, until HAProxy serves.
func (c container) Ready(ctx context.Context) error {
	return cluster.WaitFor(ctx, c.service+" to be ready", func(ctx context.Context) error {
		status, err := c.of.kv.ClusterStatus(ctx)
		if err != nil {
			return err
		}
		for _, shard := range status.Shards {
			for _, r := range shard.Replicas {
				if r.ID == c.service {
					return ready(r)
				}
			}
		}
		now, err := c.state(ctx)
		if err == nil && !now.Running {
			err = fmt.Errorf("%s does not run", c.service)
		}
		return err
	})
}

func (c container) Pause(ctx context.Context) (string, error) {
	_, err := c.do(ctx, func(s state) bool { return s.Paused }, "pause")
	return fmt.Sprintf("container %s is paused", c.service), err
}

func (c container) Paused() error {
	now, err := c.state(context.Background())
	if err == nil && !now.Paused {
		err = fmt.Errorf("%s is not paused", c.service)
	}
	return err
}

func (c container) Resume(ctx context.Context) error {
	_, err := c.do(ctx, func(s state) bool { return s.Running && !s.Paused }, "unpause")
	return err
}

func (c container) Terminate(ctx context.Context) (string, error) {
	now, err := c.do(ctx, func(s state) bool { return !s.Running }, "stop", "-t", "20")
	if err == nil && now.ExitCode != 0 {
		err = fmt.Errorf("%s, asked to end, ended with code %d", c.service, now.ExitCode)
	}
	return c.service + " ended with code 0", err
}

func (c container) Bury() (bool, error) { return false, nil }

func (c container) Reload(context.Context) (string, error) {
	return "", errors.New("in a container HAProxy is not reloaded")
}

// saveLog puts both outputs of the container, over restarts, where a trial on processes has them.
func (c container) saveLog(ctx context.Context) error {
	id, err := c.of.Container(ctx, c.service)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(c.of.logs, c.service+".log"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "docker", "logs", id)
	cmd.Stdout, cmd.Stderr = f, f
	return errors.Join(cmd.Run(), f.Close())
}

// isolation takes whole containers from the network: from clients, too.
type isolation struct{ of *containers }

func (i isolation) Cut(ctx context.Context, links ...netns.Link) (nemesis.Outage, error) {
	victim := alone(links, len(i.of.shards[0]))
	if victim == "" {
		return nil, fmt.Errorf("a container can only be taken from the network, and %v is not that", links)
	}
	id, err := i.of.Container(ctx, victim)
	if err != nil {
		return nil, err
	}
	_, err = i.of.Docker(ctx, "network", "disconnect", i.of.network(), id)
	return taken{container{i.of, victim}}, err
}

// alone is the one of so many members that is cut off from all others, in both directions; "" if there is none.
func alone(links []netns.Link, members int) string {
	ends := map[string]int{}
	for _, l := range links {
		ends[l.From] |= 1
		ends[l.To] |= 2
	}
	for member := range ends {
		at := 0
		for _, l := range links {
			if l.From == member || l.To == member {
				at++
			}
		}
		if at == len(links) && at == 2*(members-1) && ends[member] == 1|2 {
			return member
		}
	}
	return ""
}

var errLinks = errors.New("links of containers can't be made bad")

func (i isolation) Lose(context.Context, int, ...netns.Link) (nemesis.Outage, error) {
	return nil, errLinks
}

func (i isolation) Slow(context.Context, string, int) (nemesis.Outage, error) { return nil, errLinks }

// Reaches asks with the program that is in every container.
func (i isolation) Reaches(ctx context.Context, from, to string) (bool, error) {
	id, err := i.of.Container(ctx, from)
	if err != nil {
		return false, err
	}
	_, err = i.of.Docker(ctx, "exec", id, "/kvorum", "health", "http://"+to+":8080/v1/health/live")
	return err == nil, ctx.Err()
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

func (s *containers) network() string { return s.Project + "_cluster" }

// connect gives a container the network back, under the name by which the others know it.
func (s *containers) connect(ctx context.Context, service string) error {
	id, err := s.Container(ctx, service)
	if err != nil {
		return err
	}
	_, err = s.Docker(ctx, "network", "connect", "--alias", service, s.network(), id)
	return err
}
