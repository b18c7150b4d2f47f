package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

func pauses() []Nemesis {
	const lasts = time.Second
	return []Nemesis{
		{Name: "pause-one", Family: "pause", Does: "SIGSTOP of a replica, drawn, and SIGCONT later", Needs: []Need{Linux}, Scope: OneShard, Lasts: lasts, Inject: pause(anyone)},
		{Name: "pause-leader", Family: "pause", Does: "SIGSTOP of a shard's leader: when it goes on it may think that it leads", Needs: []Need{Linux}, Scope: OneShard, Lasts: lasts, Inject: pause(leader)},
		{Name: "pause-majority", Family: "pause", Does: "SIGSTOP of a majority of a shard", Needs: []Need{Linux}, Scope: OneShard, Lasts: lasts, Inject: pause(majority)},
		{Name: "pause-brief", Family: "pause", Does: "SIGSTOP of a shard's leader just until another leads, over and over: who waits for it gets its answer yet", Needs: []Need{Linux}, Scope: OneShard, Lasts: 3 * time.Second, Inject: pauseBriefly},
	}
}

// answersMeanwhile is how long the new leader has for writes that the old one knows nothing of. Not long: the old one's
// clients wait only so long, and it is their reads that it may answer with old data.
const answersMeanwhile = 100 * time.Millisecond

// pauseBriefly goes on for as long as the strike is to be held.
func pauseBriefly(ctx context.Context, t *Target, b Blow) (*Strike, error) {
	s := &Strike{Over: true, Heal: func(ctx context.Context) (string, error) { return "", waitReady(ctx, t.Shards[b.Shard]) }}
	var proofs []string
	for start := time.Now(); time.Since(start) < b.For; {
		old, err := t.Leader(ctx, b.Shard)
		if err != nil {
			return s, err
		}
		proof, err := old.Pause(ctx)
		if err != nil {
			return s, err
		}
		next, err := t.Leader(ctx, b.Shard) // asks only those that run
		wait(answersMeanwhile, ctx.Done())
		_, goingOn := resumed(ctx, []Node{old})
		if err = errors.Join(err, goingOn); err != nil {
			return s, err
		}
		if !slices.Contains(s.Victims, old.ID()) {
			s.Victims = append(s.Victims, old.ID())
		}
		proofs = append(proofs, proof+" until "+next.ID()+" led")
	}
	s.Proof = strings.Join(proofs, "; ")
	return s, nil
}

func pause(choose chooser) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		victims, err := choose(ctx, t, b)
		if err != nil {
			return nil, err
		}
		proof, err := together(victims, func(n Node) (string, error) { return n.Pause(ctx) })
		return &Strike{Victims: ids(victims), Proof: proof, Heal: func(ctx context.Context) (string, error) {
			proof, err := resumed(ctx, victims)
			return proof, errors.Join(err, waitReady(ctx, victims))
		}}, err
	}
}

// resumed lets paused nodes go on. It asks before if they had stood still to the end.
func resumed(ctx context.Context, victims []Node) (string, error) {
	var errs []error
	for _, n := range victims {
		if err := n.Paused(); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrNoProof, err))
		}
		errs = append(errs, n.Resume(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return "still stopped at the end", nil
}

// The beat of a slow processor: of each 100 ms a node has 10.
const (
	stoppedFor = 90 * time.Millisecond
	runsFor    = 10 * time.Millisecond
	leastStill = 0.6 // of the time: less, on a busy machine, is no slow processor
)

func slowness() []Nemesis {
	return []Nemesis{
		{Name: "slow-one", Family: "slow", Does: "a replica, drawn, gets a tenth of its processor time (SIGSTOP and SIGCONT, ten times a second)", Needs: []Need{Linux, Process}, Scope: OneShard, Lasts: time.Second, Inject: slow(anyone)},
		{Name: "slow-leader", Family: "slow", Does: "a shard's leader gets a tenth of its processor time", Needs: []Need{Linux, Process}, Scope: OneShard, Lasts: time.Second, Inject: slow(leader)},
	}
}

// slow stops and continues its victims until healed. The proof is the share of time that they were seen standing still.
func slow(choose chooser) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		victims, err := choose(ctx, t, b)
		if err != nil {
			return nil, err
		}
		stop, done := make(chan struct{}), make(chan struct{})
		var still float64
		go func() { // ends with Heal, which waits for it
			defer close(done)
			still, err = beat(victims, stop)
		}()
		return &Strike{Victims: ids(victims), Heal: func(ctx context.Context) (string, error) {
			close(stop)
			<-done
			if err == nil && still < leastStill {
				err = fmt.Errorf("%w: %s stood still for only %.0f %% of the time", ErrNoProof, strings.Join(ids(victims), " and "), 100*still)
			}
			return fmt.Sprintf("stood still for %.0f %% of the time", 100*still), errors.Join(err, waitReady(ctx, victims))
		}}, nil
	}
}

// beat gives the share of time that the victims were stopped.
func beat(victims []Node, stop <-chan struct{}) (float64, error) {
	ctx := context.Background() // a node that was stopped must go on, whatever happens
	var still time.Duration
	for start := time.Now(); ; {
		if _, err := together(victims, func(n Node) (string, error) { return n.Pause(ctx) }); err != nil {
			_, more := resumed(ctx, victims)
			return 0, errors.Join(err, more)
		}
		stopped := time.Now()
		ended := wait(stoppedFor, stop)
		_, err := resumed(ctx, victims)
		still += time.Since(stopped)
		if ended = wait(runsFor, stop) || ended; ended || err != nil {
			return float64(still) / float64(time.Since(start)), err
		}
	}
}

// wait reports whether it was cut short.
func wait(d time.Duration, stop <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return true
	case <-timer.C:
		return false
	}
}
