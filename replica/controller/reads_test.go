package controller

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

func (s *testShard) getBounded(i int, key string, bound time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	v, _, err := s.nodes[i].Read(ctx, ReadOptions{Consistency: wire.Bounded, MaxStale: bound})
	if err != nil {
		return "", err
	}
	return value(v, key), nil
}

// TestBoundedReadKeepsItsBound: cut off, a follower serves what it confirmed within the bound, and nothing older.
func TestBoundedReadKeepsItsBound(t *testing.T) {
	s := newLinkedShard(t, 3, func(i int, cfg *Config) {
		if i == 2 {
			patient(cfg)
		}
	})
	s.lead(0)
	s.allReady()
	s.mustPut("x", "1")
	if got, err := s.getBounded(2, "x", 0); err != nil || got != "1" { // 0 is as good as linearizable
		t.Fatalf("%q, %v", got, err)
	}
	confirmed := time.Now() // the round began before this
	s.cutBoth(2, 0, 1)
	s.mustPut("x", "2")
	written := time.Now()
	if got, err := s.getBounded(2, "x", time.Hour); err != nil || got != "1" {
		t.Fatalf("within the bound: %q, %v", got, err)
	}
	bound := 200 * time.Millisecond
	eventually(t, "the bound to pass", func() bool {
		got, err := s.getBounded(2, "x", bound)
		if err == nil && got == "1" && time.Since(confirmed) > bound+time.Since(written) {
			return false // may still be within the bound, by a hair
		}
		return err != nil
	})
	if got, err := s.getBounded(2, "x", bound); err == nil {
		t.Fatalf("read %q %v after it was confirmed last, with a bound of %v", got, time.Since(confirmed), bound)
	}
	if _, err := s.getBounded(2, "x", 0); err == nil {
		t.Fatal("a bound of 0 was served without asking anybody")
	}
	if got, err := s.get(2, "x", wire.Stale); err != nil || got != "1" {
		t.Fatalf("stale: %q, %v", got, err)
	}
	s.heal()
	eventually(t, "fresh data", func() bool {
		got, err := s.getBounded(2, "x", bound)
		return err == nil && got == "2"
	})
}

// TestFreshWithin: the age counts from before the round, only moves forward, and nothing is fresh before the first.
func TestFreshWithin(t *testing.T) {
	c := &Controller{started: time.Now().Add(-time.Hour)}
	if c.freshWithin(2 * time.Hour) {
		t.Fatal("fresh before any round")
	}
	c.noteFresh(time.Now().Add(-10 * time.Minute))
	c.noteFresh(time.Now().Add(-30 * time.Minute)) // a slow, older round
	if c.freshWithin(9*time.Minute) || !c.freshWithin(11*time.Minute) || c.freshWithin(0) {
		t.Fatal("the age is not that of the newest round")
	}
}

// TestSessionReadWaits: a read with a session's index waits for it. TestSessionBeyondTheLog has those that wait in vain.
func TestSessionReadWaits(t *testing.T) {
	s := newTestShard(t, 3, nil)
	leader := s.leader()
	a := s.mustPut("x", "1")
	other := (leader + 1) % 3
	eventually(t, "the follower to be ready", func() bool { return len(s.nodes[other].NotReady()) == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	v, receipt, err := s.nodes[other].Read(ctx, ReadOptions{Consistency: wire.Stale, MinIndex: a.Index})
	if err != nil || value(v, "x") != "1" || receipt.Index < a.Index || receipt.Consistency != "stale; follower" {
		t.Fatalf("%+v, %v", receipt, err)
	}
}

// TestSessionBeyondTheLog: without a leader nobody can say whether a mark is true, and the read waits; once there is one it
// is refused at once, at the leader and at followers. A mark that comes true meanwhile is served.
func TestSessionBeyondTheLog(t *testing.T) {
	s := newLinkedShard(t, 3, func(i int, cfg *Config) {
		if i == 2 {
			patient(cfg)
		}
	})
	s.lead(0)
	s.allReady()
	s.mustPut("x", "1")
	future := s.nodes[0].View().Index() + 1
	read := func(i int, consistency wire.Consistency, limit time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		_, _, err := s.nodes[i].Read(ctx, ReadOptions{Consistency: consistency, MaxStale: time.Hour, MinIndex: future})
		return err
	}
	for i := range s.nodes {
		for _, consistency := range []wire.Consistency{wire.Linearizable, wire.Stale, wire.Bounded} {
			if err := read(i, consistency, time.Minute); !errors.Is(err, newError(wire.CodeSessionUnknown, "")) {
				t.Errorf("node %d, %s: %v", i, consistency, err)
			}
		}
	}
	s.cutBoth(2, 0, 1)
	if err := read(2, wire.Stale, 100*time.Millisecond); !errors.Is(err, newError(wire.CodeReadTimeout, "")) {
		t.Errorf("cut off: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- read(2, wire.Stale, time.Minute) }()
	s.mustPut("x", "2")
	s.heal()
	if err := <-waiting; err != nil {
		t.Errorf("the mark has come true: %v", err)
	}
}

// TestPatienceBoundsTheWholeRead: what the round takes is not given again to the wait for the index.
func TestPatienceBoundsTheWholeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Controller{started: time.Now(), closed: make(chan struct{})}
		c.fsm = &fsm{c: c, machine: store.New()}
		c.followerReads = &readRounds{limit: 1, ctx: t.Context(), note: func(int) {}, round: func(context.Context) (readPoint, *Error) {
			started := time.Now()
			<-time.After(2 * time.Second)
			return readPoint{term: 1, index: 1, started: started}, nil // never applied here
		}}
		began := time.Now()
		_, _, err := c.Read(t.Context(), ReadOptions{Patience: 3 * time.Second})
		if took := time.Since(began); !errors.Is(err, newError(wire.CodeReadTimeout, "")) || took != 3*time.Second {
			t.Fatalf("%v after %v", err, took)
		}
	})
}

// TestReadsHavePatience: a read gives up in its own time, whether it waits for voters that say nothing or for an index that
// does not come. The contexts only bound the test.
func TestReadsHavePatience(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg)
		cfg.Tuning.ConfirmTimeout = time.Minute
	})
	s.electFirst(0)
	s.mustPut("x", "1")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	const patience = 20 * time.Millisecond
	refused := func(what string, o ReadOptions) {
		t.Helper()
		_, _, err := s.nodes[0].Read(ctx, o)
		var failed *Error
		if !errors.As(err, &failed) || failed.Code != wire.CodeReadTimeout || ctx.Err() != nil {
			t.Fatalf("%s: %v, context: %v", what, err, ctx.Err())
		}
	}
	eventually(t, "the leader to have caught up", func() bool { return len(s.nodes[0].NotReady()) == 0 })
	s.links[0][1].hold(back)
	s.links[0][2].hold(back)
	refused("a mark that nobody can refuse", ReadOptions{Consistency: wire.Stale, MinIndex: 1 << 40, Patience: patience})
	refused("silent voters", ReadOptions{Patience: patience})
	s.links[0][1].release(back)
	s.links[0][2].release(back)
	if _, _, err := s.nodes[0].Read(ctx, ReadOptions{Patience: 3 * time.Minute}); err != nil {
		t.Fatal(err)
	}
}
