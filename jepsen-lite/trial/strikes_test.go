package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvorum/kvorum/internal/rig"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

// harmless makes a nemesis that breaks nothing and says of itself what is asked for.
func harmless(name string, scope nemesis.Scope, proof string, healing error, during func()) nemesis.Nemesis {
	return nemesis.Nemesis{Name: name, Scope: scope, Inject: func(context.Context, *nemesis.Target, nemesis.Blow) (*nemesis.Strike, error) {
		during()
		return &nemesis.Strike{Victims: []string{"s0n0"}, Proof: proof, Heal: func(context.Context) (string, error) { return "", healing }}, nil
	}}
}

func striking(t *testing.T, ctx context.Context, all []nemesis.Nemesis, plan ...nemesis.Planned) []Struck {
	t.Helper()
	c := Config{Nemeses: all, Schedule: nemesis.Schedule{Strikes: plan}}
	return strikingBy(ctx, c)
}

func strikingBy(ctx context.Context, c Config) []Struck {
	c.fillDefaults()
	noLeader := &nemesis.Target{Leader: func(context.Context, int) (nemesis.Node, error) { return nil, errors.New("no leader") }}
	return newStriker(c, noLeader, newRecorder()).run(ctx)
}

func planned(name string, shard int, d time.Duration) nemesis.Planned {
	return nemesis.Planned{Nemesis: name, Shard: shard, For: rig.Duration(d)}
}

// TestOnlyWhatIsProvedCounts: a strike without proof, one that failed and one that did not heal are told apart.
func TestOnlyWhatIsProvedCounts(t *testing.T) {
	nothing := func() {}
	all := []nemesis.Nemesis{
		harmless("good", nemesis.OneShard, "it is gone", nil, nothing),
		harmless("idle", nemesis.OneShard, "", nil, nothing),
		harmless("late", nemesis.OneShard, "it stopped", nemesis.ErrNoProof, nothing),
		harmless("lasting", nemesis.OneShard, "it is gone", errors.New("does not come back"), nothing),
		{Name: "failing", Scope: nemesis.OneShard, Inject: func(context.Context, *nemesis.Target, nemesis.Blow) (*nemesis.Strike, error) {
			return nil, errors.New("no leader")
		}},
		{Name: "leaderless", Scope: nemesis.OneShard, Inject: func(context.Context, *nemesis.Target, nemesis.Blow) (*nemesis.Strike, error) {
			return nil, leaderless(errors.New("timed out"))
		}},
		{Name: "ends badly", Scope: nemesis.OneShard, Inject: func(context.Context, *nemesis.Target, nemesis.Blow) (*nemesis.Strike, error) {
			return &nemesis.Strike{Heal: func(context.Context) (string, error) { return "", nil }}, fmt.Errorf("%w: ended with code 2", nemesis.ErrBroken)
		}},
	}
	var plan []nemesis.Planned
	for _, n := range all {
		plan = append(plan, planned(n.Name, 0, 0))
	}
	got := map[string]Struck{}
	for _, s := range striking(t, t.Context(), all, plan...) {
		got[s.Nemesis] = s
	}
	for name, want := range map[string][2]string{ // not proved, not healed
		"good": {"", ""}, "idle": {"no proof", ""}, "late": {"no proof", ""}, "lasting": {"", "does not come back"}, "failing": {"no leader", ""},
		"leaderless": {"timed out", "timed out"}, "ends badly": {"no proof", "ended with code 2"},
	} {
		s, there := got[name]
		if !there || (s.NotProved == "") != (want[0] == "") || !strings.Contains(s.NotProved, want[0]) || (s.NotHealed == "") != (want[1] == "") || !strings.Contains(s.NotHealed, want[1]) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestStrikesOnOneShardTakeTurns and those on different ones need not.
func TestStrikesOnOneShardTakeTurns(t *testing.T) {
	var once sync.WaitGroup
	once.Add(2)
	var busy, most atomic.Int32
	apart := harmless("apart", nemesis.OneShard, "x", nil, func() { once.Done(); once.Wait() }) // hangs unless both are under way
	turns := nemesis.Nemesis{Name: "turns", Scope: nemesis.OneShard, Inject: func(context.Context, *nemesis.Target, nemesis.Blow) (*nemesis.Strike, error) {
		most.Store(max(most.Load(), busy.Add(1)))
		return &nemesis.Strike{Proof: "x", Heal: func(context.Context) (string, error) { busy.Add(-1); return "", nil }}, nil
	}}
	const d = 20 * time.Millisecond
	if all := striking(t, t.Context(), []nemesis.Nemesis{apart, turns}, planned("turns", 2, d), planned("turns", 2, d), planned("turns", 2, d), planned("apart", 0, d), planned("apart", 1, d)); len(all) != 5 {
		t.Errorf("%d strikes", len(all))
	}
	if most.Load() != 1 {
		t.Errorf("%d strikes on one shard at once", most.Load())
	}
}

// TestOneAtATime: strikes on different shards wait for each other then, and for a moment of calm.
func TestOneAtATime(t *testing.T) {
	quiet := harmless("quiet", nemesis.OneShard, "x", nil, func() {})
	all := strikingBy(t.Context(), Config{Nemeses: []nemesis.Nemesis{quiet}, Schedule: nemesis.Schedule{
		OneAtATime: true, Strikes: []nemesis.Planned{planned("quiet", 0, 10*time.Millisecond), planned("quiet", 1, 0)},
	}})
	if len(all) != 2 || time.Duration(all[1].from-all[0].to) < nemesis.Calm {
		t.Errorf("%+v", all)
	}
}

// TestInterruptedStrikesAreHealed: whoever presses Ctrl-C leaves nothing stopped.
func TestInterruptedStrikesAreHealed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	healed := false
	n := nemesis.Nemesis{Name: "long", Scope: nemesis.Whole, Inject: func(context.Context, *nemesis.Target, nemesis.Blow) (*nemesis.Strike, error) {
		cancel()
		return &nemesis.Strike{Proof: "x", Heal: func(ctx context.Context) (string, error) { healed = ctx.Err() == nil; return "", nil }}, nil
	}}
	if all := striking(t, ctx, []nemesis.Nemesis{n}, planned("long", 0, time.Hour), planned("long", 0, time.Hour)); len(all) != 1 || !healed {
		t.Errorf("%d strikes, healed %v", len(all), healed)
	}
}
