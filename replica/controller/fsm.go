package controller

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/store"
)

// applyResponse is what raft's future carries back for one entry.
type applyResponse struct {
	results     []store.Result
	index, term uint64
	err         error
}

// fsm joins raft and the state machine. It implements raft.BatchingFSM, so that configuration entries move the applied
// index too: without that a read could wait for an index that the machine never hears of. Its methods are called by one
// goroutine of raft.
type fsm struct {
	c       *Controller
	machine *store.Machine
	changed broadcast // fires after each published view
}

var _ raft.BatchingFSM = (*fsm)(nil)

// ApplyBatch implements raft.BatchingFSM.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	for i, l := range logs {
		responses[i] = f.apply(l)
	}
	f.machine.Publish() // one view for all that was committed together; nobody has been answered yet
	f.c.checkIdentity(f.machine.View())
	f.changed.fire()
	return responses
}

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

func (f *fsm) apply(l *raft.Log) applyResponse {
	response := applyResponse{index: l.Index, term: l.Term}
	if response.err = f.c.failed(); response.err != nil {
		return response // after an entry that could not be applied nothing later may be, nor may the applied index pass it
	}
	if l.Type != raft.LogCommand {
		f.machine.Advance(l.Index, l.Term)
		return response
	}
	response.results, response.err = f.machine.Step(l.Index, l.Term, l.Data)
	if response.err != nil {
		f.c.fail(fmt.Errorf("log entry %d cannot be applied (%w): a newer kvorum wrote it, or memory is damaged; start a version that knows it", l.Index, response.err))
	}
	return response
}

// Snapshot implements raft.FSM: O(1), the view is immutable.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.c.failed(); err != nil {
		return nil, err
	}
	return fsmSnapshot{f.c, f.machine.View()}, nil
}

// Restore implements raft.FSM. The machine builds aside and swaps (guard G6), and ignores a snapshot older than what it
// has applied (guard G5).
func (f *fsm) Restore(content io.ReadCloser) error {
	defer content.Close()
	before := f.machine.View().Index()
	if err := f.machine.Restore(content); err != nil {
		return err
	}
	f.c.metrics.restores.Inc()
	f.c.restores.Add(1)
	f.c.log.Info("snapshot restored", "applied_before", before, "applied", f.machine.View().Index())
	f.c.checkIdentity(f.machine.View())
	f.changed.fire()
	return nil
}

type fsmSnapshot struct {
	c    *Controller
	view *store.View
}

// Persist implements raft.FSMSnapshot.
func (s fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.view.WriteSnapshot(sink); err != nil {
		_ = sink.Cancel() // the first error is the one to tell
		return err
	}
	if err := sink.Close(); err != nil {
		return err
	}
	s.c.snapshotAt.Store(time.Now().UnixNano())
	return nil
}

// Release implements raft.FSMSnapshot.
func (fsmSnapshot) Release() {}

// broadcast wakes all who wait for a change. The channel is only made when somebody waits.
type broadcast struct {
	mu      sync.Mutex
	waiting chan struct{}
}

// wait returns a channel that is closed at the next fire. Look at the state after calling it, then wait.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	return b.waiting
}

func (b *broadcast) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
}
