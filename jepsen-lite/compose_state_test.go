//go:build deploy

package jepsenlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

const (
	healthyWithin = 45 * time.Second // of the container's start: the first check comes after 30 s and may take 3
	stepsWithin   = 15 * time.Second
)

// container is what matters here of docker inspect.
type container struct {
	Image string
	State struct {
		StartedAt time.Time
		Health    struct {
			Status string
			Log    []struct {
				End      time.Time
				ExitCode int
				Output   string
			}
		}
	}
	Config struct {
		User   string
		Labels map[string]string
		Env    []string
	}
	HostConfig struct {
		ReadonlyRootfs bool
		CapAdd         []string
		CapDrop        []string
		SecurityOpt    []string
		Privileged     bool
		Memory         int64
		PidsLimit      int64
		RestartPolicy  struct{ Name string }
	}
	NetworkSettings struct {
		Ports map[string][]struct{ HostIp, HostPort string } //nolint:revive // the engine's names
	}
}

func (d *deployed) inspect(ctx context.Context, service string) (container, error) {
	id, err := d.Container(ctx, service)
	if err != nil {
		return container{}, err
	}
	out, err := d.Docker(ctx, "inspect", id)
	if err != nil {
		return container{}, err
	}
	var found []container
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found) != 1 {
		return container{}, fmt.Errorf("inspect %s: %w: %s", service, err, out)
	}
	return found[0], nil
}

func containersAreHardened(ctx context.Context, t *testing.T, d *deployed) {
	published := map[string]string{}
	for _, service := range d.Services() {
		c, err := d.inspect(ctx, service)
		check(t, err)
		host := c.HostConfig
		if user, _, _ := strings.Cut(c.Config.User, ":"); user == "" || user == "0" || user == "root" {
			t.Errorf("%s runs as %q", service, c.Config.User)
		}
		if !host.ReadonlyRootfs || host.Privileged || len(host.CapAdd) > 0 || !slices.Contains(host.CapDrop, "ALL") ||
			!slices.ContainsFunc(host.SecurityOpt, func(o string) bool { return strings.HasPrefix(o, "no-new-privileges") }) {
			t.Errorf("%s is not hardened: %+v", service, host)
		}
		if host.Memory == 0 || host.PidsLimit <= 0 || host.RestartPolicy.Name != "unless-stopped" {
			t.Errorf("%s lacks limits or a restart policy: %+v", service, host)
		}
		for port, bindings := range c.NetworkSettings.Ports {
			for _, b := range bindings {
				published[service+" "+port] = net.JoinHostPort(b.HostIp, b.HostPort)
			}
		}
		if service == "s0n0" {
			checkImage(ctx, t, d, c.Image)
		}
	}
	if len(published) != 2 || published["haproxy 8080/tcp"] != d.API || published["haproxy 8404/tcp"] != d.Ops {
		t.Errorf("published: %v; want only HAProxy's 8080 at %s and 8404 at %s", published, d.API, d.Ops)
	}
}

func checkImage(ctx context.Context, t *testing.T, d *deployed, image string) {
	out, err := d.Docker(ctx, "image", "inspect", "-f", "{{.Size}} {{.Config.User}} {{len .Config.Labels}}", image)
	check(t, err)
	fields := strings.Fields(out)
	size, err := strconv.Atoi(fields[0])
	check(t, err)
	t.Logf("image of kvorum: %.1f MB, user %s, %s labels", float64(size)/1e6, fields[1], fields[2])
	if size >= maxImage || fields[1] != "65532:65532" || fields[2] == "0" {
		t.Errorf("the image is not as it should be: %s", out)
	}
}

// allBecomeHealthy: what the engine shows of a container, by the checks of docker-compose.yml.
func allBecomeHealthy(ctx context.Context, t *testing.T, d *deployed) {
	ctx, cancel := context.WithTimeout(ctx, 2*healthyWithin)
	defer cancel()
	slowest := time.Duration(0)
	for _, service := range d.Services() {
		var c container
		check(t, cluster.WaitFor(ctx, service+" to be healthy", func(ctx context.Context) (err error) {
			if c, err = d.inspect(ctx, service); err == nil && c.State.Health.Status != "healthy" {
				err = fmt.Errorf("%s: %+v", c.State.Health.Status, c.State.Health.Log)
			}
			return err
		}))
		// By the engine's own record: when this test looks does not matter.
		for _, probe := range c.State.Health.Log {
			if took := probe.End.Sub(c.State.StartedAt); probe.ExitCode == 0 {
				slowest = max(slowest, took)
				if took > healthyWithin {
					t.Errorf("%s was healthy only after %s, want %s", service, took, healthyWithin)
				}
				break
			}
		}
	}
	t.Logf("all %d containers are healthy, the last of them %s after its start", len(d.Services()), slowest.Round(100*time.Millisecond))
}

