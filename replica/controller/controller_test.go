package controller

import (
	"fmt"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

func TestShardWritesReadsAndSurvives(t *testing.T) {
	s := newTestShard(t, 3, nil)
	leader := s.leader()
	for k := range 50 {
		s.mustPut(fmt.Sprint("key", k), fmt.Sprint("value", k))
	}
	for i := range s.nodes {
		for k := range 50 {
			got, err := s.get(i, fmt.Sprint("key", k), wire.Linearizable)
			if err != nil || got != fmt.Sprint("value", k) {
				t.Fatalf("node %d key%d: %q, %v", i, k, got, err)
			}
		}
	}
	s.stop(leader)
	next := s.leader()
	if next == leader {
		t.Fatal("the stopped node leads")
	}
	s.mustPut("after", "failover")
	s.start(leader)
	got, err := s.get(leader, "after", wire.Linearizable)
	for err != nil {
		got, err = s.get(leader, "after", wire.Linearizable)
	}
	if got != "failover" {
		t.Fatalf("restarted node reads %q", got)
	}
	for i := range s.nodes { // everything at once
		s.stop(i)
	}
	for i := range s.nodes {
		s.start(i)
	}
	s.leader()
	for i := range s.nodes {
		eventually(t, "node to be ready", func() bool { return len(s.nodes[i].NotReady()) == 0 })
		if got, err := s.get(i, "key7", wire.Stale); err != nil || got != "value7" {
			t.Fatalf("node %d after restart: %q, %v", i, got, err)
		}
	}
}
