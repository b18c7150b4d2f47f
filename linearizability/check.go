package linearizability

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
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

// KeyReport is the verdict on one key.
type KeyReport struct {
	Key     string
	Verdict Verdict
	Search  Verdict     // porcupine's alone
	Replay  Verdict     // of the commit order alone; "" without Options.Commits
	Reasons []string    // why not Linearizable, for people; may be empty when Prefix says it
	History []Operation // what was judged, in order of call
	Unknown int         // how many of them are of unknown outcome
	// Prefix is the shortest part of History, by time, that is already a violation; nil unless Search is Violation and
	// the time sufficed to find it. Its last return is the moment at which the violation shows.
	Prefix []Operation
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

// Check judges every key by itself (linearizability is local: a history is linearizable exactly when each key's part is)
// and gives the worst verdict for the whole: violation before undecided before linearizable.
func Check(ctx context.Context, history []Operation, opt Options) Report {
	start := time.Now()
	if opt.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opt.Timeout)
		defer cancel()
	}
	report := Report{Verdict: Linearizable, Operations: len(history)}
	for _, part := range report.partition(history) {
		report.Keys = append(report.Keys, checkKey(ctx, part))
	}
	slices.SortStableFunc(report.Keys, func(a, b KeyReport) int { return badness(b.Verdict) - badness(a.Verdict) })
	if len(report.Keys) > 0 {
		report.Verdict = report.Keys[0].Verdict
	}
	report.Elapsed = time.Since(start)
	return report
}

func badness(v Verdict) int {
	switch v {
	case Violation:
		return 2
	case Undecided:
		return 1
	}
	return 0
}

// partition drops what says nothing and splits the rest by key, smallest first: small violations are found and shown
// first, and a key too large to decide can't starve them.
func (r *Report) partition(history []Operation) [][]Operation {
	byKey := map[string][]Operation{}
	client := 0 // the first id no client has
	for _, o := range history {
		client = max(client, o.Client+1)
	}
	for _, o := range history {
		switch {
		case o.Kind == Get && o.Input.Consistency != "" && o.Input.Consistency != "linearizable":
			r.Weak++
			continue
		case o.Kind == Get && o.Output.Result == "", o.Outcome == NotApplied && o.Output.Result == "":
			r.Dropped++
			continue
		case o.Outcome == Unknown:
			o.Return, o.Client = Open, client // its client has gone on to other operations
			client++
		}
		r.Judged++
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	parts := make([][]Operation, 0, len(byKey))
	for _, part := range byKey {
		slices.SortStableFunc(part, func(a, b Operation) int { return compare(a.Call, b.Call) })
		parts = append(parts, part)
	}
	slices.SortFunc(parts, func(a, b []Operation) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a[0].Key, b[0].Key)
	})
	return parts
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func checkKey(ctx context.Context, part []Operation) KeyReport {
	report := KeyReport{Key: part[0].Key, History: part, Verdict: search(ctx, part)}
	for _, o := range part {
		if o.Outcome == Unknown {
			report.Unknown++
		}
	}
	if report.Verdict == Violation {
		report.Prefix = shortestViolation(ctx, part)
	}
	return report
}

// search asks porcupine for a linearization of the operations of one key.
func search(ctx context.Context, part []Operation) Verdict {
	if ctx.Err() != nil {
		return Undecided
	}
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		if timeout = time.Until(deadline); timeout <= 0 {
			return Undecided
		}
	}
	operations := make([]porcupine.Operation, len(part))
	for i := range part {
		o := &part[i]
		operations[i] = porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: o.Return}
	}
	switch porcupine.CheckOperationsTimeout(register(), operations, timeout) {
	case porcupine.Ok:
		return Linearizable
	case porcupine.Illegal:
		return Violation
	}
	return Undecided
}

// shortestViolation cuts the history at the first return by which it is a violation. What is under way at the cut counts
// as unknown; a history cut so is linearizable if the whole is, so the cuts can be searched by halves.
func shortestViolation(ctx context.Context, part []Operation) []Operation {
	var cuts []int64
	for _, o := range part {
		if o.Outcome != Unknown {
			cuts = append(cuts, o.Return)
		}
	}
	slices.Sort(cuts)
	low, high := 0, len(cuts)-1 // cuts[high] is known to violate
	for low < high {
		middle := (low + high) / 2
		switch search(ctx, cutAt(part, cuts[middle])) {
		case Violation:
			high = middle
		case Linearizable:
			low = middle + 1
		case Undecided:
			return nil
		}
	}
	return cutAt(part, cuts[high])
}

func cutAt(part []Operation, cut int64) []Operation {
	var kept []Operation
	for _, o := range part {
		switch {
		case o.Call > cut, o.Kind == Get && o.Return > cut:
			continue
		case o.Return > cut:
			o.Outcome, o.Output, o.Return = Unknown, Output{}, Open
		}
		kept = append(kept, o)
	}
	return kept
}
