package controller

import (
	"fmt"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// TestG8HalfDoneTruncationIsRepaired: a follower drops entries that contradict its leader's, and then fails to store the
// leader's. Raft still believes in the dropped ones (a TODO in its appendEntries), looks for them with every later message,
// and refuses all of them for ever.
func TestG8HalfDoneTruncationIsRepaired(t *testing.T) {
	s := newLinkedShard(t, 3, func(i int, cfg *Config) {
		cfg.Tuning.BatchOperations, cfg.Tuning.BatchesInFlight = 1, 32
		if i == 0 {
			patient(cfg)
		}
	})
	s.lead(0)
	s.allReady()
	s.mustPut("before", "1")
	s.allSee("before", "1")
	s.cutBoth(0, 1, 2)
	c := s.nodes[0]
	last := c.raft().LastIndex()
	for n := range 20 { // stored by n0 alone
		c.Start(put("never", fmt.Sprint("acknowledged", n)))
	}
	eventually(t, "n0 to store what nobody else has", func() bool { return c.raft().LastIndex() >= last+20 })
	s.mustPutAt(s.leader(0), "meanwhile", "2")
	s.fillDisk(0)
	s.heal()
	eventually(t, "n0 to drop what contradicts its leader", func() bool {
		stored, err := c.stores.log.LastIndex()
		return err == nil && stored < c.raft().LastIndex()
	})
	eventually(t, "the disk to count as full", func() bool { return c.disk.state() == diskFull })
	s.freeDisk(0)
	s.allReady()
	s.allSee("meanwhile", "2")
	s.mustPut("after", "3")
	s.allSee("after", "3")
	if got, err := s.get(0, "never", wire.Linearizable); err != nil || got != "" {
		t.Fatalf("n0 reads %q, %v", got, err)
	}
	s.sameLogs(s.leader(), 0, 1)
}
