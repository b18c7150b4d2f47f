package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// TestMain takes out variables that would act as flags.
func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "KVORUM_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

// fakeStore answers the API as far as the command line needs it. before, if set, may answer a request in its place.
type fakeStore struct {
	mu       sync.Mutex
	values   map[string]string
	revision map[string]uint64
	keyed    map[string]wire.BatchResult // by idempotency key
	executed int                         // writes
	batches  int
	before   func(s *fakeStore, w http.ResponseWriter, r *http.Request) bool
	refuse   func(wire.BatchOperation) wire.Code // "" executes
}

func newFakeStore(t *testing.T) (*fakeStore, string) {
	s := &fakeStore{values: map[string]string{}, revision: map[string]uint64{}, keyed: map[string]wire.BatchResult{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func (s *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil && s.before(s, w, r) {
		return
	}
	h := w.Header()
	h.Set(wire.HeaderOutcome, string(wire.Applied))
	h.Set(wire.HeaderNode, "s1n0")
	h.Set(wire.HeaderShard, "1")
	key, isKey := strings.CutPrefix(r.URL.EscapedPath(), "/v1/kv/")
	key, _ = url.PathUnescape(key)
	switch {
	case r.URL.Path == "/v1/batch":
		s.batch(w, r)
	case isKey && r.Method == http.MethodGet:
		s.get(w, key)
	case isKey:
		s.single(w, r, key)
	case r.URL.Path == "/v1/kv":
		s.list(w)
	default:
		wire.NewProblem(wire.CodeNoSuchPath, r.URL.Path).Write(w)
	}
}

func (s *fakeStore) get(w http.ResponseWriter, key string) {
	value, ok := s.values[key]
	if !ok {
		p := wire.NewProblem(wire.CodeNotFound, "there is no such key")
		p.Outcome = wire.Applied
		p.Write(w)
		return
	}
	w.Header().Set("ETag", `"`+strconv.FormatUint(s.revision[key], 10)+`"`)
	w.Header().Set(wire.HeaderConsistency, "linearizable; leader")
	_, _ = io.WriteString(w, value)
}

func (s *fakeStore) single(w http.ResponseWriter, r *http.Request, key string) {
	body, _ := io.ReadAll(r.Body)
	operation := wire.BatchOperation{Op: "put", Key: []byte(key), Value: body, IfAbsent: r.Header.Get("If-None-Match") == "*",
		IfPresent: r.Header.Get("If-Match") == "*", IdempotencyKey: r.Header.Get(wire.HeaderIdempotencyKey)}
	if r.Method == http.MethodDelete {
		operation.Op = "delete"
	}
	if tag := strings.Trim(r.Header.Get("If-Match"), `"`); tag != "*" {
		operation.IfRevision, _ = strconv.ParseUint(tag, 10, 64)
	}
	result := s.execute(operation)
	if result.Problem != nil {
		result.Problem.Write(w)
		return
	}
	w.Header().Set("ETag", `"`+strconv.FormatUint(result.Revision, 10)+`"`)
	w.WriteHeader(result.Status)
}

func (s *fakeStore) batch(w http.ResponseWriter, r *http.Request) {
	s.batches++
	body, _ := io.ReadAll(r.Body)
	encoder, n := json.NewEncoder(w), 0
	for scanner := bufio.NewScanner(bytes.NewReader(body)); scanner.Scan(); n++ {
		var operation wire.BatchOperation
		if err := json.Unmarshal(scanner.Bytes(), &operation); err != nil {
			panic(err)
		}
		result := s.execute(operation)
		result.Index = n
		_ = encoder.Encode(result)
	}
	_ = encoder.Encode(wire.End{Complete: true, Count: n})
}

func (s *fakeStore) execute(o wire.BatchOperation) (result wire.BatchResult) {
	fail := func(code wire.Code) wire.BatchResult {
		p := wire.NewProblem(code, "said the fake store")
		return wire.BatchResult{Status: p.Status, Outcome: p.Outcome, Problem: &p}
	}
	if s.refuse != nil {
		if code := s.refuse(o); code != "" {
			return fail(code)
		}
	}
	if before, ok := s.keyed[o.IdempotencyKey]; ok && o.IdempotencyKey != "" {
		return before
	}
	defer func() { s.keyed[o.IdempotencyKey] = result }()
	key := string(o.Key)
	_, present := s.values[key]
	switch {
	case o.IfAbsent && present, o.IfPresent && !present, o.IfRevision != 0 && s.revision[key] != o.IfRevision:
		return fail(wire.CodePreconditionFailed)
	case o.Op == "delete" && !present:
		return fail(wire.CodeNotFound)
	}
	s.executed++
	s.revision[key]++
	result = wire.BatchResult{Status: http.StatusOK, Outcome: wire.Applied, Revision: s.revision[key]}
	switch {
	case o.Op == "delete":
		delete(s.values, key)
		result.Status = http.StatusNoContent
		return result
	case !present:
		result.Status = http.StatusCreated
	}
	s.values[key] = string(o.Value)
	return result
}

func (s *fakeStore) list(w http.ResponseWriter) {
	encoder := json.NewEncoder(w)
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		_ = encoder.Encode(wire.Entry{Key: []byte(key), Value: []byte(s.values[key]), Revision: s.revision[key]})
	}
	_ = encoder.Encode(wire.End{Complete: true, Count: len(s.values)})
}

// kvorum runs the program and gives what it printed and its exit code.
func kvorum(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return kvorumIn(t.Context(), stdin, args...)
}

func kvorumIn(ctx context.Context, stdin string, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(ctx, args, strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), code
}
