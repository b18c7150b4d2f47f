package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kvorum/kvorum/client"
)

// sameKeysFor bounds how long a resumed import goes on under the idempotency keys of the run before. Within it lines that
// are sent again are recognised. Later the servers may have forgotten some keys and not yet others (they keep them for ten
// minutes): of two lines of one key, the older could be written again and the newer not. Then all get new keys.
const sameKeysFor = 5 * time.Minute

// progressState is the progress file: all lines up to Line, which end at Offset, are stored or were refused for good.
type progressState struct {
	ImportID  string    `json:"import_id"`
	AsLines   bool      `json:"lines"`
	Line      int64     `json:"line"`
	Offset    int64     `json:"offset"`
	Stored    int64     `json:"stored"`
	Refused   int64     `json:"refused"`
	Since     time.Time `json:"since"` // nothing behind Line was sent before
	HeadBytes int64     `json:"head_bytes"`
	HeadSum   string    `json:"head_sha256"`
}

// loadProgress reads a progress file; without one (or without a path) it begins anew.
func loadProgress(path string, asLines bool) (progressState, error) {
	fresh := progressState{ImportID: client.NewIdempotencyKey()[:16], AsLines: asLines}
	if path == "" {
		return fresh, nil
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	var state progressState
	if err == nil {
		err = json.Unmarshal(raw, &state)
	}
	switch {
	case err != nil:
		return state, fmt.Errorf("progress file %s: %w; remove it to start anew", path, err)
	case state.AsLines != asLines:
		return state, fmt.Errorf("progress file %s was written by an import with --lines=%v; remove it to start anew", path, state.AsLines)
	case state.ImportID == "" || state.Offset < 0 || state.HeadBytes < 0 || state.HeadBytes > min(headBytes, state.Offset):
		return state, fmt.Errorf("progress file %s is damaged; remove it to start anew", path)
	}
	if age := time.Since(state.Since); age > sameKeysFor || age < 0 {
		state.ImportID = fresh.ImportID
	}
	return state, nil
}

// save replaces the progress file in one step.
func (s progressState) save(path string, headBytes int64, headSum string) error {
	s.HeadBytes, s.HeadSum = headBytes, headSum
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("progress file: %w", err)
	}
	_, err = file.Write(append(raw, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("progress file: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// tracker knows which lines are done, and up to where all are.
type tracker struct {
	mu      sync.Mutex
	current progressState
	marks   []mark // lines from the first that is not done
	first   uint64 // sequence of marks[0]
}

type mark struct {
	number, end   int64
	read          time.Time
	done, refused bool
}

func newTracker(start progressState) *tracker { return &tracker{current: start} }

// add takes in the next line of the file and gives its sequence number.
func (t *tracker) add(line importLine) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = append(t.marks, mark{number: line.number, end: line.end, read: time.Now()})
	return t.first + uint64(len(t.marks)) - 1
}

// done marks a line as stored or refused, and moves on over all that are done.
func (t *tracker) done(sequence uint64, refused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &t.marks[sequence-t.first]
	m.done, m.refused = true, refused
	for len(t.marks) > 0 && t.marks[0].done {
		m := t.marks[0]
		t.current.Line, t.current.Offset = m.number, m.end
		if m.refused {
			t.current.Refused++
		} else {
			t.current.Stored++
		}
		t.marks = t.marks[1:]
		t.first++
	}
}

// state is what may be written to the progress file now.
func (t *tracker) state() progressState {
	t.mu.Lock()
	defer t.mu.Unlock()
	state := t.current
	state.Since = time.Now()
	if len(t.marks) > 0 {
		state.Since = t.marks[0].read
	}
	return state
}

// waiting counts the lines that were read and are not done.
func (t *tracker) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, m := range t.marks {
		if !m.done {
			n++
		}
	}
	return n
}

func (t *tracker) importID() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current.ImportID
}
