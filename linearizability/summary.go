package linearizability

import (
	"fmt"
	"io"
	"time"
)

// maxShown bounds how many keys and how many operations of a key a summary shows.
const (
	maxShownKeys       = 5
	maxShownOperations = 40
)

// WriteSummary writes the verdict for people: one line when all is well; what was seen, smallest key first, when not.
func (r Report) WriteSummary(w io.Writer) error {
	p := &printer{w: w}
	counts := map[Verdict]int{}
	for _, k := range r.Keys {
		counts[k.Verdict]++
	}
	if r.Run != "" {
		p.printf("%s\nThe history by itself is ", r.Run)
	}
	p.printf("%s: %d of %d operations judged (%d said nothing, %d weak reads) on %d keys in %s\n",
		r.Verdict, r.Judged, r.Operations, r.Dropped, r.Weak, len(r.Keys), r.Elapsed.Round(time.Millisecond))
	if r.Verdict == Linearizable {
		return p.err
	}
	if n := counts[Disagreement]; n > 0 {
		p.printf("ERROR: THE TWO METHODS CONTRADICT EACH OTHER ON %d KEYS. One of the checkers has a bug; trust neither.\n", n)
	}
	p.printf("%d keys in violation, %d undecided, %d linearizable\n", counts[Violation], counts[Undecided], counts[Linearizable])
	for i, k := range r.Keys {
		if k.Verdict == Linearizable {
			break
		}
		if i == maxShownKeys {
			p.printf("... and %d keys more\n", counts[Disagreement]+counts[Violation]+counts[Undecided]-maxShownKeys)
			break
		}
		k.writeSummary(p)
	}
	return p.err
}

func (k KeyReport) writeSummary(p *printer) {
	p.printf("\nkey %q: %s, %d operations, %d of unknown outcome\n", k.Key, k.Verdict, len(k.History), k.Unknown)
	if k.Replay != "" {
		p.printf("  search: %s, replay of the commits: %s\n", k.Search, k.Replay)
	}
	for _, reason := range k.Reasons {
		p.printf("  %s\n", reason)
	}
	if k.Search != Violation || len(k.History) == 0 {
		return
	}
	shown := k.History
	if k.Prefix != nil {
		shown = k.Prefix
		p.printf("  the first %d operations have no order that explains them; operations still under way count as unknown\n", len(shown))
	}
	if len(shown) > maxShownOperations {
		p.printf("  (the last %d of them)\n", maxShownOperations)
		shown = shown[len(shown)-maxShownOperations:]
	}
	for i := range shown {
		shown[i].writeSummary(p, k.History[0].Call)
	}
}

// writeSummary shows times in ms since the key's first call.
func (o *Operation) writeSummary(p *printer, zero int64) {
	end := "open"
	if o.Outcome != Unknown {
		end = fmt.Sprintf("%.3f", float64(o.Return-zero)/1e6)
	}
	p.printf("  %12.3f .. %12s ms  client %-4d %-8s %s", float64(o.Call-zero)/1e6, end, o.Client, o.Node, o)
	if o.Receipt != nil && o.Outcome != Unknown {
		p.printf("   term %d index %d %s", o.Receipt.Term, o.Receipt.Index, o.Receipt.Consistency)
	}
	p.printf("\n")
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
