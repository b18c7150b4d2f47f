//go:build deploy

package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

const (
	projectFolder = ".."
	maxImage      = 25_000_000 // bytes
	kvorumImage   = "kvorum/kvorum:local"
	idleFor       = 30 * time.Second // a health check of each container falls into it, whenever it begins
	idleLimit     = 0.20             // of one core: 0.10 is the goal, and 8.4 to 13.6 % was seen, for reasons not all known; a node that spins takes far more
	downGoal      = 15 * time.Second
)

// deployed is the deployment of docker-compose.yml, up, with a client that goes through HAProxy.
type deployed struct {
	*cluster.Compose
	kv *client.Client
}

// TestCompose runs docker-compose.yml as it is: from an engine that may hold no image to words that survive.
func TestCompose(t *testing.T) {
	ctx := within(t, 25*time.Minute) // the whole word list takes 12 on a busy machine
	c, err := cluster.NewCompose(ctx, projectFolder, fmt.Sprintf("kvorum-test-%d", os.Getpid()))
	if errors.Is(err, cluster.ErrNoDocker) {
		skip(t, err.Error())
	}
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if t.Failed() {
			logs, _ := c.Do(ctx, "logs", "--no-color", "--tail=40")
			t.Log(logs)
		}
		if err := c.Remove(ctx); err != nil {
			t.Error(err)
		}
	})
	kv, err := client.New(client.Config{Endpoints: []string{"http://" + c.API}, AutoIdempotency: true, Timeout: time.Minute, AttemptTimeout: 5 * time.Second})
	check(t, err)
	t.Cleanup(func() { _ = kv.Close() })
	d := &deployed{c, kv}

	// Each step builds on the one before.
	for _, step := range []struct {
		name string
		run  func(context.Context, *testing.T, *deployed)
	}{
		{"up from nothing", upFromNothing},
		{"containers", containersAreHardened},
		{"through HAProxy", throughHAProxy},
		{"in step", routerKeepsHAProxyInStep},
		{"idle", idleIsCheap},
		{"healthy", allBecomeHealthy},
		{"memory", quotaIsBelowTheLimit},
		{"reload", haproxyReloads},
		{"observe", dashboardIsTrue},
		{"kill leaders", writesAfterKills},
		{"a leader is not heard", leaderIsNotHeard},
		{"words", wordsThroughHAProxy},
		{"down and up", downAndUpKeepsData},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(ctx, t, d) }) {
			return
		}
	}
}

// ready waits until HAProxy leads to nine ready replicas and three leaders.
func (d *deployed) ready(ctx context.Context, t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	check(t, cluster.WaitFor(ctx, "the deployment to be whole", func(ctx context.Context) error {
		if body, err := get(ctx, "http://"+d.Ops+"/healthz"); err != nil {
			return fmt.Errorf("%w: %s", err, body)
		}
		status, err := d.kv.ClusterStatus(ctx)
		if err != nil {
			return err
		}
		for _, shard := range status.Shards {
			if shard.Leader == "" {
				return fmt.Errorf("shard %d has no leader", shard.Shard)
			}
			for _, replica := range shard.Replicas {
				if replica.Status == nil || !replica.Status.Ready {
					return fmt.Errorf("%s is not ready: %s", replica.ID, replica.Error)
				}
			}
		}
		if len(status.Shards) != 3 {
			return fmt.Errorf("%d shards", len(status.Shards))
		}
		return nil
	}))
}

// leader is the service, and so the node, that leads a shard; not the one named by but, if any.
func (d *deployed) leader(ctx context.Context, t *testing.T, shard uint32, but ...string) string {
	t.Helper()
	leader := ""
	check(t, cluster.WaitFor(ctx, fmt.Sprintf("shard %d to have a leader", shard), func(ctx context.Context) error {
		status, err := d.kv.ClusterStatus(ctx)
		if err != nil {
			return err
		}
		if leader = status.Shards[shard].Leader; leader == "" || slices.Contains(but, leader) {
			return fmt.Errorf("leader: %q", leader)
		}
		return nil
	}))
	return leader
}

