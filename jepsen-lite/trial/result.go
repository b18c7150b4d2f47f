package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kvorum/kvorum/internal/rig"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/workload"
)

// Verdict on a trial.
type Verdict string

// Verdicts, besides those on the history.
const (
	Linearizable = Verdict(lin.Linearizable)
	Violation    = Verdict(lin.Violation) // also: something else that was promised did not hold, see Findings
	Undecided    = Verdict(lin.Undecided)
	Vacuous      = Verdict("vacuous")  // too few writes were acknowledged to prove anything
	Unproved     = Verdict("unproved") // a nemesis is not known to have taken effect
)

// Fired is what one nemesis did in a trial.
type Fired struct {
	Fired  int `json:"fired"`
	Proved int `json:"proved"` // to have taken effect
}

// Result is what a trial came to: result.json, and the last line of the program.
type Result struct {
	Seed      uint64   `json:"seed"`
	Target    string   `json:"target"`
	Through   string   `json:"through"`
	Verdict   Verdict  `json:"verdict"`
	Caught    *Caught  `json:"caught,omitempty"` // of a violation: when it showed first
	DecidedBy []string `json:"decided_by"`       // methods that judged the history
	// NoReplay says why the order of the commits is not known, so that the search judged alone.
	NoReplay   string              `json:"no_replay,omitempty"`
	Operations map[lin.Outcome]int `json:"operations"`
	Writes     int                 `json:"writes_acknowledged"` // not counting those of the probes
	Appends    int                 `json:"list_appends_acknowledged"`
	WeakReads  int                 `json:"weak_reads_judged"` // bounded, stale, or of sessions; by the order of the commits, so 0 without it
	Nemeses    map[string]Fired    `json:"nemeses"`
	Longest    Gap                 `json:"longest_without_service"` // on the clients' way
	Outages    []Outages           `json:"time_without_service"`
	Seconds    float64             `json:"seconds"` // that the clients worked
	Leaders    int                 `json:"leader_terms"`
	// Findings are promises that did not hold, besides linearizability; Doubts why the trial proves less than it should.
	Findings []string `json:"findings,omitempty"`
	Doubts   []string `json:"doubts,omitempty"`
	// BeyondRaft labels a trial in which something struck that Raft does not promise to survive, and why: a violation was to be
	// expected, and is none of the program's.
	BeyondRaft  map[string]string `json:"beyond_raft,omitempty"`
	LeftOut     map[string]string `json:"left_out,omitempty"` // nemeses that can't be had here, and why
	NoRoom      []string          `json:"no_room,omitempty"`  // nemeses for which the time was too short
	Interrupted bool              `json:"interrupted,omitempty"`
	Folder      string            `json:"folder"`

	Report lin.Report `json:"-"`

	reads   int            // linearizable ones that were answered
	written map[uint32]int // writes acknowledged, by shard

	clock   func() int64 // the history's
	strikes []Struck
	to      int64 // when the clients were told to stop; they began at 0
}

func newResult(c Config) *Result {
	return &Result{Seed: c.Seed, Target: c.Target, Through: c.Through, DecidedBy: []string{"search"}, Nemeses: map[string]Fired{}, BeyondRaft: map[string]string{}, LeftOut: c.LeftOut, NoRoom: c.NoRoom, Folder: c.Out}
}

// leastWrites are how many acknowledged writes a second of a trial must have on average, a shard its part of them, and as many
// linearizable reads, or it proves nothing.
const leastWrites = 5

// finish judges the history and writes the folder.
func (r *Result) finish(ctx context.Context, c Config, h lin.History, crowd *crowd, known order) error {
	r.measure(c, h, crowd)
	r.Findings = append(r.Findings, known.findings...)
	if known.commits != nil {
		r.DecidedBy = append(r.DecidedBy, "replay")
		r.judgeWeak(known.commits, h.Operations)
	}
	r.NoReplay = known.why
	c.Say("judging %d operations by %s", len(h.Operations), strings.Join(r.DecidedBy, " and "))
	r.Report = lin.Check(ctx, h.Operations, lin.Options{Timeout: c.CheckTime, Commits: known.commits})
	r.judge(c)
	r.Caught = r.firstSign(r.clock())
	r.Report.Run, r.Report.Besides, r.Report.Files = r.says(), r.besides(), files(c.Out, known)
	folder := func(name string) string { return filepath.Join(c.Out, name) }
	err := errors.Join(
		rig.WriteFile(folder(HistoryFile), func(w io.Writer) error { return rig.WriteHistory(w, h) }),
		rig.WriteFile(folder(ResultFile), r.write),
		known.write(folder(CommitsFile)),
		lin.WriteReport(ctx, folder(ReportFolder), r.before(h), r.Report),
	)
	if r.Verdict == Linearizable {
		err = errors.Join(err, os.RemoveAll(folder(dataFolder)))
	}
	return err
}

// files are those of the run's folder that the report leads to, as seen from the report's.
func files(out string, known order) []string {
	all := []string{"../" + ResultFile, "../" + ScheduleFile, "../" + HistoryFile}
	if known.commits != nil {
		all = append(all, "../"+CommitsFile)
	}
	logs, _ := filepath.Glob(filepath.Join(out, logFolder, "*.log")) // its only error is a malformed pattern
	for _, name := range logs {
		all = append(all, "../"+logFolder+"/"+filepath.Base(name))
	}
	return all
}

