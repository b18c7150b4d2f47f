package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// After five minutes all keys are new: half-forgotten ones could bring back an older line.
func TestResumeAfterLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress")
	state := progressState{ImportID: "old", Line: 3, Offset: 30}
	for age, same := range map[time.Duration]bool{time.Minute: true, 6 * time.Minute: false, -time.Hour: false} {
		state.Since = time.Now().Add(-age)
		if err := state.save(path, 30, "sum"); err != nil {
			t.Fatal(err)
		}
		loaded, err := loadProgress(path, false)
		if err != nil || (loaded.ImportID == "old") != same || loaded.Line != 3 {
			t.Errorf("%s: %+v, %v", age, loaded, err)
		}
	}
}

func TestImportRefusesAnotherFile(t *testing.T) {
	_, url := newFakeStore(t)
	progress := filepath.Join(t.TempDir(), "progress")
	begin := func(file string, flags ...string) (string, int) {
		_, stderr, code := kvorum(t, "", append([]string{"import", file, "--progress", progress, "--endpoint", url}, flags...)...)
		return stderr, code
	}
	if stderr, code := begin(wordFile(t, 100), "--lines"); code != exitOK {
		t.Fatal(stderr)
	}
	if stderr, code := begin(writeFile(t, "other", strings.Repeat("other\n", 1000)), "--lines"); code != exitFailed || !strings.Contains(stderr, "does not begin as") {
		t.Error(stderr, code)
	}
	if stderr, code := begin(wordFile(t, 10), "--lines"); code != exitFailed || !strings.Contains(stderr, "shorter") {
		t.Error(stderr, code)
	}
	if stderr, code := begin(wordFile(t, 100)); code != exitFailed || !strings.Contains(stderr, "--lines=true") {
		t.Error(stderr, code)
	}
	if stderr, code := begin(wordFile(t, 120), "--lines"); code != exitOK {
		t.Error("a file that has grown goes on:", stderr, code)
	}
	for _, text := range []string{"{", "{}", `{"import_id":"x","offset":-1}`} {
		if err := os.WriteFile(progress, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if stderr, code := begin(wordFile(t, 100), "--lines"); code != exitFailed || !strings.Contains(stderr, "remove") {
			t.Error(stderr, code)
		}
	}
}

// What no repetition can mend ends at once; a full idempotency store is explained once and waited for.
func TestImportTroubles(t *testing.T) {
	s, url := newFakeStore(t)
	s.before = func(_ *fakeStore, w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "no such page", http.StatusNotFound)
		return true
	}
	started := time.Now()
	if _, stderr, code := kvorum(t, "", "import", "--lines", wordFile(t, 100), "--endpoint", url); code == exitOK || time.Since(started) > 20*time.Second {
		t.Error(stderr, code)
	}
	refusals := 0
	s.set(func(s *fakeStore) {
		s.before = nil
		s.refuse = func(wire.BatchOperation) wire.Code {
			if refusals++; refusals < 250 {
				return wire.CodeIdempotencyFull
			}
			return ""
		}
	})
	_, stderr, code := kvorum(t, "", "import", "--lines", wordFile(t, 100), "--endpoint", url)
	if code != exitOK || strings.Count(stderr, "--no-idempotency-keys") != 1 {
		t.Error(stderr, code)
	}
	s.checkWords(t, 100)
	if _, stderr, code := kvorum(t, "", "import", "--lines", wordFile(t, 100), "--no-idempotency-keys", "--endpoint", url); code != exitOK || s.executed != 200 {
		t.Error(stderr, code, s.executed)
	}
}

// A value above the bound of a batch goes by itself.
func TestImportLargeValue(t *testing.T) {
	s, url := newFakeStore(t)
	large := strings.Repeat("v", importBatchBytes+1)
	in := `{"key":"a","value":"1"}` + "\n" + `{"key":"large","value":"` + large + `"}` + "\n" + `{"key":"b","value":"2"}` + "\n"
	if stdout, stderr, code := kvorum(t, in, "import", "-", "--parallel=1", "--endpoint", url); code != exitOK {
		t.Fatal(stdout, stderr, code)
	}
	if s.values["large"] != large || s.values["b"] != "2" || s.executed != 3 {
		t.Error(len(s.values["large"]), s.executed)
	}
}

// A pipe that says nothing does not keep an interrupted command alive.
func TestInterruptedInput(t *testing.T) {
	_, url := newFakeStore(t)
	for _, args := range [][]string{{"put", "k"}, {"import", "-"}} {
		silent, writer := io.Pipe()
		ctx, interrupt := context.WithCancel(t.Context())
		go func() {
			_, _ = writer.Write([]byte("{\"key\":\"a\"}\n")) // taken: the command is reading
			interrupt()
		}()
		var out strings.Builder
		if code := run(ctx, append(args, "--endpoint", url), silent, &out, &out); code == exitOK {
			t.Errorf("%q: %s", args, &out)
		}
		_ = writer.Close()
	}
}
