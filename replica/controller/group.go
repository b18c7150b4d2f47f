package controller

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/kvorum/kvorum/peer"
)

const (
	logFile        = "raft.db"
	snapshotFolder = "snapshots"

	keptConnections = 3 // to each peer, by raft's transport
)

// stores are what outlives one raft instance: the log and vote in one bolt file, and the snapshots.
type stores struct {
	bolt      *raftboltdb.BoltStore
	log       *logStore
	votes     *voteStore
	snapshots *snapshotStore
}

// openStores checks the files, then opens them. Nothing is written to a folder that fails a check.
func (c *Controller) openStores() (*stores, error) {
	path := filepath.Join(c.cfg.DataDir, logFile)
	if err := c.checkLogFile(path); err != nil {
		return nil, err
	}
	if err := c.checkLog(path); err != nil {
		return nil, err
	}
	snapshots, err := c.openSnapshots() // first, as it may make room
	if err != nil {
		return nil, err
	}
	c.disk.probe()
	b, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bolt.Options{
			Timeout:        time.Second,          // another process holds the file's lock
			NoFreelistSync: true,                 // else the whole free list is rewritten with every commit
			FreelistType:   bolt.FreelistMapType, // the other type is slow with many free pages
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	votes, err := openVotes(b, c.folder.identity().Version < identityHardState, c.disk.hold)
	if err == nil {
		err = c.folder.keep() // before raft runs: an earlier program would believe what it finds of its own
	}
	if err == nil {
		err = b.Sync() // a write of an earlier life that failed may be there all the same; raft acknowledges it from now on
	}
	var log *logStore
	if err == nil {
		log, err = newLogStore(b, c.disk, c.cfg.Tuning.LogCacheBytes)
	}
	if err == nil {
		err = syncFolder(c.cfg.DataDir) // bbolt never syncs the folder its file is made in
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	log.observe, log.snapshotted = c.observeLogWrite, c.snapshotted
	return &stores{bolt: b, log: log, votes: votes, snapshots: snapshots}, nil
}

// unmapped is an error if the log file is not mapped any more. bbolt maps it anew when it grows, and once that has failed (for want of
// address space, or because the disk could not be read at that moment) answers nothing more, however well the disk is: the file
// must be opened again, by another process.
func (s *stores) unmapped() error {
	if s == nil {
		return nil
	}
	if _, err := s.bolt.FirstIndex(); errors.Is(err, bolterrors.ErrInvalidMapping) {
		return fmt.Errorf("%s could not be mapped into memory when it grew, and can't be used again by this process: start the node again", logFile)
	}
	return nil
}

// group is one instance of raft on the stores. The controller can replace it (guard G8) without restarting the process.
type group struct {
	c         *Controller
	instance  atomic.Pointer[raft.Raft]
	transport *raftTransport
	stream    *streamLayer
	stop      chan struct{}
	relay     sync.WaitGroup
	closing   sync.Once
	ended     chan struct{} // closed once closed is set
	closed    error
}

func (g *group) raft() *raft.Raft { return g.instance.Load() }

// stillReplicates says whether a leader of term still wants to send entries to id.
func (g *group) stillReplicates(term uint64, id raft.ServerID) bool {
	r := g.raft()
	if r == nil || r.State() != raft.Leader || r.CurrentTerm() != term {
		return false
	}
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if s.ID == id {
			return true
		}
	}
	return false
}

// startGroup starts raft on the stores, with the initial members if the log is empty.
func (c *Controller) startGroup(s *stores) (*group, error) {
	g := &group{c: c, stop: make(chan struct{}), ended: make(chan struct{}), stream: newStreamLayer(c)}
	config := c.raftConfig()
	inner := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: g.stream, MaxPool: keptConnections, MaxRPCsInFlight: c.cfg.Tuning.MaxRPCsInFlight, Timeout: c.cfg.Tuning.RPCTimeout, Logger: config.Logger.Named("transport"),
	})
	g.transport = newRaftTransport(g, inner)
	if err := c.bootstrap(config, s, g.transport); err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	g.relay.Add(1)
	go func() {
		defer g.relay.Done()
		g.transport.relay(g.stop)
	}()
	r, err := newRaft(config, c.fsm, s, g.transport)
	if err != nil {
		close(g.stop)
		g.relay.Wait()
		return nil, errors.Join(fmt.Errorf("raft cannot start on %s: %w", c.cfg.DataDir, err), inner.Close())
	}
	c.observeLeader(r)
	g.instance.Store(r)
	return g, nil
}