// upFromNothing does what a user does: make images, and compose's "up -d" with a project name and two ports.
func upFromNothing(ctx context.Context, t *testing.T, d *deployed) {
	start := time.Now()
	made, err := d.Images(ctx)
	check(t, err)
	t.Logf("make images: %s\n%s", time.Since(start).Round(100*time.Millisecond), made)
	built := "with the build of the kvorum image"
	if _, err := d.Docker(ctx, "image", "inspect", kvorumImage); err == nil { // of which sources? "up" would take it as it is
		start, built = time.Now(), "the kvorum image was there"
		_, err = d.Do(ctx, "build", "s0n0")
		check(t, err)
		t.Logf("build of the kvorum image: %s", time.Since(start).Round(100*time.Millisecond))
	}
	start = time.Now()
	check(t, d.Up(ctx))
	up := time.Since(start)
	d.ready(ctx, t)
	t.Logf("up -d: %s; from nothing to nine ready replicas behind HAProxy: %s (%s)", up.Round(100*time.Millisecond), time.Since(start).Round(100*time.Millisecond), built)
	states, err := d.States(ctx)
	check(t, err)
	var want []string
	for _, service := range d.Services() {
		want = append(want, service+" running")
	}
	slices.Sort(want)
	if len(want) != 11 || !slices.Equal(states, want) {
		t.Errorf("there are %d containers, %q; want %d, %q", len(states), states, len(want), want)
	}
}

// throughHAProxy stores and reads a key of each shard; the receipt names a container of that shard.
func throughHAProxy(ctx context.Context, t *testing.T, d *deployed) {
	for _, key := range []string{"demo:`", "demo:a", "demo:b"} { // last bytes 96, 97, 98: shards 0, 1, 2
		shard := int(key[len(key)-1]) % 3
		written, err := d.kv.Put(ctx, key, []byte("kept "+key))
		check(t, err)
		read, err := d.kv.Get(ctx, key)
		check(t, err)
		if string(read.Value) != "kept "+key {
			t.Errorf("%q reads %q", key, read.Value)
		}
		if want := fmt.Sprintf("s%dn", shard); !strings.HasPrefix(written.Receipt.Node, want) || !slices.Contains(d.Nodes(), written.Receipt.Node) {
			t.Errorf("%q was written by %q, want a service %s?", key, written.Receipt.Node, want)
		}
	}
}

// idleIsCheap measures nobody's work, by the containers' cgroups. The goal is 10 % of a core. What fails the test lies above,
// as the same work takes more CPU time on a machine whose cores are slower, or shared with others.
func idleIsCheap(ctx context.Context, t *testing.T, d *deployed) {
	before, err := d.CPU(ctx, d.Services()...)
	check(t, err)
	select {
	case <-time.After(idleFor):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	after, err := d.CPU(ctx, d.Services()...)
	check(t, err)
	part := 0.0
	for service, now := range after { // each over its own time: on a busy machine the engine takes seconds to tell of all
		part += float64(now.Used-before[service].Used) / float64(now.Read.Sub(before[service].Read))
	}
	t.Logf("idle: the %d containers use %.1f %% of a core", len(d.Services()), 100*part)
	if part > idleLimit {
		t.Errorf("idle containers use %.1f %% of a core, want at most %.0f", 100*part, 100*idleLimit)
	}
}

// downAndUpKeepsData removes all containers; the volumes hold the data.
func downAndUpKeepsData(ctx context.Context, t *testing.T, d *deployed) {
	start := time.Now()
	_, err := d.Do(ctx, "down")
	check(t, err)
	down := time.Since(start)
	start = time.Now()
	check(t, d.Up(ctx))
	d.ready(ctx, t)
	up := time.Since(start)
	if down > downGoal { // HAProxy would wait 20 s for the test's own idle connections
		t.Errorf("down took %s, want at most %s", down, downGoal)
	}
	d.inStep(ctx, t, 0)
	t.Logf("down: %s; up again and ready: %s", down.Round(100*time.Millisecond), up.Round(100*time.Millisecond))
	read, err := d.kv.Get(ctx, "demo:a")
	check(t, err)
	if string(read.Value) != "kept demo:a" {
		t.Errorf("demo:a reads %q after down and up", read.Value)
	}
	d.readWordsBack(ctx, t, readWords(t))
}
