package linearizability

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// FuzzCheck judges and reports any history with any commit log that can be read: nothing panics, all ends, and the two
// methods don't contradict each other.
func FuzzCheck(f *testing.F) {
	for i, d := range append([]defect{""}, defects...) {
		w := runWorld(worldConfig{seed: uint64(i), clients: 3, keys: 2, operations: 12, reads: 40, loss: 10, idempotent: 40, lists: 10, receipts: true, defect: d})
		history, commits := w.files(f)
		f.Add(history, commits)
	}
	for _, c := range replayCases {
		w := &world{history: c.history, commits: c.commits}
		history, commits := w.files(f)
		f.Add(history, commits)
	}
	f.Fuzz(func(t *testing.T, historyText, commitText string) {
		h, err := ReadHistory(strings.NewReader(historyText), "")
		if err != nil || len(h.Operations) > 60 {
			return
		}
		commits, err := ReadCommits(strings.NewReader(commitText))
		if err != nil {
			return
		}
		opt := Options{Model: h.Model, MaxMemory: 1 << 20, Timeout: 10 * time.Second, Workers: 1, Commits: append([]Commit{}, commits...)}
		r := Check(context.Background(), h.Operations, opt)
		if r.Verdict == Disagreement {
			t.Fatalf("%+v", r.Keys[0])
		}
		search := newSearchPage(context.Background(), h, r)
		if err := writeSummaryPage(io.Discard, h, r, search.notes); err != nil {
			t.Fatal(err)
		}
		if err := search.write(context.Background(), io.Discard, h.Annotations); err != nil {
			t.Fatal(err)
		}
	})
}

// files are the history and the commit log as they would be recorded.
func (w *world) files(tb testing.TB) (history, commits string) {
	tb.Helper()
	var h, c bytes.Buffer
	hw, cw := NewWriter(&h), NewCommitWriter(&c)
	for _, o := range w.history {
		if o.Outcome == Applied && o.Output == (Output{Result: OK}) && o.Kind != Delete && o.Kind != List {
			continue // a case by hand that only the model Register could read
		}
		if err := hw.Write(o); err != nil {
			tb.Fatal(err)
		}
	}
	for _, x := range w.commits {
		if err := cw.Write(x); err != nil {
			tb.Fatal(err)
		}
	}
	if err := hw.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := cw.Flush(); err != nil {
		tb.Fatal(err)
	}
	return h.String(), c.String()
}
