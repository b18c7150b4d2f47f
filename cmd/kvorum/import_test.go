package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// wordFile makes a file of n different lines and gives its path.
func wordFile(t *testing.T, n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "word-%d\n", i)
	}
	return writeFile(t, "words", text.String())
}

func writeFile(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkWords fails unless the store holds exactly the n words, each written once.
func (s *fakeStore) checkWords(t *testing.T, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.values) != n || s.executed != n {
		t.Errorf("%d keys by %d writes, want %d by as many", len(s.values), s.executed, n)
	}
	for i := range n {
		if got, want := s.values[fmt.Sprintf("word-%d", i)], strconv.Itoa(i+1); got != want {
			t.Fatalf("word-%d: %q, want %q", i, got, want)
		}
	}
}

func (s *fakeStore) set(f func(*fakeStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func TestImportLines(t *testing.T) {
	s, url := newFakeStore(t)
	stdout, stderr, code := kvorum(t, "", "import", "--lines", wordFile(t, 3000), "--batch=100", "--endpoint", url)
	if code != exitOK || stderr != "" || !strings.HasPrefix(stdout, "3000 lines stored in ") {
		t.Fatal(stdout, stderr, code)
	}
	s.checkWords(t, 3000)
	if s.batches < 30 || s.batches > 200 {
		t.Errorf("%d batches", s.batches)
	}
}

func TestImportEntries(t *testing.T) {
	s, url := newFakeStore(t)
	in := `{"key":"a","value":"1"}
{"key_base64":"/w==","value_base64":"AAE="}

{"key":"b"}
not json
{"value":"no key"}
{"key":"refused","value":"x"}
{"key":"c","value":"last, without a line end","revision":7}`
	s.refuse = func(o wire.BatchOperation) wire.Code {
		if string(o.Key) == "refused" {
			return wire.CodeValueTooLarge
		}
		return ""
	}
	stdout, stderr, code := kvorum(t, in, "import", "-", "--endpoint", url)
	if code != exitFailed || !strings.Contains(stdout, "3 lines stored") || !strings.Contains(stdout, "4 refused") {
		t.Error(stdout, code)
	}
	for _, want := range []string{"line 4 refused: not an entry: no value", "line 5 refused: not an entry", "line 6 refused: no key", "line 7 refused: 413 value-too-large", "kvorum: 4 lines were refused"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q does not contain %q", stderr, want)
		}
	}
	if _, stored := s.values["b"]; stored || s.values["a"] != "1" || s.values["\xff"] != "\x00\x01" || s.values["c"] != "last, without a line end" {
		t.Errorf("%q", s.values)
	}
}

// Lines of one key end in their order, although requests are refused, hung up before and after they were executed.
func TestImportKeepsOrder(t *testing.T) {
	s, url := newFakeStore(t)
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, `{"key":"k%d","value":"%d"}`+"\n", i%5, i)
	}
	n := 0
	s.before = func(s *fakeStore, w http.ResponseWriter, r *http.Request) bool {
		switch n++; n % 4 {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			s.batch(discard{}, r)
			panic(http.ErrAbortHandler)
		}
		return false
	}
	refusals := 0
	s.refuse = func(wire.BatchOperation) wire.Code {
		if refusals++; refusals%3 == 1 {
			return wire.CodeOverloaded
		}
		return ""
	}
	_, stderr, code := kvorum(t, text.String(), "import", "-", "--endpoint", url, "--parallel=3", "--batch=50")
	if code != exitOK {
		t.Fatal(stderr)
	}
	for i := range 5 {
		if got, want := s.values[fmt.Sprintf("k%d", i)], strconv.Itoa(95+i); got != want {
			t.Errorf("k%d: %s, want %s", i, got, want)
		}
	}
	if s.executed != 100 {
		t.Errorf("%d writes of 100 lines", s.executed)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// The servers go away in the middle, half of the last batches executed. The import gives up; run again it goes on where it
// was, and no line is executed twice.
func TestImportResumes(t *testing.T) {
	s, url := newFakeStore(t)
	words, progress := wordFile(t, 5000), filepath.Join(t.TempDir(), "progress")
	s.before = func(s *fakeStore, _ http.ResponseWriter, r *http.Request) bool {
		if s.batches < 20 {
			return false
		}
		s.batch(discard{}, r)
		panic(http.ErrAbortHandler)
	}
	args := []string{"import", "--lines", words, "--progress", progress, "--batch=50", "--retry-for=300ms", "--attempts=1", "--endpoint", url}
	stdout, stderr, code := kvorum(t, "", args...)
	if code != exitUnknown || !strings.Contains(stderr, "run the same command again to go on") {
		t.Fatal(stdout, stderr, code)
	}
	first := readProgress(t, progress)
	if first.Line < 100 || first.Line > 4900 || first.Stored != first.Line {
		t.Fatalf("%+v", first)
	}
	s.set(func(s *fakeStore) { s.before = nil })
	stdout, stderr, code = kvorum(t, "", args...)
	if code != exitOK || !strings.Contains(stderr, "going on after line "+strconv.FormatInt(first.Line, 10)) || !strings.Contains(stdout, "5000 stored, 0 refused with the earlier runs") {
		t.Fatal(stdout, stderr, code)
	}
	s.checkWords(t, 5000)
	if last := readProgress(t, progress); last.Line != 5000 || last.Stored != 5000 {
		t.Errorf("%+v", last)
	}
	if stdout, _, code = kvorum(t, "", args...); code != exitOK || !strings.HasPrefix(stdout, "0 lines stored") {
		t.Error(stdout, code)
	}
}

func readProgress(t *testing.T, path string) (state progressState) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// Ctrl-C while a request is on its way.
func TestImportInterrupted(t *testing.T) {
	s, url := newFakeStore(t)
	words, progress := wordFile(t, 2000), filepath.Join(t.TempDir(), "progress")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s.before = func(s *fakeStore, _ http.ResponseWriter, r *http.Request) bool {
		if s.batches == 10 {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server sees that the client has gone
			interrupt()
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		return false
	}
	args := []string{"import", "--lines", words, "--progress", progress, "--batch=50", "--parallel=2", "--endpoint", url}
	_, stderr, code := kvorumIn(ctx, "", args...)
	if code != exitUnknown || !strings.Contains(stderr, "interrupted") {
		t.Fatal(stderr, code)
	}
	s.set(func(s *fakeStore) { s.before = nil })
	if stdout, stderr, code := kvorum(t, "", args...); code != exitOK {
		t.Fatal(stdout, stderr, code)
	}
	s.checkWords(t, 2000)
}
