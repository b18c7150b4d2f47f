package controller

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// The speed floor: puts from 1,024 callers through three real replicas on loopback, against a bare hashicorp/raft with the
// same log, the same batching and an empty state machine. Compare the two within one run: make bench-floor.
const (
	floorCallers    = 1024
	floorValueBytes = 128
	floorKeys       = 100_000
	floorWarmUp     = 2 * floorKeys // puts before the clock starts, on both sides: a shard at work, not a heap that first grows
)

func BenchmarkFloorPuts(b *testing.B) {
	b.Run("kvorum", func(b *testing.B) {
		s := newTestShard(b, 3, func(_ int, cfg *Config) { cfg.Tuning = benchTuning() })
		c := s.nodes[s.leader()]
		value := make([]byte, floorValueBytes)
		var keys [floorKeys][]byte
		for i := range keys {
			keys[i] = fmt.Appendf(nil, "key%d", i)
		}
		var n atomic.Uint64
		runCallers(b, func() {
			command := store.Command{Kind: store.CommandPut, Key: keys[n.Add(1)%uint64(len(keys))], Value: value}
			if _, err := c.Propose(context.Background(), command); err != nil {
				b.Error(err)
			}
		})
	})
	b.Run("bare-raft", func(b *testing.B) {
		leader := startBareRaft(b, benchTuning())
		payload := make([]byte, floorValueBytes+16)
		runCallers(b, func() {
			if err := leader.apply(payload); err != nil {
				b.Error(err)
			}
		})
	})
}

func benchTuning() Tuning {
	t := DefaultTuning()
	t.SnapshotThreshold, t.SnapshotBytes = 1<<40, 1<<50
	return t
}

// runCallers warms up and then measures b.N operations.
func runCallers(b *testing.B, operation func()) {
	if b.N > 1 { // not for the single operation that testing begins with
		divide(floorWarmUp, operation)
	}
	b.ResetTimer()
	divide(b.N, operation)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// divide runs n operations, divided among the callers as they come.
func divide(n int, operation func()) {
	var left atomic.Int64
	left.Store(int64(n))
	var callers sync.WaitGroup
	for range floorCallers {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for left.Add(-1) >= 0 {
				operation()
			}
		}()
	}
	callers.Wait()
}

// bareRaft packs operations into entries by the same rule as the proposer: up to BatchOperations or BatchBytes an entry, up
// to BatchesInFlight, of which at most pipelineDepth are not full.
type bareRaft struct {
	raft     *raft.Raft
	tuning   Tuning
	mu       sync.Mutex
	due      *sync.Cond
	queue    []bareOperation
	inFlight int
	closed   bool
}

type bareOperation struct {
	payload []byte
	done    chan error
}

func (l *bareRaft) apply(payload []byte) error {
	op := bareOperation{payload, make(chan error, 1)}
	l.mu.Lock()
	l.queue = append(l.queue, op)
	if l.mayPropose() {
		l.due.Signal()
	}
	l.mu.Unlock()
	return <-op.done
}

func (l *bareRaft) mayPropose() bool {
	return len(l.queue) > 0 && (l.inFlight < pipelineDepth || (l.inFlight < l.tuning.BatchesInFlight && len(l.queue) >= l.tuning.BatchOperations))
}

func (l *bareRaft) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for !l.closed && !l.mayPropose() {
			l.due.Wait()
		}
		if l.closed {
			return
		}
		batch := append([]bareOperation(nil), l.queue[:min(len(l.queue), l.tuning.BatchOperations)]...)
		l.queue = l.queue[:copy(l.queue, l.queue[len(batch):])]
		l.inFlight++
		l.mu.Unlock()
		var entry []byte
		for _, op := range batch {
			entry = append(entry, op.payload...)
		}
		future := l.raft.Apply(entry, 10*time.Second)
		go l.await(future, batch)
		l.mu.Lock()
	}
}

func (l *bareRaft) await(future raft.ApplyFuture, batch []bareOperation) {
	err := future.Error()
	l.mu.Lock()
	l.inFlight--
	l.due.Signal()
	l.mu.Unlock()
	for _, op := range batch {
		op.done <- err
	}
}

func (l *bareRaft) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.due.Signal()
}

type emptyFSM struct{}

