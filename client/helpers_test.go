package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// script answers the n-th request with its n-th step, the last step for good. It records what came.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	seen  []seen
}

type seen struct {
	method, uri string
	header      http.Header
	body        string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	step := s.steps[min(len(s.seen), len(s.steps)-1)]
	s.seen = append(s.seen, seen{r.Method, r.RequestURI, r.Header, string(body)})
	s.mu.Unlock()
	step(w, r)
}

func (s *script) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.seen...)
}

// serve starts a script and a client of it. change may alter the client's configuration.
func serve(t *testing.T, change func(*Config), steps ...http.HandlerFunc) (*Client, *script) {
	t.Helper()
	s := &script{steps: steps}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return connect(t, change, server.URL), s
}

func connect(t *testing.T, change func(*Config), endpoints ...string) *Client {
	t.Helper()
	config := Config{Endpoints: endpoints, Timeout: 5 * time.Second, Retry: RetryPolicy{Base: time.Millisecond, Max: 4 * time.Millisecond}}
	if change != nil {
		change(&config)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// receipt sets the headers of a reply that the replica n1 executed.
func receipt(h http.Header, outcome wire.Outcome) {
	h.Set(wire.HeaderOutcome, string(outcome))
	h.Set(wire.HeaderNode, "n1")
	h.Set(wire.HeaderShard, "2")
	h.Set(wire.HeaderEpoch, "3")
	h.Set(wire.HeaderTerm, "4")
	h.Set(wire.HeaderIndex, "5")
}

// done answers a write: applied, at revision 7.
func done(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		receipt(w.Header(), wire.Applied)
		w.Header().Set("ETag", `"7"`)
		w.WriteHeader(status)
	}
}

// value answers a read.
func value(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		receipt(w.Header(), wire.Applied)
		w.Header().Set("ETag", `"7"`)
		w.Header().Set(wire.HeaderConsistency, "linearizable; leader")
		_, _ = io.WriteString(w, text)
	}
}

// problem answers with a problem body, as a node would.
func problem(code wire.Code) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { wire.NewProblem(code, "do this").Write(w) }
}

// retrySoon is problem with a Retry-After that tests can afford.
func retrySoon(code wire.Code) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		p := wire.NewProblem(code, "do this")
		w.Header().Set("Content-Type", wire.ContentTypeProblem)
		w.Header().Set(wire.HeaderOutcome, string(p.Outcome))
		w.WriteHeader(p.Status)
		_, _ = io.WriteString(w, `{"code":"`+string(code)+`","detail":"do this","status":`+strconv.Itoa(p.Status)+`}`)
	}
}

// absent answers a read of a key that is not there.
func absent(w http.ResponseWriter, _ *http.Request) {
	receipt(w.Header(), wire.Applied)
	p := wire.NewProblem(wire.CodeNotFound, "no such key")
	p.Outcome = wire.Applied
	p.Write(w)
}

// bare answers like a proxy: a status and no word of kvorum's.
func bare(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<html>from a proxy</html>")
	}
}

// headless is problem behind a proxy that drops kvorum's headers, or a body that somebody else made up.
func headless(code wire.Code) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", wire.ContentTypeProblem)
		w.WriteHeader(wire.Codes[code].Status)
		_, _ = io.WriteString(w, `{"code":"`+string(code)+`","outcome":"not-applied"}`)
	}
}

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// unmodified answers a read whose key is as the client knows it.
func unmodified(w http.ResponseWriter, _ *http.Request) {
	receipt(w.Header(), wire.Applied)
	w.WriteHeader(http.StatusNotModified)
}
