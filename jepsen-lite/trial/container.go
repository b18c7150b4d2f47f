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
)

func (s *containers) asTarget() *nemesis.Target {
	t := &nemesis.Target{Network: cables{s}, Plugs: plugs{s}, Throttle: s.throttle, Proxy: container{s, "haproxy"}, Router: container{s, routerService}}
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
	return leads, leaderless(err)
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
	throttled       bool // has a quota of processor time
	restarts        int  // by the engine, since it ended unasked; since the last start
	id              string
}

const routerService = "router"

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
		HostConfig      struct{ CPUQuota int64 } // CpuQuota
		NetworkSettings struct{ Networks map[string]any }
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 1 {
		return state{}, fmt.Errorf("docker inspect %s: %w", c.service, errors.Join(err, fmt.Errorf("%d containers", len(all))))
	}
	now := all[0].State
	now.id, now.restarts, now.connected, now.throttled = id, all[0].RestartCount, len(all[0].NetworkSettings.Networks) > 0, all[0].HostConfig.CPUQuota > 0
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

// Start notes how often the engine had to start the container again by itself, which it forgets with this.
func (c container) Start(ctx context.Context) error {
	before, err := c.state(ctx)
	if err != nil {
		return err
	}
	c.of.endedUnasked(c.service, before.restarts)
	_, err = c.do(ctx, func(s state) bool { return s.Running }, "start")
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
		if err == nil && c.service == routerService {
			_, err = c.of.Docker(ctx, "exec", now.id, "/kvorum", "health", "--timeout="+probeWithin.String(), "http://127.0.0.1:8080/v1/health/ready")
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

// Reload asks HAProxy's master, the container's first process, for a new worker.
func (c container) Reload(ctx context.Context) (string, error) {
	id, err := c.of.Container(ctx, c.service)
	if err != nil {
		return "", err
	}
	return reloaded(ctx, func(ctx context.Context) error {
		_, err := c.of.Docker(ctx, "kill", "-s", "HUP", id)
		return err
	}, c.of.Worker)
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

// saveData copies the data folder of a container that has ended to where a trial on processes has it.
func (c container) saveData(ctx context.Context) error {
	id, err := c.of.Container(ctx, c.service)
	if err != nil {
		return err
	}
	_, err = c.of.Docker(ctx, "cp", id+":/data", c.of.folder(c.service))
	return err
}
