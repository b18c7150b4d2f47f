package trial

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Full is what stands in a folder's result.json: the result with each strike.
type Full struct {
	*Result
	Strikes []Struck `json:"strikes"`
}

// Load reads the result of the trial that left the folder.
func Load(folder string) (Full, error) {
	var f Full
	content, err := os.ReadFile(filepath.Join(folder, ResultFile))
	if err == nil {
		err = json.Unmarshal(content, &f)
	}
	if err == nil && (f.Result == nil || f.Verdict == "") {
		err = fmt.Errorf("no result of a trial")
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", folder, err)
	}
	return f, nil
}

func (r *Result) write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(Full{r, r.strikes})
}

// says is what the report begins with: the verdict on the trial and why, where it is not that on the history; else "".
func (r *Result) says() string {
	if r.Verdict == Verdict(r.Report.Verdict) && len(r.Findings) == 0 {
		return ""
	}
	return strings.TrimSuffix(fmt.Sprintf("%s: %s", r.Verdict, strings.Join(append(append([]string(nil), r.Findings...), r.Doubts...), "; ")), ": ")
}

// besides says what the history does not: of which run it is, what was judged otherwise, each strike with its proof, and the table of
// times without service.
func (r *Result) besides() string {
	var text strings.Builder
	fmt.Fprintf(&text, "jepsen-lite, seed %d, target %s, through %s, %.0f s.\n", r.Seed, r.Target, r.Through, r.Seconds)
	if r.NoReplay != "" {
		fmt.Fprintf(&text, "Not judged by the order of the commits: %s.\n", r.NoReplay)
	} else {
		fmt.Fprintf(&text, "%d weak reads (bounded, stale, of sessions) judged by the order of the commits.\n", r.WeakReads)
	}
	for _, s := range r.strikes {
		fmt.Fprintf(&text, "%7.1f s to %.1f s  %s: %s", s.Began, s.Ended, s.Nemesis, strings.Join(s.Victims, ", "))
		for _, said := range []string{s.Proof, s.NotProved, s.NotHealed} {
			if said != "" {
				text.WriteString("; " + said)
			}
		}
		text.WriteByte('\n')
	}
	if len(r.Outages) == 0 {
		return text.String()
	}
	text.WriteString("\nTime without service, for each strike the longest from its injection, or a later write, to its shard's next acknowledged write:\n\n")
	if err := WriteOutages(&text, r.Outages); err != nil {
		panic(err) // a strings.Builder gives none
	}
	return text.String()
}
