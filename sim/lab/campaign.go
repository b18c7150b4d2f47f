package lab

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Campaign says which seeds to run.
type Campaign struct {
	From, To uint64
	Workers  int
	Defaults schedule.Defaults
	// Done is told of each result, one at a time, in the order in which they come; false: stop.
	Done func(*schedule.Schedule, *sim.Result) bool
}

// Size is the number of seeds.
func (c Campaign) Size() int { return int(c.To - c.From + 1) }

// Campaign runs all seeds and returns the results by seed.
func (l *Lab) Campaign(ctx context.Context, c Campaign) []*sim.Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu      sync.Mutex
		results []*sim.Result
		workers sync.WaitGroup
		next    = c.From
	)
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next > c.To || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range max(1, c.Workers) {
		workers.Go(func() {
			for {
				seed, ok := take()
				if !ok {
					return
				}
				s := Draw(seed, c.Defaults)
				r := l.Run(ctx, s, sim.Options{})
				r.History = nil // thousands of them would not fit
				mu.Lock()
				results = append(results, r)
				if c.Done != nil && !c.Done(s, r) {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	slices.SortFunc(results, func(a, b *sim.Result) int { return cmp.Compare(a.Seed, b.Seed) })
	return results
}

// Summary of a campaign. A campaign is vacuous when it did not see what it must.
type Summary struct {
	Seeds    int                 `json:"seeds"`
	From     uint64              `json:"from"`
	To       uint64              `json:"to"`
	Verdicts map[sim.Verdict]int `json:"verdicts"`
	Failing  []Failing           `json:"failing"`
	Fired    map[string]Seen     `json:"faults"`
	Reached  map[string]Seen     `json:"reached"`
	Dead     []string            `json:"dead"` // classes and probes seen in less than 1 % of the seeds
	Leaders  int                 `json:"median_leader_changes"`
	Installs float64             `json:"share_with_install_snapshot"`
	Losses   float64             `json:"share_with_restart_after_loss"`
	Virtual  float64             `json:"virtual_seconds"`
	CPU      float64             `json:"run_seconds"` // of all runs together
	Wall     float64             `json:"wall_seconds"`
	Verdict  sim.Verdict         `json:"verdict"`
}

// Failing is a seed that failed.
type Failing struct {
	Seed    uint64      `json:"seed"`
	Verdict sim.Verdict `json:"verdict"`
	Oracles []string    `json:"oracles"`
	Beyond  []string    `json:"beyond_raft,omitempty"` // faults that fired and excuse it
}

// Seen counts in how many seeds, and how often.
type Seen struct {
	Seeds int `json:"seeds"`
	Times int `json:"times"`
}

// Summarize judges a campaign as a whole.
func Summarize(results []*sim.Result, wall time.Duration) Summary {
	s := Summary{Seeds: len(results), Verdicts: map[sim.Verdict]int{}, Fired: map[string]Seen{}, Reached: map[string]Seen{}, Wall: wall.Seconds(), Verdict: sim.Good}
	var leaders []int
	installs, losses := 0, 0
	for i, r := range results {
		if i == 0 {
			s.From = r.Seed
		}
		s.To = r.Seed
		s.Verdicts[r.Verdict]++
		s.Virtual += r.Virtual
		s.CPU += r.Wall
		if r.Verdict != sim.Good {
			s.Failing = append(s.Failing, Failing{r.Seed, r.Verdict, r.Oracles(), r.Beyond})
		}
		count(s.Fired, r.Fired)
		count(s.Reached, r.Reached)
		leaders = append(leaders, r.Reached[sim.ProbeLeader])
		installs += min(1, r.Reached[sim.ProbeInstall])
		losses += min(1, r.Reached[sim.ProbeLoss])
	}
	if len(results) == 0 {
		s.Verdict = sim.Vacuous
		return s
	}
	slices.Sort(leaders)
	s.Leaders = leaders[len(leaders)/2]
	s.Installs, s.Losses = float64(installs)/float64(len(results)), float64(losses)/float64(len(results))
	slices.SortFunc(s.Failing, func(a, b Failing) int {
		if c := cmp.Compare(rank(a.Verdict), rank(b.Verdict)); c != 0 {
			return c
		}
		return cmp.Compare(a.Seed, b.Seed)
	})
	s.dead()
	s.judge()
	return s
}

func rank(v sim.Verdict) int {
	return slices.Index([]sim.Verdict{sim.Failed, sim.Undecided, sim.Vacuous, sim.Good}, v)
}

func count(total map[string]Seen, one map[string]int) {
	for id, times := range one {
		if times > 0 {
			seen := total[id]
			total[id] = Seen{seen.Seeds + 1, seen.Times + times}
		}
	}
}

// dead lists what a campaign of this size should have seen: everything in at least one seed of a hundred.
func (s *Summary) dead() {
	for _, c := range sim.Classes() {
		if c.Tier == sim.Tolerated && s.Fired[c.ID].Seeds*100 < s.Seeds {
			s.Dead = append(s.Dead, "fault "+c.ID)
		}
	}
	for _, p := range sim.Probes() {
		if s.Reached[p.ID].Seeds*100 < s.Seeds {
			s.Dead = append(s.Dead, "probe "+p.ID)
		}
	}
}

// judged is how many seeds a campaign needs before its shares mean anything.
const judged = 200

func (s *Summary) judge() {
	switch {
	case s.Verdicts[sim.Failed] > 0:
		s.Verdict = sim.Failed
	case s.Verdicts[sim.Undecided] > 0:
		s.Verdict = sim.Undecided
	case s.Verdicts[sim.Vacuous] > 0:
		s.Verdict = sim.Vacuous
	case s.Seeds >= judged && (s.Leaders < 3 || s.Installs < 0.3 || s.Losses < 0.3 || len(s.Dead) > 0):
		s.Verdict = sim.Vacuous
	}
}
