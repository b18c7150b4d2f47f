package controller

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// gate stands before the writes of one store, in place of a disk that hangs or fails.
type gate struct {
	waiting atomic.Int32 // writes that hang at the moment
	refused atomic.Int32 // writes that failed
	mu      struct {
		sync.Mutex
		opened chan struct{} // nil: open; else closed when it opens
		err    error
	}
}

// hold makes writes hang until release.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.opened == nil {
		g.mu.opened = make(chan struct{})
	}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.opened != nil {
		close(g.mu.opened)
		g.mu.opened = nil
	}
}

// fail makes writes end with err; nil ends that.
func (g *gate) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.err = err
}

func (g *gate) pass() error {
	for {
		g.mu.Lock()
		opened, err := g.mu.opened, g.mu.err
		g.mu.Unlock()
		if opened == nil {
			if err != nil {
				g.refused.Add(1)
			}
			return err
		}
		g.waiting.Add(1)
		<-opened
		g.waiting.Add(-1)
	}
}

// gatedLog is a log on a disk that can hang or fail.
type gatedLog struct {
	raft.LogStore
	gate *gate
}

func (s gatedLog) StoreLogs(logs []*raft.Log) error {
	if err := s.gate.pass(); err != nil {
		return err
	}
	return s.LogStore.StoreLogs(logs)
}

// DeleteRange hangs like a write, but does not fail: a full disk may still do with less.
func (s gatedLog) DeleteRange(low, high uint64) error {
	_ = s.gate.pass()
	return s.LogStore.DeleteRange(low, high)
}

// gatedStable is a vote and term store on such a disk.
type gatedStable struct {
	raft.StableStore
	gate *gate
}

func (s gatedStable) Set(key, value []byte) error {
	if err := s.gate.pass(); err != nil {
		return err
	}
	return s.StableStore.Set(key, value)
}

func (s gatedStable) SetUint64(key []byte, value uint64) error {
	if err := s.gate.pass(); err != nil {
		return err
	}
	return s.StableStore.SetUint64(key, value)
}
