package lab

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim"
)

// Together is what some runs were, taken together.
type Together struct {
	Trace    string              `json:"trace"`      // SHA-256 of the runs' own hashes, each as hex and a newline, in the order of the seeds
	Memory   string              `json:"memory"`     // the same of theirs
	Outcomes map[lin.Outcome]int `json:"operations"` // how many ended in which
}

// together takes results in the order of their seeds.
func together(results []*sim.Result) Together {
	trace, memory, all := sha256.New(), sha256.New(), Together{Outcomes: map[lin.Outcome]int{}}
	for _, r := range results {
		fmt.Fprintln(trace, r.Trace)
		fmt.Fprintln(memory, r.Memory)
		for outcome, n := range r.Outcomes {
			all.Outcomes[outcome] += n
		}
	}
	all.Trace, all.Memory = hex.EncodeToString(trace.Sum(nil)), hex.EncodeToString(memory.Sum(nil))
	return all
}

// Summary of a campaign. A campaign is vacuous when it did not see what it must.
type Summary struct {
	Seeds int    `json:"seeds"`
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
	Together
	Verdicts map[sim.Verdict]int `json:"verdicts"`
	Failing  []Failing           `json:"failing"`
	Oracles  []string            `json:"oracles"` // that failed in any seed, in the order of the failing seeds
	Fired    map[string]Seen     `json:"faults"`
	Reached  map[string]Seen     `json:"reached"`
	Dead     []string            `json:"dead"`        // classes and probes seen in too few of the seeds
	Unseen   []string            `json:"rare_unseen"` // detectable classes that never fired, in too few seeds to hold that against them
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
	s := Summary{
		Seeds: len(results), Together: together(results), Verdicts: map[sim.Verdict]int{}, Fired: map[string]Seen{}, Reached: map[string]Seen{}, Wall: wall.Seconds(), Verdict: sim.Good,
		Failing: []Failing{}, Oracles: []string{}, Dead: []string{}, Unseen: []string{}, // written as lists, also if nothing is in them
	}
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
			s.Failing = append(s.Failing, Failing{r.Seed, r.Verdict, oraclesOf(r), r.Beyond})
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
	for _, f := range s.Failing {
		for _, o := range f.Oracles {
			if !slices.Contains(s.Oracles, o) {
				s.Oracles = append(s.Oracles, o)
			}
		}
	}
	s.dead()
	s.judge()
	return s
}

// oraclesOf is never nil.
func oraclesOf(r *sim.Result) []string { return append([]string{}, r.Oracles()...) }

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

// How many seeds a campaign needs before its shares mean anything.
const (
	judged      = 200
	judgedRarer = 1000 // those of the classes that few seeds draw
)

// rareEvery is in how many seeds a swarm draws one fault of all detectable classes, as sim/schedule has it.
const rareEvery = 8

// dead lists what a campaign of this size should have seen. A tolerated class or a probe: in at least one seed of a hundred. The
// detectable classes share one fault in every eighth seed, because what they leave behind ends most of the run: of each, half of
// what falls to it is asked for, or one in a hundred if that is less, and only where chance can't be the reason. No swarm draws
// those beyond Raft.
func (s *Summary) dead() {
	detectable := len(sim.ClassesOf(sim.Detectable))
	for _, c := range sim.Classes() {
		seen := s.Fired[c.ID].Seeds
		switch {
		case c.Tier == sim.Tolerated && seen*100 < s.Seeds:
			s.Dead = append(s.Dead, "fault "+c.ID)
		case c.Tier == sim.Detectable && s.Seeds >= judgedRarer && seen*max(100, 2*rareEvery*detectable) < s.Seeds:
			s.Dead = append(s.Dead, "fault "+c.ID)
		case c.Tier == sim.Detectable && s.Seeds >= judged && seen == 0:
			s.Unseen = append(s.Unseen, "fault "+c.ID)
		}
	}
	for _, p := range sim.Probes() {
		seen := s.Reached[p.ID].Seeds
		switch {
		case !p.Rare && seen*100 < s.Seeds, p.Rare && s.Seeds >= judgedRarer && seen*2*rareEvery*detectable < s.Seeds:
			s.Dead = append(s.Dead, "probe "+p.ID)
		case p.Rare && s.Seeds >= judged && seen == 0:
			s.Unseen = append(s.Unseen, "probe "+p.ID)
		}
	}
}

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
