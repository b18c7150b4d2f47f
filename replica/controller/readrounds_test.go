package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// TestReadRoundsAreYoungerThanTheirReaders: whoever arrives while a round is under way must get a later one. The rounds
// here read a clock at their begin, so a reader that shared a round begun before it came would see an older time.
func TestReadRoundsAreYoungerThanTheirReaders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		readers := rapid.IntRange(2, 40).Draw(t, "readers")
		var clock, running, most atomic.Int64
		step := make(chan struct{})
		b := &readRounds{limit: limit, ctx: context.Background(), note: func(int) {}, round: func(context.Context) (readPoint, *Error) {
			now := running.Add(1)
			defer running.Add(-1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			at := clock.Add(1)
			<-step
			return readPoint{index: uint64(at)}, nil
		}}
		read := b.settle
		if rapid.Bool().Draw(t, "wait") {
			read = func() (readPoint, *Error) { return b.wait(context.Background()) }
		}
		stop := make(chan struct{})
		var stepper sync.WaitGroup
		stepper.Go(func() {
			for {
				select {
				case step <- struct{}{}:
				case <-stop:
					return
				}
			}
		})
		var all sync.WaitGroup
		var early atomic.Int64
		for range readers {
			all.Go(func() {
				arrived := clock.Add(1)
				point, err := read()
				if err != nil || int64(point.index) < arrived {
					early.Add(1)
				}
			})
		}
		all.Wait()
		close(stop)
		stepper.Wait()
		if early.Load() > 0 {
			t.Fatalf("%d readers got a round that began before they came", early.Load())
		}
		if most.Load() > int64(limit) {
			t.Fatalf("%d rounds at once, limit %d", most.Load(), limit)
		}
	})
}

// TestReadRoundsAreClosedWhileTheyRun: with all rounds that may run under way, the next reader joins none of them and starts
// none: it gets the round after.
func TestReadRoundsAreClosedWhileTheyRun(t *testing.T) {
	for limit := 1; limit <= 3; limit++ {
		var rounds uint64
		started, release := make(chan uint64), make(chan struct{})
		b := &readRounds{limit: limit, ctx: context.Background(), note: func(int) {}, round: func(context.Context) (readPoint, *Error) {
			n := atomic.AddUint64(&rounds, 1)
			started <- n
			<-release
			return readPoint{index: n}, nil
		}}
		early := make(chan readPoint, limit)
		for range limit {
			go func() { point, _ := b.settle(); early <- point }()
			<-started
		}
		late := make(chan readPoint, 1)
		go func() { point, _ := b.settle(); late <- point }()
		eventually(t, "the late reader to join", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.mu.open != nil && b.mu.open.readers > 0
		})
		b.mu.Lock()
		running := b.mu.running
		b.mu.Unlock()
		if running != limit {
			t.Errorf("%d rounds at once, limit %d", running, limit)
		}
		release <- struct{}{}
		if point := <-early; point.index > uint64(limit) {
			t.Errorf("an early reader got round %d", point.index)
		}
		<-started
		for range limit {
			release <- struct{}{}
		}
		if point := <-late; point.index != uint64(limit)+1 {
			t.Errorf("limit %d: the late reader got round %d, which began before it came", limit, point.index)
		}
	}
}

// TestReadRoundsGiveUpWithTheirReader: a reader's own time counts, whatever the round does.
func TestReadRoundsGiveUpWithTheirReader(t *testing.T) {
	never := make(chan struct{})
	b := &readRounds{limit: 1, ctx: context.Background(), note: func(int) {}, round: func(context.Context) (readPoint, *Error) {
		<-never
		return readPoint{}, nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.wait(ctx); err == nil {
		t.Fatal("answered without a round")
	}
	close(never)
}