// mostWeak bounds how many weak reads that broke their promise are told one by one.
const mostWeak = 10

// judgeWeak judges the reads that the search leaves out.
func (r *Result) judgeWeak(order []lin.Commit, operations []lin.Operation) {
	var broken []workload.Broken
	r.WeakReads, broken = workload.JudgeWeakReads(order, operations)
	for _, b := range broken[:min(len(broken), mostWeak)] {
		r.Findings = append(r.Findings, b.Promise+": "+b.Detail)
	}
	if more := len(broken) - mostWeak; more > 0 {
		r.Findings = append(r.Findings, fmt.Sprintf("%s: and %d more reads", broken[mostWeak].Promise, more))
	}
}

// before is the history without the reads at the end, which would dwarf everything else on the report's axes.
func (r *Result) before(h lin.History) lin.History {
	shown := lin.History{Model: h.Model, Annotations: h.Annotations}
	for i := range h.Operations {
		if h.Operations[i].Call <= r.to {
			shown.Operations = append(shown.Operations, h.Operations[i])
		}
	}
	return shown
}

// measure counts.
func (r *Result) measure(c Config, h lin.History, crowd *crowd) {
	r.written = map[uint32]int{}
	r.Operations = map[lin.Outcome]int{lin.Applied: 0, lin.NotApplied: 0, lin.Unknown: 0}
	for i := range h.Operations {
		o := &h.Operations[i]
		r.Operations[o.Outcome]++
		if o.Kind == lin.Get && o.Outcome == lin.Applied && !o.Weak() && o.Call <= r.to {
			r.reads++
		}
		if _, probe := crowd.probes[o.Client]; !probe && acknowledgedWrite(o) {
			r.Writes++
			if o.Receipt != nil {
				r.written[o.Receipt.Shard]++
			}
			if slices.Contains(crowd.lists, o.Key) {
				r.Appends++
			}
		}
	}
	r.Seconds, r.Leaders = milli(seconds(r.to)), len(leaders(h.Operations))
	ways := services(h.Operations, c, crowd, r.to)
	r.Longest = ways[c.Through].longest(0, r.to)
	for i := range r.strikes {
		strike := &r.strikes[i]
		strike.Without = map[string]Gap{}
		for way, s := range ways {
			strike.Without[way] = s.longest(strike.from, strike.to, strike.shards()...)
		}
	}
	r.Outages = TimesWithoutService(r.strikes)
}

// judge makes one verdict of everything.
func (r *Result) judge(c Config) {
	for _, n := range c.Nemeses {
		if n.Beyond != "" && slices.ContainsFunc(r.strikes, func(s Struck) bool { return s.Nemesis == n.Name }) {
			r.BeyondRaft[n.Name] = n.Beyond
		}
	}
	for _, s := range r.strikes {
		f := r.Nemeses[s.Nemesis]
		f.Fired++
		if s.NotProved == "" {
			f.Proved++
		} else {
			r.Doubts = append(r.Doubts, fmt.Sprintf("%s at %.1fs: %s", s.Nemesis, s.Began, s.NotProved))
		}
		r.Nemeses[s.Nemesis] = f
		if s.NotHealed != "" {
			r.Findings = append(r.Findings, fmt.Sprintf("%s at %.1fs: %s", s.Nemesis, s.Began, s.NotHealed))
		}
	}
	unproved := len(r.Doubts) > 0
	if missing := len(c.Schedule.Strikes) - len(r.strikes); missing > 0 {
		unproved = true
		r.Doubts = append(r.Doubts, fmt.Sprintf("%d strikes of the schedule never began", missing))
	}
	vacuous := r.tooLittle(c)
	r.Doubts = append(r.Doubts, vacuous...)
	if r.Interrupted {
		r.Doubts = append(r.Doubts, "it was interrupted")
	}
	switch {
	case len(r.Findings) > 0 || r.Report.Verdict == lin.Violation:
		r.Verdict = Violation
	case r.Report.Verdict != lin.Linearizable:
		r.Verdict = Verdict(r.Report.Verdict)
	case r.Interrupted:
		r.Verdict = Undecided
	case len(vacuous) > 0:
		r.Verdict = Vacuous
	case unproved:
		r.Verdict = Unproved
	default:
		r.Verdict = Linearizable
	}
}

// tooLittle says what there was too little of to prove anything.
func (r *Result) tooLittle(c Config) (doubts []string) {
	least := int(leastWrites * c.Time.Seconds())
	if r.Writes < least {
		doubts = append(doubts, fmt.Sprintf("only %d writes were acknowledged, fewer than %d prove too little", r.Writes, least))
	}
	for shard := range uint32(c.Shards) {
		if n := r.written[shard]; n < least/c.Shards {
			doubts = append(doubts, fmt.Sprintf("only %d writes were acknowledged in shard %d, fewer than %d prove too little", n, shard, least/c.Shards))
		}
	}
	if r.reads < least {
		doubts = append(doubts, fmt.Sprintf("only %d linearizable reads were answered, fewer than %d prove too little", r.reads, least))
	}
	return doubts
}
