package nemesis

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

func TestSlow(t *testing.T) {
	target, _ := pretend(false)
	s, err := slow(leader)(t.Context(), target, Blow{Shard: 1})
	if err != nil {
		t.Fatal(err)
	}
	wait(3*(stoppedFor+runsFor), nil)
	proof, err := s.Heal(t.Context())
	if err != nil || !strings.Contains(proof, "stood still for") {
		t.Errorf("%q, %v", proof, err)
	}
}

// TestSlowByTheTargetsOwnMeans: where it has some, nobody is stopped, and what it says is the proof.
func TestSlowByTheTargetsOwnMeans(t *testing.T) {
	for silent, want := range map[bool]error{false: nil, true: ErrNoProof} {
		target, all := pretend(false)
		target.Throttle = func(_ context.Context, member string) (Outage, error) {
			w := &wires{all: all, silent: silent}
			w.note("throttle", []netns.Link{{From: member}})
			return w, nil
		}
		_, proof, err := strike(t, slowness()[1], target)
		if !errors.Is(err, want) || proof == "" || strings.Join(all[3].diary, " ") != "throttle" {
			t.Errorf("proof %q, %v; to the leader it did %v", proof, err, all[3].diary)
		}
	}
}
