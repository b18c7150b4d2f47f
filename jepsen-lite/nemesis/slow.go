package nemesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The beat of a slow processor: of each 100 ms a node has 10.
const (
	stoppedFor = 90 * time.Millisecond
	runsFor    = 10 * time.Millisecond
	leastStill = 0.6 // of the time: less, on a busy machine, is no slow processor
)

func slowness() []Nemesis {
	return []Nemesis{
		{Name: "slow-one", Family: "slow", Does: "a replica, drawn, gets a tenth of its processor time (SIGSTOP and SIGCONT, ten times a second; a container gets less, by a quota)", Needs: []Need{Linux}, Scope: OneShard, Lasts: time.Second, Single: []Role{Follower}, Inject: slow(anyone)},
		{Name: "slow-leader", Family: "slow", Does: "a shard's leader gets a tenth of its processor time", Needs: []Need{Linux}, Scope: OneShard, Lasts: time.Second, Single: []Role{Leader}, Inject: slow(leader)},
	}
}

// slow takes processor time from its victims until healed: by the target's own means, or by stopping and continuing them. The proof
// then is the share of time that they were seen standing still.
func slow(choose chooser) func(context.Context, *Target, Blow) (*Strike, error) {
	throttled := outage(func(ctx context.Context, t *Target, b Blow) (Outage, []string, error) {
		victims, err := choose(ctx, t, b)
		if err != nil {
			return nil, nil, err
		}
		o, err := t.Throttle(ctx, victims[0].ID())
		return o, ids(victims), err
	})
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		if t.Throttle != nil {
			return throttled(ctx, t, b)
		}
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
