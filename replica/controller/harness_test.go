package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// testShard is a real shard: controllers with real disks, on loopback sockets.
type testShard struct {
	t       testing.TB
	members []wire.Member
	folders []string
	nodes   []*Controller
	change  func(i int, cfg *Config)
}

func fastTuning() Tuning {
	t := DefaultTuning()
	t.HeartbeatTimeout, t.ElectionTimeout, t.LeaderLeaseTimeout = 250*time.Millisecond, 250*time.Millisecond, 250*time.Millisecond
	t.CommitTimeout = 5 * time.Millisecond
	t.DiskStallTimeout, t.DiskProbeInterval = 500*time.Millisecond, 50*time.Millisecond
	t.DiskReserveBytes = 64 << 10
	t.ConfirmTimeout = 500 * time.Millisecond
	return t
}

func newTestShard(t testing.TB, n int, change func(i int, cfg *Config)) *testShard {
	s := &testShard{t: t, nodes: make([]*Controller, n), change: change}
	var listeners []net.Listener
	for i := range n {
		l := s.listen("127.0.0.1:0")
		listeners = append(listeners, l)
		s.members = append(s.members, wire.Member{ID: fmt.Sprintf("n%d", i), PeerAddress: l.Addr().String()})
		s.folders = append(s.folders, filepath.Join(t.TempDir(), fmt.Sprintf("n%d", i)))
	}
	for i := range n {
		s.openOn(i, listeners[i])
	}
	t.Cleanup(func() {
		for i := range s.nodes {
			s.stop(i)
		}
	})
	return s
}

func (s *testShard) listen(address string) net.Listener {
	s.t.Helper()
	var l net.Listener
	eventually(s.t, "the port "+address, func() bool {
		var err error
		l, err = network.Listen(context.Background(), address)
		return err == nil
	})
	return l
}

func (s *testShard) config(i int) Config {
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("KVORUM_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	cfg := Config{Cluster: "test", Shard: 0, Node: s.members[i].ID, ShardCount: 1, SlotFunction: store.LastByte, IdempotencyBytes: 1 << 20,
		Members: s.members, DataDir: s.folders[i], Tuning: fastTuning(), Logger: log}
	if s.change != nil {
		s.change(i, &cfg)
	}
	return cfg
}

func (s *testShard) openOn(i int, l net.Listener) {
	s.t.Helper()
	c, err := Open(s.config(i), l)
	if err != nil {
		s.t.Fatalf("open n%d: %v", i, err)
	}
	s.nodes[i] = c
}

// start opens a stopped node on its old address and folder.
func (s *testShard) start(i int) { s.openOn(i, s.listen(s.members[i].PeerAddress)) }

func (s *testShard) stop(i int) {
	if s.nodes[i] == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.nodes[i].Close(ctx); err != nil {
		s.t.Logf("close n%d: %v", i, err)
	}
	s.nodes[i] = nil
}

// leader waits for a node that leads and has started its term.
func (s *testShard) leader(but ...int) int {
	s.t.Helper()
	found := -1
	eventually(s.t, "a leader", func() bool {
		for i, c := range s.nodes {
			if c != nil && c.Leading() && !contains(but, i) {
				found = i
				return true
			}
		}
		return false
	})
	return found
}

func contains(list []int, x int) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

func put(key, value string) store.Command {
	return store.Command{Kind: store.CommandPut, Key: []byte(key), Value: []byte(value)}
}

// mustPut writes through whoever leads. It tries again whatever the outcome: the same put twice is one more revision.
func (s *testShard) mustPut(key, value string) Applied {
	s.t.Helper()
	var out Applied
	eventually(s.t, "a put of "+key, func() bool {
		for _, c := range s.nodes {
			if c == nil || !c.Leading() {
				continue
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			a, err := c.Propose(ctx, put(key, value))
			cancel()
			if err == nil {
				out = a
				return true
			}
		}
		return false
	})
	return out
}

func (s *testShard) get(i int, key string, consistency wire.Consistency) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	v, _, err := s.nodes[i].Read(ctx, ReadOptions{Consistency: consistency})
	if err != nil {
		return "", err
	}
	row, ok := v.Get([]byte(key))
	if !ok {
		return "", nil
	}
	return string(row.Value), nil
}

// eventually waits for a condition, at most 20 s.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (s *testShard) allReady() {
	s.t.Helper()
	eventually(s.t, "all to be ready", func() bool {
		for _, c := range s.nodes {
			if c != nil && len(c.NotReady()) > 0 {
				return false
			}
		}
		return true
	})
}
