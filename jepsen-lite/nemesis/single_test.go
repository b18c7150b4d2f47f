package nemesis

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// TestSinglesTakeTurns: every single fault at each of its roles comes once before any comes again, held long enough, and the next
// one comes when it is over.
func TestSinglesTakeTurns(t *testing.T) {
	kinds := 0
	for _, n := range List() {
		kinds += len(n.Single)
	}
	s, noRoom := DrawSingles(3, 10*time.Minute, 3, List())
	again, _ := DrawSingles(3, 10*time.Minute, 3, List())
	other, _ := DrawSingles(4, 10*time.Minute, 3, List())
	if !s.OneAtATime || len(noRoom) > 0 || len(s.Strikes) < 2*kinds || !reflect.DeepEqual(s, again) || reflect.DeepEqual(s.Strikes, other.Strikes) {
		t.Fatalf("%d strikes of %d kinds, no room for %v", len(s.Strikes), kinds, noRoom)
	}
	type kind struct {
		name string
		aim  Role
	}
	seen := map[kind]int{}
	for i, p := range s.Strikes {
		seen[kind{p.Nemesis, p.Aim}]++
		if round := i/kinds + 1; seen[kind{p.Nemesis, p.Aim}] > round {
			t.Errorf("%s comes for the %d. time in round %d", p, seen[kind{p.Nemesis, p.Aim}], round)
		}
		if p.Aim == Leader && time.Duration(p.For) < 4*time.Second {
			t.Errorf("%s: its healing may end what it caused", p)
		}
		if i > 0 && p.At < s.Strikes[i-1].At+s.Strikes[i-1].For {
			t.Errorf("%s comes during %s", p, s.Strikes[i-1])
		}
	}
	if len(seen) != kinds {
		t.Errorf("%d kinds struck, of %d", len(seen), kinds)
	}
	if _, noRoom := DrawSingles(3, time.Minute, 3, List()); len(noRoom) == 0 {
		t.Error("a minute has room for all")
	}
}

// TestAimedStrikesHitWhomTheyAreAimedAt: the leader, which is n0 here, or whoever is not.
func TestAimedStrikesHitWhomTheyAreAimedAt(t *testing.T) {
	for _, n := range List() {
		for _, role := range n.Single {
			for seed := range uint64(10) {
				if role == Either || n.Family == "slow" && seed > 0 { // its beat is real time
					continue
				}
				target, _ := pretend(false)
				s, err := n.Inject(t.Context(), target, Blow{Shard: 1, Aim: role, For: time.Millisecond, Draw: rand.New(rand.NewPCG(seed, 1))})
				if err != nil {
					t.Fatalf("%s: %v", n.Name, err)
				}
				if slices.Contains(s.Victims, "s1n0") != (role == Leader) {
					t.Errorf("%s at a %s, seed %d: victims %v", n.Name, role, seed, s.Victims)
				}
				if _, err := s.Heal(t.Context()); err != nil && n.Family != "slow" {
					t.Errorf("%s: %v", n.Name, err)
				}
			}
		}
	}
}

// TestSinglesLeaveOutWithAReason: nothing is in front; and the word stands alone.
func TestSinglesLeaveOutWithAReason(t *testing.T) {
	chosen, leftOut, err := Place{Replicas: 3}.Select(Singles)
	if err != nil || leftOut["router-kill"] == "" || !slices.Contains(names(chosen), "kill-leader") || slices.Contains(names(chosen), "kill-majority") {
		t.Errorf("%v, left out %v, %v", names(chosen), leftOut, err)
	}
	if _, _, err := (Place{}).Select("single,kill-all"); err == nil {
		t.Error("single with others was not refused")
	}
}
