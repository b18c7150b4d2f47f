package controller

import (
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// TestRoundsAskOthersForSlowVoters: a round asks one of two followers first. When that one is silent the other must be
// asked within the same round, and the next rounds turn to the other at once.
func TestRoundsAskOthersForSlowVoters(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
	s.electFirst(0)
	s.mustPut("x", "1")
	for _, silent := range []int{1, 2} {
		s.links[0][silent].hold(back)
		other := s.nodes[0].peers[s.members[3-silent].ID]
		eventually(t, other.node+" to be asked first", func() bool {
			if got, err := s.get(0, "x", wire.Linearizable); err != nil || got != "1" {
				t.Fatalf("with n%d silent: %q, %v", silent, got, err)
			}
			return s.nodes[0].peers[s.members[silent].ID].slow.Load() && !other.slow.Load()
		})
		s.links[0][silent].release(back)
	}
	s.links[0][1].hold(back)
	s.links[0][2].hold(back)
	if got, err := s.get(0, "x", wire.Linearizable); err == nil {
		t.Errorf("read %q, and no follower has confirmed it", got)
	}
}

func TestPromptVotersAreAskedFirst(t *testing.T) {
	for _, c := range []struct {
		slow   []bool
		needed int
		ask    int
		first  int // index of the voter that must be asked first; -1: any
	}{
		{[]bool{false, false}, 1, 1, -1},
		{[]bool{true, false}, 1, 1, 1},
		{[]bool{false, true}, 1, 1, 0},
		{[]bool{true, true}, 1, 2, -1},
		{[]bool{true, true, true, false}, 2, 4, 3},
		{[]bool{true, false, true, false}, 2, 2, 1},
	} {
		var voters []*controlPeer
		for _, slow := range c.slow {
			p := &controlPeer{}
			p.slow.Store(slow)
			voters = append(voters, p)
		}
		order := append([]*controlPeer(nil), voters...)
		if ask := promptFirst(order, c.needed); ask != c.ask {
			t.Errorf("%v, %d needed: asks %d, want %d", c.slow, c.needed, ask, c.ask)
		}
		if c.first >= 0 && order[0] != voters[c.first] {
			t.Errorf("%v: voter %d is not the first", c.slow, c.first)
		}
		seen := map[*controlPeer]bool{}
		for _, p := range order {
			seen[p] = true
		}
		if len(seen) != len(voters) {
			t.Errorf("%v: a voter was lost", c.slow)
		}
	}
}
