package trial

import (
	"fmt"

	lin "github.com/kvorum/kvorum/linearizability"
)

// Caught is the first sign that something is wrong.
type Caught struct {
	Seconds float64 `json:"seconds"` // since the clients began
	By      string  `json:"by"`
}

// firstSign looks for the earliest moment from which on somebody who had only watched until then could have known. judged is when
// the verdict came: what has no moment of its own, such as states that differ, shows then.
func (r *Result) firstSign(judged int64) *Caught {
	if r.Verdict != Violation {
		return nil
	}
	at, by := judged, "the judgement at the end"
	for i := range r.Report.Keys {
		k := &r.Report.Keys[i]
		if shown := lastReturn(k.Prefix); k.Verdict == lin.Violation && len(k.Prefix) > 0 && shown < at {
			at, by = shown, fmt.Sprintf("the search of key %q", k.Key)
		}
	}
	for _, s := range r.strikes {
		if s.NotHealed != "" && s.to < at {
			at, by = s.to, fmt.Sprintf("%s at %.1fs, which did not heal", s.Nemesis, s.Began)
		}
	}
	return &Caught{milli(seconds(at)), by}
}

// lastReturn is the return of the operation that returned last. Some never did.
func lastReturn(operations []lin.Operation) (last int64) {
	for i := range operations {
		if at := operations[i].Return; at != lin.Open {
			last = max(last, at)
		}
	}
	return last
}
