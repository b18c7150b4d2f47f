package linearizability

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Verdict on a key or a history. Undecided is no licence: a run whose history can't be decided has not passed.
type Verdict string

const (
	Linearizable Verdict = "linearizable"
	Violation    Verdict = "violation"
	Undecided    Verdict = "undecided"
	// Disagreement: the replay found an order that explains everything and the search proved that there is none. One of
	// the two has a bug.
	Disagreement Verdict = "error"
)

// Lack is what did not suffice to decide a key.
type Lack string

const (
	LackOfTime   Lack = "time"
	LackOfMemory Lack = "memory"
	Interrupted  Lack = "interrupted" // the context ended before its time
)

// KeyReport is the verdict on one key.
type KeyReport struct {
	Key     string
	Verdict Verdict
	Search  Verdict     // porcupine's alone
	Lacked  Lack        // why Search is Undecided; else ""
	Replay  Verdict     // of the commit order alone; "" without Options.Commits
	Reasons []string    // why not Linearizable, for people; may be empty when Prefix says it
	History []Operation // what was judged, in order of call
	Unknown int         // how many of them are of unknown outcome
	// Prefix is the shortest part of History, by time, that is already a violation, as far as the time sufficed to find it;
	// nil unless Search is Violation. Its last return is the moment at which the violation shows.
	Prefix []Operation

	shows int64 // when a violation without Prefix shows, nanoseconds; Open if it is not known
}

// upTo is the part of History by the end of which the violation shows, as far as that is known; else all of it.
func (k *KeyReport) upTo() []Operation {
	switch {
	case k.Prefix != nil:
		return k.Prefix
	case k.Verdict != Linearizable && k.shows != Open:
		return cutAt(k.History, k.shows)
	}
	return k.History
}

// Report is the verdict on a history.
type Report struct {
	Verdict    Verdict
	Operations int         // in the history
	Judged     int         // of those
	Dropped    int         // said nothing: not applied, or a read that failed
	Weak       int         // reads that asked for less than linearizable
	Keys       []KeyReport // disagreements first, then violations, undecided, linearizable; within each the smallest history first
	Elapsed    time.Duration
	Start      int64    // of the history: its first call, nanoseconds. Times in texts and pages count from it
	Reasons    []string // why not Linearizable, where no key says it; for people

	// Advice may be set by who asked for the check: what can be done about what is undecided, in the words of that program.
	Advice []string
	// Run may be set by who made the history, when more is to be said of the whole run than the history shows, such as
	// "vacuous: only 12 writes". The pages begin with it, so that nobody takes "linearizable" for all there is.
	Run string
	// Besides may be set, too: text of fixed width that the page shows below the picture.
	Besides string
	// Files may be set, too: what lies beside the page and belongs to the run, such as logs, by its path from the page's folder.
	Files []string
}

// Options of Check. The zero value is fit for use.
type Options struct {
	Model Model // "": Kvorum
	// Timeout bounds the whole check; what is not decided by then is Undecided. 0: no bound.
	Timeout time.Duration
	// MaxMemory bounds what all searches together remember, bytes; a key that would need more is Undecided. 0: 1 GiB.
	MaxMemory int64
	// Workers judge so many keys at once. 0: one for each CPU.
	Workers int
	// Commits is the complete commit log; nil: only search. An empty one that is not nil says that nothing was committed.
	Commits []Commit
	// Progress is called after each key, never twice at once. May be nil.
	Progress func(Progress)
}

// Progress says how far Check is.
type Progress struct {
	Keys, TotalKeys             int // judged, of how many
	Operations, TotalOperations int
	Violations, Undecided       int // keys so far
}

// defaultMemory is Options.MaxMemory where none is given, bytes.
const defaultMemory = 1 << 30

func (opt Options) withDefaults() Options {
	if opt.Model == "" {
		opt.Model = Kvorum
	}
	if opt.MaxMemory <= 0 {
		opt.MaxMemory = defaultMemory
	}
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	return opt
}

// Check judges every key by itself (linearizability is local: a history is linearizable exactly when each key's part is)
// and gives the worst verdict for the whole: error before violation before undecided before linearizable. With
// Options.Commits each key is also judged by the order of its commits, and a verdict of either method decides.
//
// It ends soon after ctx does; what is not decided then is Undecided.
func Check(ctx context.Context, history []Operation, opt Options) Report {
	start := time.Now()
	opt = opt.withDefaults()
	if opt.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opt.Timeout)
		defer cancel()
	}
	report := Report{Verdict: Linearizable, Operations: len(history), Start: firstCall(history)}
	byKey := report.split(history)
	if opt.Commits != nil {
		attach(byKey, opt.Commits)
	}
	report.Keys = checkAll(ctx, inOrder(byKey), opt)
	slices.SortStableFunc(report.Keys, func(a, b KeyReport) int { return b.Verdict.badness() - a.Verdict.badness() })
	if len(report.Keys) > 0 {
		report.Verdict = report.Keys[0].Verdict
	}
	if report.Judged == 0 {
		report.nothingJudged()
	}
	report.Elapsed = time.Since(start)
	return report
}

