package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	lin "github.com/kvorum/kvorum/linearizability"
)

// Struck is what one planned strike came to.
type Struck struct {
	nemesis.Planned
	Victims []string `json:"victims,omitempty"`
	// Role of the victims when they were struck: the leader was among them, or not. None where a whole shard was struck, or no shard.
	Role  nemesis.Role `json:"role,omitempty"`
	Began float64      `json:"began"` // seconds since the clients began
	Ended float64      `json:"ended"` // healed, and the victims ready again
	Proof string       `json:"proof,omitempty"`
	// NotProved says why it is not known to have taken effect.
	NotProved string `json:"not_proved,omitempty"`
	// NotHealed says what did not come back.
	NotHealed string `json:"not_healed,omitempty"`
	// Without is the longest time without service meanwhile, of the victims' shard or of all, by the way of the clients.
	Without map[string]Gap `json:"without_service"`

	from, to int64 // on the history's clock
}

// shards that the strike is about; none: all.
func (s *Struck) shards() []uint32 {
	if s.Shard < 0 {
		return nil
	}
	return []uint32{uint32(s.Shard)}
}

// striker carries out a schedule.
type striker struct {
	config  Config
	target  *nemesis.Target
	rec     *recorder
	byName  map[string]nemesis.Nemesis
	running []nemesis.Planned
	over    time.Time // the end of the last one
}

func newStriker(c Config, t *nemesis.Target, rec *recorder) *striker {
	s := &striker{config: c, target: t, rec: rec, byName: map[string]nemesis.Nemesis{}}
	for _, n := range c.Nemeses {
		s.byName[n.Name] = n
	}
	return s
}

// run returns when all strikes are over. When ctx ends it heals those under way and begins no more.
func (s *striker) run(ctx context.Context) (all []Struck) {
	waiting := s.config.Schedule.Strikes
	over := make(chan Struck)
	for len(waiting)+len(s.running) > 0 {
		var due <-chan time.Time // nil, which never comes, while the next one would collide
		if len(waiting) > 0 && !s.collides(waiting[0]) {
			due = time.After(s.wait(waiting[0]))
		}
		select {
		case <-ctx.Done():
			waiting, ctx = nil, context.WithoutCancel(ctx) // the strikes under way have seen it themselves
		case <-due:
			p := waiting[0]
			waiting = waiting[1:]
			s.running = append(s.running, p)
			go func(ctx context.Context) { over <- s.strike(ctx, p) }(ctx) // run waits for it
		case done := <-over:
			s.remove(done.Planned)
			s.over = time.Now()
			all = append(all, done)
		}
	}
	return all
}

// wait is how long it is until p may begin, if it does not collide.
func (s *striker) wait(p nemesis.Planned) time.Duration {
	planned := time.Duration(p.At) - time.Since(s.rec.start)
	if s.config.Schedule.OneAtATime && !s.over.IsZero() {
		return max(planned, nemesis.Calm-time.Since(s.over))
	}
	return planned
}

func (s *striker) collides(p nemesis.Planned) bool {
	if s.config.Schedule.OneAtATime {
		return len(s.running) > 0
	}
	for _, r := range s.running {
		if s.byName[p.Nemesis].Scope.Collides(p.Shard, s.byName[r.Nemesis].Scope, r.Shard) {
			return true
		}
	}
	return false
}

func (s *striker) remove(p nemesis.Planned) {
	for i, r := range s.running {
		if r == p {
			s.running = append(s.running[:i:i], s.running[i+1:]...)
			return
		}
	}
}

func (s *striker) strike(ctx context.Context, p nemesis.Planned) (struck Struck) {
	n := s.byName[p.Nemesis]
	limited, cancel := context.WithTimeout(ctx, s.config.GiveUp)
	defer cancel()
	leader := s.leader(limited, p.Shard)
	struck = Struck{Planned: p, from: s.rec.now()}
	strike, err := n.Inject(limited, s.target, nemesis.Blow{Shard: p.Shard, Aim: p.Aim, For: time.Duration(p.For), Draw: rand.New(rand.NewPCG(p.Draw, 1))})
	if strike == nil {
		struck.to = s.rec.now()
		struck.NotProved = fmt.Sprint(err)
		if errors.Is(err, nemesis.ErrBroken) && ctx.Err() == nil {
			struck.NotHealed = err.Error()
		}
		s.finish(&struck, n)
		return struck
	}
	struck.Victims, struck.Proof, struck.Role = strike.Victims, strike.Proof, s.roleOf(strike.Victims, leader)
	s.config.Say("%6.1fs %s: %s", seconds(struck.from), p.Nemesis, strings.Join(strike.Victims, ", "))
	if !strike.Over {
		hold(ctx, time.Duration(p.For))
	}
	healing := s.rec.now()
	limited, cancelHeal := context.WithTimeout(context.WithoutCancel(ctx), s.config.GiveUp)
	defer cancelHeal()
	proof, healErr := strike.Heal(limited)
	struck.to = s.rec.now()
	if proof != "" {
		struck.Proof = strings.TrimPrefix(struck.Proof+"; "+proof, "; ")
	}
	if errors.Is(err, nemesis.ErrBroken) && ctx.Err() == nil {
		err, healErr = nil, errors.Join(err, healErr)
	} else if errors.Is(healErr, nemesis.ErrNoProof) {
		err, healErr = errors.Join(err, healErr), nil
	}
	if err == nil && struck.Proof == "" {
		err = nemesis.ErrNoProof
	}
	if err != nil {
		struck.NotProved = err.Error()
	}
	if healErr != nil {
		struck.NotHealed = healErr.Error()
	}
	s.annotate(&struck, healing)
	s.finish(&struck, n)
	return struck
}

// leader is the id of a shard's leader before it is struck, "" if there is no such shard or none was found.
func (s *striker) leader(ctx context.Context, shard int) string {
	if shard < 0 {
		return ""
	}
	n, err := s.target.Leader(ctx, shard)
	if err != nil {
		return ""
	}
	return n.ID()
}

func (s *striker) roleOf(victims []string, leader string) nemesis.Role {
	switch {
	case leader == "" || len(victims) == s.config.Replicas:
		return nemesis.Either
	case slices.Contains(victims, leader):
		return nemesis.Leader
	}
	return nemesis.Follower
}

// hold waits, or until ctx ends.
func hold(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// annotate shows the fault on its victims, until the healing began.
func (s *striker) annotate(struck *Struck, healing int64) {
	for _, victim := range struck.Victims {
		s.rec.annotate(lin.Annotation{Kind: "fault", Text: struck.Nemesis, Node: victim, Start: struck.from, End: healing})
	}
}

func (s *striker) finish(struck *Struck, n nemesis.Nemesis) {
	struck.Began, struck.Ended = milli(seconds(struck.from)), milli(seconds(struck.to))
	switch {
	case struck.NotHealed != "":
		s.config.Say("%6.1fs %s: NOT HEALED: %s", seconds(struck.to), n.Name, struck.NotHealed)
	case struck.NotProved != "":
		s.config.Say("%6.1fs %s: NOT PROVED: %s", seconds(struck.to), n.Name, struck.NotProved)
	default:
		s.config.Say("%6.1fs %s over: %s", seconds(struck.to), n.Name, struck.Proof)
	}
}

func seconds(nanoseconds int64) float64 { return time.Duration(nanoseconds).Seconds() }
