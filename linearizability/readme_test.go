package linearizability

import (
	"context"
	"os"
	"strings"
	"testing"
)

// TestExamplesOfTheREADME: what is copied from it can be read, and is linearizable.
func TestExamplesOfTheREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var history, commits, edn []string
	into := &history
	for line := range strings.Lines(string(text)) {
		example, ok := strings.CutPrefix(line, "    ")
		switch {
		case !ok:
		case strings.HasPrefix(example, "{:"):
			edn = append(edn, example)
		case strings.Contains(example, commitFormat):
			into = &commits
			fallthrough
		default:
			*into = append(*into, example)
		}
	}
	h, err := ReadHistory(strings.NewReader(strings.Join(history, "")), "")
	if err != nil || len(h.Operations) != 6 || len(h.Annotations) != 1 {
		t.Fatalf("%d operations, %d annotations: %v", len(h.Operations), len(h.Annotations), err)
	}
	order, err := ReadCommits(strings.NewReader(strings.Join(commits, "")))
	if err != nil || len(order) != 3 {
		t.Fatalf("%d commits: %v", len(order), err)
	}
	if r := Check(context.Background(), h.Operations, Options{Commits: order}); r.Verdict != Linearizable {
		t.Errorf("%s: %+v", r.Verdict, r.Keys[0])
	}
	registers, err := ReadEDN(strings.NewReader(strings.Join(edn, "")))
	if err != nil || len(registers.Operations) != 2 || len(registers.Annotations) != 1 {
		t.Fatalf("%d operations: %v", len(registers.Operations), err)
	}
	if r := Check(context.Background(), registers.Operations, Options{Model: registers.Model}); r.Verdict != Linearizable {
		t.Error(r.Verdict)
	}
}