// nothingJudged: of which nothing is known that is not linearizable.
func (r *Report) nothingJudged() {
	reason := "nothing was judged: the history has no operation"
	if r.Operations > 0 {
		reason = fmt.Sprintf("nothing was judged: of %d operations %d said nothing (reads that failed, writes that were not applied), %d are reads that asked for less than linearizable",
			r.Operations, r.Dropped, r.Weak)
	}
	r.Reasons = append(r.Reasons, reason)
	if r.Verdict == Linearizable {
		r.Verdict = Undecided
	}
}

func firstCall(history []Operation) int64 {
	var first int64
	for i := range history {
		if i == 0 || history[i].Call < first {
			first = history[i].Call
		}
	}
	return first
}

func (v Verdict) badness() int {
	switch v {
	case Disagreement:
		return 3
	case Violation:
		return 2
	case Undecided:
		return 1
	}
	return 0
}

// inOrder sorts the parts, smallest first: small violations are found and shown first, and a key too large to decide can't
// starve them. Keys of which nothing is known are left out.
func inOrder(byKey map[string]*part) []*part {
	var parts []*part
	for _, p := range byKey {
		if len(p.history)+len(p.commits) > 0 {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b *part) int {
		return cmp.Or(cmp.Compare(len(a.history), len(b.history)), cmp.Compare(len(a.commits), len(b.commits)), cmp.Compare(a.key, b.key))
	})
	return parts
}

// checkAll judges the parts, several at once, and keeps their order.
func checkAll(ctx context.Context, parts []*part, opt Options) []KeyReport {
	workers := max(1, min(opt.Workers, len(parts)))
	s := searcher{model: opt.Model, memory: opt.MaxMemory / int64(workers), workers: workers, timeout: opt.Timeout}
	reports := make([]KeyReport, len(parts))
	jobs := make(chan int)
	progress := newProgressCounter(parts, opt.Progress)
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for i := range jobs {
				reports[i] = s.checkKey(ctx, parts[i], opt.Commits != nil)
				progress.add(reports[i])
			}
		})
	}
	for i := range parts {
		jobs <- i
	}
	close(jobs)
	done.Wait()
	return reports
}

func (s searcher) checkKey(ctx context.Context, p *part, committed bool) KeyReport {
	r := KeyReport{Key: p.key, History: p.history, Reasons: p.faults, shows: p.shows}
	for _, o := range p.history {
		if o.Outcome == Unknown {
			r.Unknown++
		}
	}
	if committed {
		var why []string
		var shows int64
		r.Replay, why, shows = s.model.replay(p)
		r.Reasons, r.shows = append(slices.Clip(r.Reasons), why...), min(r.shows, shows)
	}
	if len(p.faults) > 0 {
		r.Search = Violation
	} else {
		r.Search, r.Lacked, r.Prefix = s.searchWithPrefix(ctx, p.history)
	}
	r.Verdict = agree(r.Search, r.Replay)
	if r.Verdict == Undecided {
		r.Reasons = append(slices.Clip(r.Reasons), s.why(r.Lacked))
	}
	if r.Verdict == Disagreement {
		r.Reasons = append(r.Reasons, "the order of the commits explains every reply, and yet the search says that no order does: one of the two checkers is wrong")
	}
	return r
}

// searchWithPrefix spends no more on the prefix than three times what the verdict took, or two seconds.
func (s searcher) searchWithPrefix(ctx context.Context, history []Operation) (Verdict, Lack, []Operation) {
	start := time.Now()
	verdict, lacked := s.search(ctx, history)
	if verdict != Violation {
		return verdict, lacked, nil
	}
	ctx, cancel := context.WithTimeout(ctx, max(2*time.Second, 3*time.Since(start)))
	defer cancel()
	return verdict, "", s.shortestViolation(ctx, history)
}

// agree makes one verdict of two. The replay is the stricter method, as it allows one order only: a violation of that order
// may be linearizable in another, but not the other way round.
func agree(search, replay Verdict) Verdict {
	switch {
	case replay == "":
		return search
	case search == Violation && replay == Linearizable:
		return Disagreement
	case search == Violation || replay == Violation:
		return Violation
	case search == Linearizable || replay == Linearizable:
		return Linearizable
	}
	return Undecided
}

// progressCounter tells Options.Progress what was done so far.
type progressCounter struct {
	mu   sync.Mutex
	now  Progress
	tell func(Progress)
}

func newProgressCounter(parts []*part, tell func(Progress)) *progressCounter {
	c := &progressCounter{tell: tell, now: Progress{TotalKeys: len(parts)}}
	for _, p := range parts {
		c.now.TotalOperations += len(p.history)
	}
	return c
}

func (c *progressCounter) add(r KeyReport) {
	if c.tell == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Keys++
	c.now.Operations += len(r.History)
	switch r.Verdict {
	case Violation, Disagreement:
		c.now.Violations++
	case Undecided:
		c.now.Undecided++
	}
	c.tell(c.now)
}
