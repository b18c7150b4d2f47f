package controller

import (
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// TestG4ReadWaitsForTheMachine: raft's applied index runs ahead of the state machine. A read that went by it would see old
// data. Here the machine of a follower stands still between two entries.
func TestG4ReadWaitsForTheMachine(t *testing.T) {
	s := newLinkedShard(t, 3, nil)
	s.lead(0)
	s.allReady()
	s.mustPut("x", "0")
	s.allSee("x", "0")
	follower := s.nodes[1]

	follower.fsm.changed.mu.Lock() // the machine's goroutine stops after the entry it is at
	s.mustPut("x", "1")
	s.allSee("x", "1")
	applied := s.mustPut("x", "2")
	r := follower.raft()
	eventually(t, "raft's applied index to run ahead", func() bool { return r.AppliedIndex() >= applied.Index })
	if at := follower.View().Index(); at >= applied.Index {
		t.Fatalf("the machine is at %d already", at)
	}
	type answer struct {
		value string
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := s.get(1, "x", wire.Linearizable)
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		follower.fsm.changed.mu.Unlock()
		t.Fatalf("read %q, %v while the machine had not applied x=2", a.value, a.err)
	case <-time.After(400 * time.Millisecond): // a round takes a millisecond
	}
	follower.fsm.changed.mu.Unlock()
	if a := <-answers; a.err != nil || a.value != "2" {
		t.Fatalf("read %q, %v", a.value, a.err)
	}
}

// TestG4ConfigurationEntriesCount: the machine's index moves with entries that hold no commands too, else a read could wait
// for an index that the machine never hears of.
func TestG4ConfigurationEntriesCount(t *testing.T) {
	s := newLinkedShard(t, 3, nil)
	s.lead(0)
	s.allReady()
	r := s.nodes[0].raft()
	must(t, r.AddVoter("n1", "n1", 0, time.Second).Error()) // changes nothing, but is a configuration entry
	for i := range s.nodes {
		if _, err := s.get(i, "x", wire.Linearizable); err != nil {
			t.Fatalf("n%d: %v", i, err)
		}
		if at := s.nodes[i].View().Index(); at < r.CommitIndex() {
			t.Fatalf("n%d read at %d of %d", i, at, r.CommitIndex())
		}
	}
}