// newRaft starts raft. What raft reads while it starts was checked before, but a disk may give something else the second time: a
// snapshot that can't be restored is passed over for an older one, which the log does not reach down to. Raft panics then; here
// that is an error like any other. Nothing runs yet.
func newRaft(config *raft.Config, fsm raft.FSM, s *stores, transport raft.Transport) (r *raft.Raft, err error) {
	defer func() {
		p := recover()
		if _, ours := p.(runtime.Error); ours {
			panic(p)
		}
		if p != nil {
			r, err = nil, fmt.Errorf("log and snapshots do not fit together (%v): the disk gave something else than when it was checked; start the node again, and if it says this again, %s", p, howToReplace)
		}
	}()
	return raft.NewRaft(config, fsm, s.log, s.votes, s.snapshots, transport)
}

// bootstrap writes the initial configuration into an empty log. All members do so with the same content. Raft writes the term first,
// and takes a store with a term for one that has all: where a crash or a full disk came in between, the term is forgotten again.
func (c *Controller) bootstrap(config *raft.Config, s *stores, transport raft.Transport) error {
	last, err := s.log.LastIndex()
	if err != nil {
		return fmt.Errorf("data folder %s: %w", c.cfg.DataDir, err)
	}
	snapshots, err := s.snapshots.List()
	if err != nil {
		return fmt.Errorf("data folder %s: %w", c.cfg.DataDir, err)
	}
	if last == 0 && len(snapshots) == 0 {
		s.votes.forgetBootstrap()
	}
	has, err := raft.HasExistingState(s.log, s.votes, s.snapshots)
	if err != nil {
		return fmt.Errorf("data folder %s: %w", c.cfg.DataDir, err)
	}
	if has {
		return nil
	}
	var servers []raft.Server
	for _, m := range c.cfg.Members {
		servers = append(servers, raft.Server{ID: raft.ServerID(m.ID), Address: raft.ServerAddress(m.ID)})
	}
	return raft.BootstrapCluster(config, s.log, s.votes, s.snapshots, transport, raft.Configuration{Servers: servers})
}

func (c *Controller) raftConfig() *raft.Config {
	t := c.cfg.Tuning
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(c.cfg.Node)
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaderLeaseTimeout = t.HeartbeatTimeout+slack, t.ElectionTimeout+slack, t.LeaderLeaseTimeout
	config.CommitTimeout = t.CommitTimeout
	config.MaxAppendEntries = t.MaxAppendEntries
	config.BatchApplyCh = true
	config.SnapshotInterval, config.SnapshotThreshold, config.TrailingLogs = t.SnapshotInterval, t.SnapshotThreshold, t.TrailingLogs
	config.ShutdownOnRemove = false // with true, our own Shutdown would not wait for raft's goroutines
	config.Logger = newRaftLogger(c.log)
	return config
}

// close ends the instance and waits for its goroutines, at most until ctx ends.
func (g *group) close(ctx context.Context) error {
	g.closing.Do(func() {
		go func() {
			stopped := g.raft().Shutdown()
			_ = g.transport.Close() // raft waits for its requests, and for a snapshot that it is sent: now they end
			g.closed = stopped.Error()
			close(g.stop)
			g.relay.Wait()
			close(g.ended)
		}()
	})
	select {
	case <-g.ended:
		return g.closed
	case <-ctx.Done():
		return fmt.Errorf("raft did not stop in time: %w", ctx.Err())
	}
}

// acceptRaft hands incoming raft connections to the present instance. Owner: Controller; ends with the listener.
func (c *Controller) acceptRaft() {
	listener := c.server.Listener(peer.Raft)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		g := c.group.Load()
		if g == nil {
			conn.Close() // not formed yet: the other side tries again
			continue
		}
		select {
		case g.stream.accept <- conn:
		case <-g.stream.done.Done():
			conn.Close()
		case <-c.closed:
			conn.Close()
		}
	}
}
