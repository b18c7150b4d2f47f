package controller

import (
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// TestG2NoStaleReadFromLateAcks: acknowledgements that the followers sent before a new leader was elected reach the old
// leader only after it. They prove nothing about a read that began in between; raft's VerifyLeader takes them for proof.
// n0 is the old leader (its clock runs slow, as after a pause), n4 a follower that still follows it, n1 to n3 elect anew.
func TestG2NoStaleReadFromLateAcks(t *testing.T) {
	s := newLinkedShard(t, 5, func(i int, cfg *Config) {
		if i == 0 || i == 4 {
			patient(cfg)
		}
		cfg.Tuning.ConfirmTimeout = 2 * time.Second
	})
	s.lead(0)
	s.mustPut("x", "1")
	s.allSee("x", "1")
	s.allReady()
	eventually(t, "n4 to know its leader", func() bool { return s.nodes[4].Leader() == "n0" })

	for _, i := range []int{1, 2} {
		s.links[0][i].hold(back)
		eventually(t, "an acknowledgement to be on the way", func() bool { return s.links[0][i].waiting[back].Load() > 0 })
	}
	for _, i := range []int{1, 2, 3} {
		s.links[0][i].hold(forward)
		s.links[i][0].cut()
		s.cutBoth(4, i)
	}
	s.leader(0, 4)
	s.mustPutAt(s.leader(0, 4), "x", "2")

	type answer struct {
		node  int
		value string
		err   error
	}
	answers := make(chan answer, 2)
	for _, i := range []int{0, 4} {
		go func() {
			value, err := s.get(i, "x", wire.Linearizable)
			answers <- answer{i, value, err}
		}()
	}
	rounds := s.nodes[0].leaderReads
	eventually(t, "the reads to be under way", func() bool {
		rounds.mu.Lock()
		defer rounds.mu.Unlock()
		return rounds.mu.running > 0 || len(answers) > 0
	})
	time.Sleep(50 * time.Millisecond) // not needed for a right answer: lets a wrong check begin before the old acks come
	for _, i := range []int{1, 2} {
		s.links[0][i].release(back)
	}
	for range 2 {
		if a := <-answers; a.err == nil && a.value != "2" {
			t.Errorf("n%d read %q after x=2 was acknowledged", a.node, a.value)
		}
	}
	s.heal()
	for _, i := range []int{0, 4} {
		eventually(t, "the cut off nodes to read again", func() bool {
			value, err := s.get(i, "x", wire.Linearizable)
			if err == nil && value != "2" {
				t.Fatalf("n%d read %q after x=2 was acknowledged", i, value)
			}
			return err == nil
		})
	}
}

// TestG2NoReadBeforeTheTermHasStarted: a new leader's commit index may lack what its predecessor acknowledged, until an
// entry of its own term is committed. Here the others answer, but cannot store that entry.
func TestG2NoReadBeforeTheTermHasStarted(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg)
		cfg.Tuning.DiskStallTimeout = time.Minute
		cfg.Tuning.CommitTimeout = time.Minute // followers learn of a commit only with the next entry
	})
	s.electFirst(0)
	s.mustPut("x", "1")
	s.links[0][2].hold(forward) // so that n1 is sent the second put before it is committed
	s.mustPut("x", "2")
	s.links[0][2].release(forward)
	for _, i := range []int{1, 2} {
		eventually(t, "the followers to hold the second put", func() bool { return s.nodes[i].raft().LastIndex() == s.nodes[0].raft().LastIndex() })
	}
	s.logs[0].hold()
	s.logs[2].hold()
	r := s.nodes[1].raft()
	go s.nodes[0].raft().LeadershipTransferToServer("n1", "n1")
	eventually(t, "n1 to be elected", func() bool { return s.nodes[1].Status().Role == "leader" })
	if r.CommitIndex() >= s.nodes[0].raft().CommitIndex() {
		t.Fatal("n1 knows the commit index already: nothing to see")
	}
	for _, i := range []int{0, 2} { // the others agree that n1 leads: only the start of its term is missing
		eventually(t, "the others to be in the new term", func() bool { return s.nodes[i].raft().CurrentTerm() == r.CurrentTerm() })
	}
	if value, err := s.get(1, "x", wire.Linearizable); err == nil {
		t.Errorf("the new leader read %q before it had committed anything in its term", value)
	}
	s.logs[0].release()
	s.logs[2].release()
	eventually(t, "the new leader to read", func() bool {
		value, err := s.get(1, "x", wire.Linearizable)
		if err == nil && value != "2" {
			t.Fatalf("the new leader read %q", value)
		}
		return err == nil
	})
}
