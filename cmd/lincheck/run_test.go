package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/linearizability"
)

const (
	write1 = `{"op":"put","key":"x","input":{"value":"old"},"output":{"result":"ok","revision":1},"outcome":"applied","call":1,"return":2}` + "\n"
	write2 = `{"op":"put","key":"x","input":{"value":"new"},"output":{"result":"ok","revision":2},"outcome":"applied","call":3,"return":4}` + "\n"
	fresh  = `{"op":"get","key":"x","output":{"result":"ok","value":"new","revision":2},"outcome":"applied","call":5,"return":6}` + "\n"
	stale  = `{"op":"get","key":"x","output":{"result":"ok","value":"old","revision":1},"outcome":"applied","call":5,"return":6}` + "\n"
	edn    = "{:process 0 :type :invoke :f :write :value 1}\n{:process 0 :type :ok :f :write :value 1}\n{:process 0 :type :invoke :f :read}\n"
	commit = `{"shard":0,"index":7,"op":"put","key":"x","input":{"value":"old"},"output":{"result":"ok","revision":1}}` + "\n"
	later  = `{"shard":0,"index":8,"op":"put","key":"x","input":{"value":"new"},"output":{"result":"ok","revision":2}}` + "\n"
)

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVerdictsAndExitCodes(t *testing.T) {
	good := file(t, "good.jsonl", write1+write2+fresh)
	bad := file(t, "bad.jsonl", write1+write2+stale)
	commits := file(t, "commits.jsonl", commit+later)
	none := file(t, "none.jsonl", "")
	misspelt := file(t, "misspelt.jsonl", strings.Replace(stale, `"call"`, `"cal"`, 1))
	named := strings.ReplaceAll(edn, ":process 0", ":process :client-1")
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"good", []string{good}, exitLinearizable, "linearizable: 3 of 3 operations", ""},
		{"bad", []string{bad}, exitViolation, `get() -> "old"@1`, ""},
		{"standard input", []string{"-"}, exitLinearizable, "linearizable: 2 of 2", ""},
		{"both methods", []string{"--commits", commits, good}, exitLinearizable, "linearizable: 3 of 3", ""},
		{"both methods, bad", []string{"--commits", commits, bad}, exitViolation, "stale: get()", ""},
		{"nothing was committed", []string{"--commits", none, good}, exitViolation, "not among the commits", ""},
		{"register", []string{"--model", "register", file(t, "r", `{"op":"put","key":"x","input":{"value":"1"},"output":{"result":"ok"},"outcome":"applied","call":1,"return":2}`)}, exitLinearizable, "linearizable: 1 of 1", ""},
		{"register, but not said", []string{file(t, "r", `{"op":"put","key":"x","output":{"result":"ok"},"outcome":"applied","call":1,"return":2}`)}, exitUsage, "", "needs output.revision"},
		{"edn by its name", []string{file(t, "h.edn", edn+"{:process 0 :type :ok :f :read :value 1}")}, exitLinearizable, "linearizable: 2 of 2", ""},
		{"edn by flag", []string{"--format", "edn", file(t, "h", edn+"{:process 0 :type :ok :f :read :value 2}")}, exitViolation, "violation", ""},
		{"edn has no revisions", []string{"--format", "edn", "--model", "kvorum", good}, exitUsage, "", "no revisions"},
		{"damaged", []string{file(t, "h", write1+"{")}, exitUsage, "", "line 2"},
		{"damaged edn", []string{file(t, "h.edn", "{:process")}, exitUsage, "", "line 1"},
		{"damaged commits", []string{"--commits", file(t, "c", "{}"), good}, exitUsage, "", "line 1"},
		{"missing", []string{good + "x"}, exitUsage, "", "no such file"},
		{"missing commits", []string{"--commits", good + "x", good}, exitUsage, "", "no such file"},
		{"no file", nil, exitUsage, "", "--help"},
		{"odd model", []string{"--model", "queue", good}, exitUsage, "", "--model"},
		{"odd time", []string{"--timeout=-1s", good}, exitUsage, "", "negative"},
		{"odd memory", []string{"--memory", "0", good}, exitUsage, "", "--memory"},
		{"odd workers", []string{"--workers=-1", good}, exitUsage, "", "negative"},
		{"report can't be written", []string{"--report", good, good}, exitUsage, "", "report"},
		{"report can't be written, bad", []string{"--report", good, bad}, exitUsage, "", "report"},
		{"empty", []string{none}, exitUndecided, "undecided: 0 of 0 operations judged", ""},
		{"empty, and why", []string{none}, exitUndecided, "nothing was judged: the history has no operation", ""},
		{"nothing at all", []string{os.DevNull}, exitUndecided, "nothing was judged", ""},
		{"header only", []string{file(t, "h", `{"format":"kvorum-history","version":1}`)}, exitUndecided, "nothing was judged", ""},
		{"annotations only", []string{file(t, "h", `{"annotation":{"kind":"fault","text":"kill","start":1}}`)}, exitUndecided, "nothing was judged", ""},
		{"failed reads only", []string{file(t, "h", `{"op":"get","key":"x","outcome":"unknown","call":1}`)}, exitUndecided, "of 1 operations 1 said nothing", ""},
		{"empty edn", []string{file(t, "h.edn", "")}, exitUndecided, "nothing was judged", ""},
		{"a member is misspelt", []string{misspelt}, exitUsage, "", `line 1: unknown member "cal": did you mean "call"?`},
		{"a client with a name", []string{file(t, "h.edn", named)}, exitUsage, "", "line 1: :process :client-1 is neither"},
		{"edn contradicts itself", []string{file(t, "h.edn", edn+"{:process 0 :type :ok :f :write :value 1}")}, exitUsage, "", "line 4: process 0 called :read, and returns from :f :write"},
		{"edn in capitals", []string{file(t, "h.EDN", edn+"{:process 0 :type :ok :f :read :value 1}")}, exitLinearizable, "linearizable: 2 of 2", ""},
		{"edn without its name", []string{file(t, "h", edn)}, exitUsage, "", "--format edn"},
		{"jsonl as edn", []string{"--format", "edn", good}, exitUsage, "", "--format jsonl"},
		{"commits without revision", []string{"--commits", file(t, "c", `{"index":1,"op":"create","key":"x","output":{"result":"precondition-failed"}}`), good}, exitUsage, "", "line 1: result precondition-failed needs output.revision"},
		{"no time", []string{"--timeout", "1ns", good}, exitUndecided, "--timeout 4ns: more time", ""},
		{"no time, with commits", []string{"--timeout", "1ns", "--commits", commits, good}, exitLinearizable, "linearizable", ""},
		{"help", []string{"--help"}, 0, "Exit codes:", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(context.Background(), c.args, strings.NewReader(write1+write2), &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", code, c.code, &stdout, &stderr)
			}
		})
	}
}

func TestInterruptedIsUndecided(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	report := filepath.Join(t.TempDir(), "out")
	if code := run(ctx, []string{"--report", report, file(t, "h", write1)}, nil, &stdout, &stderr); code != exitUndecided || !strings.Contains(stdout.String(), "undecided") {
		t.Errorf("exit code %d\n%s%s", code, &stdout, &stderr)
	}
	for _, name := range []string{"index.html", "search.html", "report.txt"} {
		if _, err := os.Stat(filepath.Join(report, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestExitCodeOfEachVerdict(t *testing.T) {
	for v, want := range map[linearizability.Verdict]int{
		linearizability.Linearizable: 0, linearizability.Violation: 1, linearizability.Undecided: 3, linearizability.Disagreement: 3,
	} {
		if got := exitCode(v); got != want {
			t.Errorf("%s: %d, want %d", v, got, want)
		}
	}
}
