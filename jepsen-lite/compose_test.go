//go:build deploy

package jepsenlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

const (
	projectFolder = ".."
	maxImage      = 25_000_000 // bytes
	idleFor       = 20 * time.Second
	downGoal      = 15 * time.Second
)

// deployed is the deployment of docker-compose.yml, up, with a client that goes through HAProxy.
type deployed struct {
	*cluster.Compose
	kv *client.Client
}

// TestCompose runs docker-compose.yml as it is: from an engine that may hold no image to words that survive.
func TestCompose(t *testing.T) {
	ctx := within(t, 12*time.Minute)
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
		{"idle", idleIsCheap},
		{"observe", dashboardIsTrue},
		{"kill leaders", writesAfterKills},
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

func upFromNothing(ctx context.Context, t *testing.T, d *deployed) {
	start := time.Now()
	made, err := d.Images(ctx)
	check(t, err)
	t.Logf("make images: %s\n%s", time.Since(start).Round(100*time.Millisecond), made)
	start = time.Now()
	_, err = d.Do(ctx, "build", "s0n0")
	check(t, err)
	t.Logf("build of the kvorum image: %s", time.Since(start).Round(100*time.Millisecond))
	start = time.Now()
	check(t, d.Up(ctx))
	up := time.Since(start)
	d.ready(ctx, t)
	t.Logf("up -d: %s; from nothing to nine ready replicas behind HAProxy: %s", up.Round(100*time.Millisecond), time.Since(start).Round(100*time.Millisecond))
}

// container is what matters here of docker inspect.
type container struct {
	Image  string
	Config struct {
		User   string
		Labels map[string]string
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

func containersAreHardened(ctx context.Context, t *testing.T, d *deployed) {
	published := map[string]string{}
	for _, service := range d.Services() {
		id, err := d.Container(ctx, service)
		check(t, err)
		out, err := d.Docker(ctx, "inspect", id)
		check(t, err)
		var found []container
		check(t, json.Unmarshal([]byte(out), &found))
		c := found[0]
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

// idleIsCheap measures nobody's work. Other tests use the machine at the same time, which makes each wake-up dearer: so what
// fails the test is far above the goal.
func idleIsCheap(ctx context.Context, t *testing.T, d *deployed) {
	before, err := d.CPU(ctx, d.Services()...)
	check(t, err)
	start := time.Now()
	select {
	case <-time.After(idleFor):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	after, err := d.CPU(ctx, d.Services()...)
	check(t, err)
	part := float64(after-before) / float64(time.Since(start))
	t.Logf("idle: the %d containers use %.1f %% of a core", len(d.Services()), 100*part)
	if part > 0.2 {
		t.Errorf("idle containers use %.0f %% of a core", 100*part)
	}
}

// wordsThroughHAProxy imports the word list while each shard's leader is killed and started again.
func wordsThroughHAProxy(ctx context.Context, t *testing.T, d *deployed) {
	words := readWords(t)
	start := time.Now()
	im := startImport(ctx, d.kv, words)
	quarter := len(words) / 4
	for shard := range uint32(3) {
		end := quarter * int(shard+1)
		im.allow(end)
		before, err := im.waitAcked(end - quarter/2)
		check(t, err)
		leader := d.leader(ctx, t, shard)
		id, err := d.Container(ctx, leader)
		check(t, err)
		im.allow(end + quarter/2) // there is work while the shard has no leader
		_, err = d.Docker(ctx, "kill", "-s", "KILL", id)
		check(t, err)
		next := d.leader(ctx, t, shard, leader)
		_, err = d.Docker(ctx, "start", id)
		check(t, err)
		d.ready(ctx, t)
		after, err := im.waitAcked(0)
		check(t, err)
		if before == 0 || after == len(words) {
			t.Fatalf("the kill of %s lies outside of the import: %d and %d of %d acknowledged", leader, before, after, len(words))
		}
		t.Logf("shard %d: %s killed at acknowledgement %d, %s leads, all ready again at %d", shard, leader, before, next, after)
	}
	im.allow(len(words))
	acked, err := im.waitAcked(len(words))
	check(t, err)
	im.done.Wait()
	t.Logf("%d words imported in %s", acked, time.Since(start).Round(time.Millisecond))
	d.readWordsBack(ctx, t, words)
}

// readWordsBack reads every word by its key and all of them as a listing, through HAProxy.
func (d *deployed) readWordsBack(ctx context.Context, t *testing.T, words []word) {
	t.Helper()
	start := time.Now()
	work := make(chan word, len(words))
	for _, w := range words {
		work <- w
	}
	close(work)
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for w := range work {
				item, err := d.kv.Get(ctx, w.key)
				if err != nil || string(item.Value) != w.value {
					t.Errorf("%q reads %q, %v; want %q", w.key, item.Value, err, w.value)
					return
				}
			}
		})
	}
	all.Wait()
	want := make(map[string]string, len(words))
	for _, w := range words {
		want[w.key] = w.value
	}
	for item, err := range d.kv.List(ctx, client.ListOptions{PageSize: 20_000}) {
		check(t, err)
		if want[item.Key] == string(item.Value) {
			delete(want, item.Key)
		}
	}
	if len(want) != 0 {
		t.Errorf("the listing lacks %d words", len(want))
	}
	t.Logf("%d words read back, by key and as a listing, in %s", len(words), time.Since(start).Round(time.Millisecond))
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
	if down > downGoal { // HAProxy would wait 20 s for the test's own idle connections
		t.Errorf("down took %s, want at most %s", down, downGoal)
	}
	t.Logf("down: %s; up again and ready: %s", down.Round(100*time.Millisecond), time.Since(start).Round(100*time.Millisecond))
	read, err := d.kv.Get(ctx, "demo:a")
	check(t, err)
	if string(read.Value) != "kept demo:a" {
		t.Errorf("demo:a reads %q after down and up", read.Value)
	}
	d.readWordsBack(ctx, t, readWords(t))
}
