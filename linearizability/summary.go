package linearizability

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// maxShown bounds how many keys and how many operations of a key a summary shows.
const (
	maxShownKeys       = 5
	maxShownOperations = 40
)

// WriteSummary writes the verdict for people: one line when all is well; what was seen, smallest key first, when not. Times
// are those of the pages, too: since the first call of the history.
func (r Report) WriteSummary(w io.Writer) error {
	p := &printer{w: w}
	if r.Run != "" {
		p.printf("%s\nThe history by itself is ", r.Run)
	}
	p.printf("%s: %d of %d operations judged (%d said nothing, %d weak reads) on %d keys in %s\n",
		r.Verdict, r.Judged, r.Operations, r.Dropped, r.Weak, len(r.Keys), r.Elapsed.Round(time.Millisecond))
	if r.Verdict == Linearizable {
		return p.err
	}
	for _, reason := range r.Reasons {
		p.printf("%s\n", reason)
	}
	r.writeKeys(p)
	if len(r.Advice) > 0 {
		p.printf("\n")
	}
	for _, line := range r.Advice {
		p.printf("%s\n", line)
	}
	return p.err
}

func (r Report) writeKeys(p *printer) {
	counts := map[Verdict]int{}
	for _, k := range r.Keys {
		counts[k.Verdict]++
	}
	if n := counts[Disagreement]; n > 0 {
		p.printf("ERROR: THE TWO METHODS CONTRADICT EACH OTHER ON %d KEYS. One of the checkers has a bug; trust neither.\n", n)
	}
	if len(r.Keys) > 0 {
		p.printf("%d keys in violation, %d undecided, %d linearizable\n", counts[Violation], counts[Undecided], counts[Linearizable])
	}
	for i, k := range r.Keys {
		if k.Verdict == Linearizable {
			break
		}
		if i == maxShownKeys {
			p.printf("... and %d keys more\n", counts[Disagreement]+counts[Violation]+counts[Undecided]-maxShownKeys)
			break
		}
		k.writeSummary(p, r.Start)
	}
}

// writeSummary shows times in ms since zero.
func (k KeyReport) writeSummary(p *printer, zero int64) {
	p.printf("\nkey %s: %s, %d operations, %d of unknown outcome\n", quote(k.Key), k.Verdict, len(k.History), k.Unknown)
	if k.Replay != "" {
		p.printf("  search: %s, replay of the commits: %s\n", k.Search, k.Replay)
	}
	for _, reason := range k.Reasons {
		p.printf("  %s\n", reason)
	}
	if k.Search != Violation || len(k.History) == 0 {
		return
	}
	shown := k.upTo()
	if k.Prefix != nil {
		p.printf("  the first %d operations have no order that explains them; operations still under way count as unknown\n", len(shown))
		if o := lastReturned(shown); o != nil {
			p.printf("  it shows when %s of client %d returns, at %.3f ms\n", o, o.Client, milliseconds(o.Return-zero))
		}
	}
	if len(shown) > maxShownOperations {
		p.printf("  (the last %d of them)\n", maxShownOperations)
		shown = latest(shown, maxShownOperations)
	}
	p.printf("  times are since the first call of the history\n")
	for i := range shown {
		shown[i].writeSummary(p, zero)
	}
}

func (o *Operation) writeSummary(p *printer, zero int64) {
	p.printf("  %12.3f .. %12s ms  client %-4d %-8s %s", milliseconds(o.Call-zero), o.end(zero), o.Client, clip(o.Node, maxShownBytes), o)
	if o.Receipt != nil && o.Outcome != Unknown {
		p.printf("   term %d index %d %s", o.Receipt.Term, o.Receipt.Index, clip(o.Receipt.Consistency, maxShownBytes))
	}
	p.printf("\n")
}

// end is when the operation returned, in ms since zero.
func (o *Operation) end(zero int64) string {
	if o.Outcome == Unknown {
		return "open"
	}
	return fmt.Sprintf("%.3f", milliseconds(o.Return-zero))
}

func milliseconds(t int64) float64 { return float64(t) / 1e6 }

// lastReturned is the operation with the last return, nil if none has returned.
func lastReturned(history []Operation) *Operation {
	var last *Operation
	for i := range history {
		if o := &history[i]; o.Outcome != Unknown && (last == nil || o.Return > last.Return) {
			last = o
		}
	}
	return last
}

// latest is the n operations of a history in order of call that returned last, or were called last if nobody knows their
// end. One that was long under way may be the one that matters.
func latest(history []Operation, n int) []Operation {
	order := make([]int, len(history))
	for i := range order {
		order[i] = i
	}
	moment := func(i int) int64 {
		if history[i].Outcome == Unknown {
			return history[i].Call
		}
		return history[i].Return
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(moment(a), moment(b)) })
	order = order[max(0, len(order)-n):]
	slices.Sort(order)
	shown := make([]Operation, len(order))
	for k, i := range order {
		shown[k] = history[i]
	}
	return shown
}

// printer keeps the first error, so that the text can be written line by line.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