func (emptyFSM) Apply(*raft.Log) any                 { return nil }
func (emptyFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, io.ErrUnexpectedEOF }
func (emptyFSM) Restore(content io.ReadCloser) error { return content.Close() }

func startBareRaft(b *testing.B, tuning Tuning) *bareRaft {
	var servers []raft.Server
	var transports []*raft.NetworkTransport
	for i := range 3 {
		t, err := raft.NewTCPTransportWithLogger("127.0.0.1:0", nil, 3, 5*time.Second, hclog.NewNullLogger())
		if err != nil {
			b.Fatal(err)
		}
		transports = append(transports, t)
		servers = append(servers, raft.Server{ID: raft.ServerID(fmt.Sprint(i)), Address: t.LocalAddr()})
	}
	var nodes []*raft.Raft
	for i, t := range transports {
		log, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(b.TempDir(), "raft.db"), BoltOptions: &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType}})
		if err != nil {
			b.Fatal(err)
		}
		cache, err := raft.NewLogCache(512, log)
		if err != nil {
			b.Fatal(err)
		}
		config := raft.DefaultConfig()
		config.LocalID, config.Logger = servers[i].ID, hclog.NewNullLogger()
		config.BatchApplyCh, config.MaxAppendEntries, config.CommitTimeout = true, tuning.MaxAppendEntries, tuning.CommitTimeout
		snapshots := raft.NewInmemSnapshotStore()
		if err := raft.BootstrapCluster(config, cache, log, snapshots, t, raft.Configuration{Servers: servers}); err != nil {
			b.Fatal(err)
		}
		r, err := raft.NewRaft(config, emptyFSM{}, cache, log, snapshots, t)
		if err != nil {
			b.Fatal(err)
		}
		nodes = append(nodes, r)
		b.Cleanup(func() {
			if err := r.Shutdown().Error(); err != nil {
				b.Error(err)
			}
			_ = log.Close()
		})
	}
	var leader *raft.Raft
	eventually(b, "a bare leader", func() bool {
		for _, r := range nodes {
			if r.State() == raft.Leader && r.CommitIndex() > 1 {
				leader = r
				return true
			}
		}
		return false
	})
	l := &bareRaft{raft: leader, tuning: tuning}
	l.due = sync.NewCond(&l.mu)
	go l.run()
	b.Cleanup(l.close)
	return l
}

// BenchmarkRead: linearizable reads from 64 callers at the leader and at a follower, without HTTP.
func BenchmarkRead(b *testing.B) {
	s := newTestShard(b, 3, func(_ int, cfg *Config) { cfg.Tuning = benchTuning() })
	leader := s.leader()
	s.mustPut("key", "value")
	for name, i := range map[string]int{"leader": leader, "follower": (leader + 1) % 3} {
		b.Run(name, func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.get(i, "key", wire.Linearizable); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkReadBesideWrites: reads of one key while nobody writes, and while 64 callers write to the same slot as fast as
// they can. The stale reads take no part in consensus, so what writers cost them is the processor; the linearizable ones
// show that a read waits for a round, not for a writer's fsync.
func BenchmarkReadBesideWrites(b *testing.B) {
	s := newTestShard(b, 3, func(_ int, cfg *Config) { cfg.Tuning = benchTuning() })
	leader := s.leader()
	s.mustPut("key", "value")
	eventually(b, "the leader to be ready", func() bool { return len(s.nodes[leader].NotReady()) == 0 })
	for _, writers := range []int{0, 64} {
		for _, consistency := range []wire.Consistency{wire.Stale, wire.Linearizable} {
			b.Run(fmt.Sprintf("%s/writers-%d", consistency, writers), func(b *testing.B) {
				stop, done := writeBeside(s.nodes[leader], writers)
				b.ResetTimer()
				for range b.N {
					if _, err := s.get(leader, "key", consistency); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				close(stop)
				done.Wait()
			})
		}
	}
}

func writeBeside(c *Controller, writers int) (stop chan struct{}, done *sync.WaitGroup) {
	stop, done = make(chan struct{}), &sync.WaitGroup{}
	for w := range writers {
		done.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = c.Propose(context.Background(), put(fmt.Sprintf("%d-key", w), "beside")) // same last byte, same slot
				}
			}
		})
	}
	return stop, done
}
