package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/dockernet"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/wire"
)

// containers are the project's docker-compose.yml as it is, under a project name and on ports of its own.
type containers struct {
	*cluster.Compose
	kv     *client.Client // through HAProxy
	shards [][]string     // services
	logs   string         // folder
	data   string         // folder, for what is on the volumes in the end
	target *nemesis.Target
	up     bool // or half of it
	closed bool

	network *dockernet.Network

	unasked struct {
		sync.Mutex
		ends map[string]int // by service, before the last start
	}
}

// endedUnasked adds to how often a service has ended by itself.
func (s *containers) endedUnasked(service string, times int) int {
	s.unasked.Lock()
	defer s.unasked.Unlock()
	if s.unasked.ends == nil {
		s.unasked.ends = map[string]int{}
	}
	s.unasked.ends[service] += times
	return s.unasked.ends[service]
}

const (
	imagesWithin = 10 * time.Minute // to make them from nothing and to build the program
	probeWithin  = 2 * time.Second  // a probe across the network: much longer than any takes, also on a busy machine
	askWithin    = 3 * time.Second  // one question about the state of the cluster, which waits for replicas that are down
	endWithin    = 2 * time.Minute  // to remove all
)

func newContainers(ctx context.Context, c Config) (*containers, error) {
	out, err := filepath.Abs(c.Out) // docker runs elsewhere
	if err != nil {
		return nil, err
	}
	s := &containers{logs: filepath.Join(out, logFolder), data: filepath.Join(out, dataFolder)}
	if err := errors.Join(os.MkdirAll(s.logs, 0o755), os.MkdirAll(s.data, 0o755)); err != nil {
		return nil, err
	}
	if s.Compose, err = cluster.NewCompose(ctx, c.Checkout, fmt.Sprintf("kvorum-jepsen-%d", os.Getpid())); err != nil {
		return nil, err
	}
	if s.kv, err = client.New(client.Config{Endpoints: []string{"http://" + s.API}, Timeout: askWithin, AttemptTimeout: askWithin}); err != nil {
		return nil, err
	}
	all := s.Nodes()
	s.shards = slices.Collect(slices.Chunk(all, len(all)/c.Shards))
	s.network = &dockernet.Network{Name: s.Project + "_cluster", Engine: s.Compose}
	s.target = s.asTarget()
	return s, nil
}

func (s *containers) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, imagesWithin)
	defer cancel()
	if _, err := s.Images(ctx); err != nil {
		return err
	}
	_, err := s.Do(ctx, "build", s.Nodes()[0])
	return err
}

func (s *containers) start(ctx context.Context) error {
	s.up = true
	if err := s.Up(ctx); err != nil {
		return err
	}
	return s.whole(ctx)
}

func (s *containers) victims() *nemesis.Target { return s.target }

// whole waits until HAProxy leads to a cluster of which every replica is ready and every shard has a leader.
func (s *containers) whole(ctx context.Context) error {
	return cluster.WaitFor(ctx, "the deployment to be whole", func(ctx context.Context) error {
		status, err := s.kv.ClusterStatus(ctx)
		if err != nil {
			return err
		}
		for _, shard := range status.Shards {
			if shard.Leader == "" {
				return fmt.Errorf("shard %d has no leader", shard.Shard)
			}
			for _, r := range shard.Replicas {
				if err := ready(r); err != nil {
					return err
				}
			}
		}
		if len(status.Shards) != len(s.shards) {
			return fmt.Errorf("%d shards", len(status.Shards))
		}
		return nil
	})
}

func ready(r wire.ReplicaStatus) error {
	if r.Status == nil {
		return fmt.Errorf("%s can't be asked: %s", r.ID, r.Error)
	}
	if !r.Status.Ready {
		return fmt.Errorf("%s is not ready: %v", r.ID, r.Status.NotReady)
	}
	return nil
}

// mend starts, unpauses and connects whatever is not as it was, and takes back rules and quotas.
func (s *containers) mend(ctx context.Context) error {
	errs := []error{s.network.Heal(ctx)}
	for _, service := range s.Services() {
		part := container{s, service}
		state, err := part.state(ctx)
		errs = append(errs, err)
		switch {
		case err != nil:
		case state.Paused:
			errs = append(errs, part.Resume(ctx))
		case !state.Running:
			errs = append(errs, part.Start(ctx))
		}
		if err == nil && state.throttled {
			errs = append(errs, part.unthrottle(ctx))
		}
		if err == nil && !state.connected {
			errs = append(errs, s.connect(ctx, service))
		}
	}
	return errors.Join(append(errs, s.whole(ctx))...)
}

func (s *containers) endpoints() (urls []string, only bool) { return []string{"http://" + s.API}, true }

func (s *containers) ways(uint32) map[string][]string {
	return map[string][]string{ThroughHAProxy: {"http://" + s.API}}
}

func (s *containers) everyEndpoint() []string { return []string{"http://" + s.API} }

func (s *containers) ask(ctx context.Context) (all []shown, err error) {
	status, err := s.kv.ClusterStatus(ctx)
	for _, shard := range status.Shards {
		for _, r := range shard.Replicas {
			if notReady := ready(r); notReady != nil {
				err = errors.Join(err, notReady)
				continue
			}
			all = append(all, shown{name: r.ID, shard: shard.Shard, applied: r.Status.AppliedIndex, digest: r.Status.Digest})
		}
	}
	return all, err
}

func (s *containers) order(states []shown) order {
	folders := map[string]string{}
	for _, node := range s.Nodes() {
		folders[node] = s.folder(node)
	}
	return readOrder(uint32(len(s.shards)), states, folders)
}

// folder is where the data of a node's volume is copied to.
func (s *containers) folder(node string) string { return filepath.Join(s.data, node) }

// close ends the nodes, saves logs and data, and removes containers, network and volumes. A container that its engine had to start
// again had ended unasked.
func (s *containers) close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.kv.Close()
	if !s.up {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	var errs []error
	for _, service := range s.Services() {
		part := container{s, service}
		state, err := part.state(ctx)
		if err == nil {
			if ends := s.endedUnasked(service, state.restarts); ends > 0 {
				err = fmt.Errorf("%s ended unasked, %d times", service, ends)
			}
		}
		errs = append(errs, err)
	}
	errs = append(errs, s.stopNodes(ctx))
	for _, service := range s.Services() {
		errs = append(errs, container{s, service}.saveLog(ctx))
	}
	return errors.Join(append(errs, s.Remove(ctx))...)
}

// stopNodes ends all nodes in good order, at the same time, and takes what is on their volumes then.
func (s *containers) stopNodes(ctx context.Context) error {
	nodes := s.Nodes()
	errs := make([]error, len(nodes))
	var done sync.WaitGroup
	for i, node := range nodes {
		done.Go(func() {
			part := container{s, node}
			_, ending := part.Terminate(ctx)
			errs[i] = errors.Join(ending, part.saveData(ctx))
		})
	}
	done.Wait()
	return errors.Join(errs...)
}

func (s *containers) alarms() ([]string, error) {
	return cluster.AlarmsIn(s.logs, s.Nodes())
}

func (s *containers) logTails(lines int) string {
	var b strings.Builder
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	for _, service := range s.Services() {
		out, err := s.Do(ctx, "logs", "--no-color", "--tail", fmt.Sprint(lines), service)
		fmt.Fprintf(&b, "--- %s\n%s", service, out)
		if err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	return b.String()
}
