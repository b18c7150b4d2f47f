package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/linearizability"
)

// TestFoldersOfOthersAreRefused: before anything is read or written.
func TestFoldersOfOthersAreRefused(t *testing.T) {
	good := file(t, "good.jsonl", write1)
	for _, c := range []struct {
		name  string
		files map[string]string // "" is a folder, -> a link
		code  int
	}{
		{"new", nil, exitLinearizable},
		{"of an earlier report", map[string]string{reportMark: "x", "index.html": "old", "search.html": "old", "report.txt": "old"}, exitLinearizable},
		{"of an earlier report, with notes beside it", map[string]string{reportMark: "x", "index.html": "old", "notes.txt": "mine"}, exitLinearizable},
		{"somebody else's page", map[string]string{"index.html": "mine"}, exitUsage},
		{"somebody else's folder", map[string]string{"notes.txt": "mine"}, exitUsage},
		{"a folder in the way", map[string]string{reportMark: "x", "search.html": ""}, exitUsage},
		{"a link in the way", map[string]string{reportMark: "x", "report.txt": "-> " + good}, exitUsage},
		{"a mark that is a folder", map[string]string{reportMark: "", "index.html": "mine"}, exitUsage},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		for name, content := range c.files {
			path := filepath.Join(dir, name)
			target, link := strings.CutPrefix(content, "-> ")
			var err error
			switch {
			case content == "":
				err = os.MkdirAll(path, 0o700)
			case link:
				err = errors.Join(os.MkdirAll(dir, 0o700), os.Symlink(target, path))
			default:
				err = errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(path, []byte(content), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), []string{"--report", dir, good}, nil, &stdout, &stderr)
		if code != c.code || (code == exitUsage) != strings.Contains(stderr.String(), "--report") {
			t.Errorf("%s: exit code %d, want %d: %s%s", c.name, code, c.code, &stdout, &stderr)
		}
		for name, content := range c.files {
			now, err := os.ReadFile(filepath.Join(dir, name))
			ours := name == reportMark || strings.HasSuffix(name, ".html") || name == "report.txt"
			if kept := err == nil && string(now) == content; content != "" && !strings.HasPrefix(content, "-> ") && kept == (c.code == exitLinearizable && ours) {
				t.Errorf("%s: %s is %q (%v)", c.name, name, now, err)
			}
		}
		if c.code != exitLinearizable {
			continue
		}
		for _, name := range append(linearizability.ReportFiles(), reportMark) {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 10 {
				t.Errorf("%s: %s: %v", c.name, name, err)
			}
		}
	}
	if content, err := os.ReadFile(good); err != nil || string(content) != write1 {
		t.Error("a link was followed")
	}
}

// TestFolderFirst: the folder is looked at first, and made only for a history that can be read.
func TestFolderFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"--report", dir, file(t, "h", "{")}, nil, &stdout, &stderr); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder was made")
	}
	stderr.Reset()
	if code := run(context.Background(), []string{"--report", filepath.Dir(file(t, "mine", "x")), file(t, "h", "{")}, nil, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "holds mine") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}

// spoiler puts a file in the place of the report's folder as soon as the verdict is told.
type spoiler struct {
	bytes.Buffer
	dir string
	err error
}

func (s *spoiler) Write(b []byte) (int, error) {
	if s.dir != "" {
		s.err = errors.Join(s.err, os.RemoveAll(s.dir), os.WriteFile(s.dir, nil, 0o600))
	}
	return s.Buffer.Write(b)
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

// TestWhatCanNotBeToldChangesNoBadVerdict: a violation is one, also when the report of it fails.
func TestWhatCanNotBeToldChangesNoBadVerdict(t *testing.T) {
	for content, want := range map[string]int{write1 + write2 + fresh: exitUsage, write1 + write2 + stale: exitViolation, "": exitUndecided} {
		history := file(t, "h", content)
		stdout := &spoiler{dir: filepath.Join(t.TempDir(), "out")}
		var stderr bytes.Buffer
		if code := run(context.Background(), []string{"--report", stdout.dir, history}, nil, stdout, &stderr); code != want || stdout.err != nil || !strings.Contains(stderr.String(), "report") {
			t.Errorf("report: exit code %d, want %d (%v)\n%s", code, want, stdout.err, &stderr)
		}
		if code := run(context.Background(), []string{history}, nil, full{}, &stderr); code != want || !strings.Contains(stderr.String(), "no room") {
			t.Errorf("summary: exit code %d, want %d", code, want)
		}
	}
}

// TestAdvice: what to do about each lack.
func TestAdvice(t *testing.T) {
	report := func(lacks ...linearizability.Lack) (r linearizability.Report) {
		for _, l := range lacks {
			r.Keys = append(r.Keys, linearizability.KeyReport{Verdict: linearizability.Undecided, Lacked: l})
		}
		return r
	}
	for _, c := range []struct {
		name    string
		c       cli
		r       linearizability.Report
		want    []string
		without string
	}{
		{"memory", cli{Memory: 1024}, report(linearizability.LackOfMemory), []string{"--memory 4096", "--workers 1", "--commits FILE"}, "--timeout"},
		{"memory of one", cli{Memory: 1024, Workers: 1}, report(linearizability.LackOfMemory), []string{"--memory 4096"}, "--workers"},
		{"time", cli{Timeout: 5 * 60e9}, report(linearizability.LackOfTime), []string{"--timeout 20m0s", "--commits FILE"}, "--memory"},
		{"interrupted", cli{}, report(linearizability.Interrupted), []string{"interrupt"}, "--memory"},
		{"all, with commits", cli{Memory: 1, Timeout: 1e9, Commits: "c"}, report(linearizability.LackOfMemory, linearizability.LackOfTime), []string{"--memory 4", "--timeout 4s", "idempotency keys"}, "--commits"},
		{"nothing undecided", cli{}, linearizability.Report{Keys: []linearizability.KeyReport{{Verdict: linearizability.Violation}}}, nil, "What"},
	} {
		got := strings.Join(c.c.advice(c.r), "\n")
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q:\n%s", c.name, want, got)
			}
		}
		if strings.Contains(got, c.without) {
			t.Errorf("%s has %q:\n%s", c.name, c.without, got)
		}
	}
	if fmt.Sprint((&cli{}).advice(linearizability.Report{})) != "[]" {
		t.Error("advice for nothing")
	}
}