// quotaIsBelowTheLimit: puts are refused, and Go's collector works harder, before the kernel kills.
func quotaIsBelowTheLimit(ctx context.Context, t *testing.T, d *deployed) {
	for _, service := range append(d.Nodes(), "router") {
		c, err := d.inspect(ctx, service)
		check(t, err)
		soft := memoryLimitOfGo(t, c)
		quota := int64(0)
		if service != "router" { // which keeps no rows
			value, err := d.Metric(ctx, service, "kvorum_memory_quota_bytes")
			check(t, err)
			if quota = int64(value); quota <= 0 {
				t.Errorf("%s has no memory quota", service)
			}
		}
		if limit := c.HostConfig.Memory; quota >= soft || soft >= limit {
			t.Errorf("%s: memory quota %d, GOMEMLIMIT %d, limit of the container %d: each should be below the next", service, quota, soft, limit)
		}
	}
}

func memoryLimitOfGo(t *testing.T, c container) int64 {
	t.Helper()
	for _, setting := range c.Config.Env {
		if value, found := strings.CutPrefix(setting, "GOMEMLIMIT="); found {
			number, err := strconv.ParseInt(strings.TrimSuffix(value, "MiB"), 10, 64)
			check(t, err)
			return number << 20
		}
	}
	t.Fatalf("GOMEMLIMIT is not set: %v", c.Config.Env)
	return 0
}

func routerKeepsHAProxyInStep(ctx context.Context, t *testing.T, d *deployed) { d.inStep(ctx, t, 0) }

// haproxyReloads as the compose file says: SIGHUP to the container. Another worker serves, and the router keeps that one in step.
func haproxyReloads(ctx context.Context, t *testing.T, d *deployed) {
	pushes := d.inStep(ctx, t, 0)
	before, err := d.Worker(ctx)
	check(t, err)
	id, err := d.Container(ctx, "haproxy")
	check(t, err)
	_, err = d.Docker(ctx, "kill", "-s", "HUP", id)
	check(t, err)
	limited, cancel := context.WithTimeout(ctx, stepsWithin)
	defer cancel()
	var after string
	check(t, cluster.WaitFor(limited, "another worker to serve", func(ctx context.Context) (err error) {
		if after, err = d.Worker(ctx); err == nil && after == before {
			err = fmt.Errorf("it is still process %s", before)
		}
		return err
	}))
	_, err = d.kv.Put(ctx, "reload:a", []byte("written through process "+after))
	check(t, err)
	d.inStep(ctx, t, pushes)
}

// inStep waits until the router says that HAProxy is in step, has pushed leaders more than so many times, and HAProxy's
// statistics show in each write backend the shard's leader as up and nobody else. It returns the number of pushes.
func (d *deployed) inStep(ctx context.Context, t *testing.T, pushes float64) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, stepsWithin)
	defer cancel()
	var now float64
	check(t, cluster.WaitFor(ctx, "HAProxy to be in step with the cluster", func(ctx context.Context) error {
		step, err := d.Metric(ctx, "router", "kvorum_haproxy_in_step")
		if err != nil || step != 1 {
			return errors.Join(err, fmt.Errorf("kvorum_haproxy_in_step is %v", step))
		}
		if now, err = d.Metric(ctx, "router", "kvorum_haproxy_leader_pushes_total"); err != nil || now <= pushes {
			return errors.Join(err, fmt.Errorf("leaders were pushed %v times, want more than %v", now, pushes))
		}
		status, err := d.kv.ClusterStatus(ctx)
		if err != nil {
			return err
		}
		for _, shard := range status.Shards {
			up, err := d.Writers(ctx, shard.Shard)
			if err != nil || !slices.Equal(up, []string{shard.Leader}) {
				return errors.Join(err, fmt.Errorf("shard %d is led by %q, and HAProxy has up for its writes: %v", shard.Shard, shard.Leader, up))
			}
		}
		return nil
	}))
	return now
}
