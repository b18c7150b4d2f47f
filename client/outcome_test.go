package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

type write func(ctx context.Context, c *Client) error

func put(ctx context.Context, c *Client) error {
	_, err := c.Put(ctx, "k", []byte("v"))
	return err
}

func keyedPut(ctx context.Context, c *Client) error {
	_, err := c.Put(ctx, "k", []byte("v"), IdempotencyKey("id-1"))
	return err
}

func get(ctx context.Context, c *Client) error {
	_, err := c.Get(ctx, "k")
	return err
}

func getIfChanged(ctx context.Context, c *Client) error {
	_, err := c.Get(ctx, "k", IfChanged(3))
	return err
}

func del(ctx context.Context, c *Client) error {
	_, err := c.Delete(ctx, "k")
	return err
}

// Each line: what the server does, attempt after attempt, and what the whole operation must come to.
func TestOutcome(t *testing.T) {
	steps := func(list ...http.HandlerFunc) []http.HandlerFunc { return list }
	tests := map[string]struct {
		do       write
		steps    []http.HandlerFunc
		outcome  wire.Outcome
		is       error
		requests int
	}{
		"put applied":                            {put, steps(done(200)), wire.Applied, nil, 1},
		"put refused by condition":               {put, steps(problem(wire.CodePreconditionFailed)), wire.NotApplied, ErrPreconditionFailed, 1},
		"put on a full disk":                     {put, steps(problem(wire.CodeDiskFull)), wire.NotApplied, ErrStorageFull, 1},
		"put too large":                          {put, steps(problem(wire.CodeValueTooLarge)), wire.NotApplied, ErrTooLarge, 1},
		"put refused, then applied":              {put, steps(retrySoon(wire.CodeNoLeader), retrySoon(wire.CodeOverloaded), done(201)), wire.Applied, nil, 3},
		"put hung up":                            {put, steps(hangUp, done(200)), wire.Unknown, ErrUnknownOutcome, 1},
		"put refused, then hung up":              {put, steps(retrySoon(wire.CodeNoLeader), hangUp, done(200)), wire.Unknown, ErrUnknownOutcome, 2},
		"put 504":                                {put, steps(problem(wire.CodeUnknownOutcome), done(200)), wire.Unknown, ErrUnknownOutcome, 1},
		"put 502 of a proxy":                     {put, steps(bare(502), done(200)), wire.Unknown, ErrUnknownOutcome, 1},
		"put 503 of a proxy":                     {put, steps(bare(503), done(200)), wire.Unknown, ErrUnknownOutcome, 1},
		"put 429 of a proxy":                     {put, steps(bare(429), done(200)), wire.Unknown, ErrUnknownOutcome, 1},
		"put 500 of a proxy":                     {put, steps(bare(500), done(200)), wire.Unknown, ErrUnknownOutcome, 1},
		"put 200 of a stranger":                  {put, steps(bare(200)), wire.Unknown, ErrUnknownOutcome, 1},
		"put 307 is not followed":                {put, steps(bare(307)), wire.Unknown, ErrUnknownOutcome, 1},
		"put 400 before any handler":             {put, steps(bare(400)), wire.NotApplied, ErrNotApplied, 1},
		"keyed put hung up, then applied":        {keyedPut, steps(hangUp, done(200)), wire.Applied, nil, 2},
		"keyed put 504, then applied":            {keyedPut, steps(problem(wire.CodeUnknownOutcome), bare(502), done(200)), wire.Applied, nil, 3},
		"keyed put hung up, then recorded 412":   {keyedPut, steps(hangUp, problem(wire.CodePreconditionFailed)), wire.NotApplied, ErrPreconditionFailed, 2},
		"keyed put hung up, then 422":            {keyedPut, steps(hangUp, problem(wire.CodeIdempotencyMismatch)), wire.NotApplied, ErrIdempotencyMismatch, 2},
		"keyed put hung up, then full disk":      {keyedPut, steps(hangUp, problem(wire.CodeDiskFull)), wire.Unknown, ErrUnknownOutcome, 2},
		"keyed put hung up, then 400":            {keyedPut, steps(hangUp, problem(wire.CodeInvalidRequest)), wire.Unknown, ErrUnknownOutcome, 2},
		"keyed put hung up, then a proxy's 412":  {keyedPut, steps(hangUp, bare(412)), wire.Unknown, ErrUnknownOutcome, 2},
		"keyed put hung up, then a headless 412": {keyedPut, steps(hangUp, headless(wire.CodePreconditionFailed)), wire.Unknown, ErrUnknownOutcome, 2},
		"put, a headless 412":                    {put, steps(headless(wire.CodePreconditionFailed)), wire.Unknown, ErrUnknownOutcome, 1},
		"delete of an absent key":                {del, steps(problem(wire.CodeNotFound)), wire.NotApplied, ErrNotFound, 1},
		"delete hung up":                         {del, steps(hangUp, problem(wire.CodeNotFound)), wire.Unknown, ErrUnknownOutcome, 1},
		"get absent":                             {get, steps(absent), wire.Applied, ErrNotFound, 1},
		"get not modified":                       {getIfChanged, steps(unmodified), wire.Applied, ErrNotModified, 1},
		"get, a proxy's 304":                     {getIfChanged, steps(bare(304)), wire.NotApplied, ErrNotApplied, 1},
		"get hung up, then answered":             {get, steps(hangUp, value("v")), wire.Applied, nil, 2},
		"get through all troubles":               {get, steps(bare(502), problem(wire.CodeUnknownOutcome), retrySoon(wire.CodeReadTimeout), bare(500), value("v")), wire.Applied, nil, 5},
		"get bad request":                        {get, steps(problem(wire.CodeInvalidRequest)), wire.NotApplied, ErrInvalidRequest, 1},
		"get from a stranger":                    {get, steps(bare(200)), wire.NotApplied, errNotKvorum, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := serve(t, nil, test.steps...)
			err := test.do(testContext(t), c)
			if got := OutcomeOf(err); got != test.outcome {
				t.Errorf("outcome %s, want %s: %v", got, test.outcome, err)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error is not %q: %v", test.is, err)
			}
			if test.is == nil && err != nil {
				t.Error(err)
			}
			if got := len(s.requests()); got != test.requests {
				t.Errorf("%d requests, want %d", got, test.requests)
			}
		})
	}
}

// Once unknown, an operation ends as unknown, however many refusals follow.
func TestUnknownStaysUnknown(t *testing.T) {
	refuseRest := retrySoon(wire.CodeNoLeader)
	c, s := serve(t, func(c *Config) { c.Retry.MaxAttempts = 4 }, hangUp, refuseRest)
	err := keyedPut(testContext(t), c)
	var e *Error
	if !errors.As(err, &e) || e.Outcome != wire.Unknown || errors.Is(err, ErrNotApplied) || e.Attempts != 4 || len(s.requests()) != 4 {
		t.Fatalf("%d requests, %v", len(s.requests()), err)
	}
}

// Without a connection nothing was sent: the write is tried again, at the other endpoint too, and is never unknown.
func TestNoConnection(t *testing.T) {
	nobody := closedAddress(t)
	c, s := serve(t, nil, done(201))
	both := connect(t, nil, "http://"+nobody, c.endpoints[0].String())
	if err := put(testContext(t), both); err != nil || len(s.requests()) != 1 {
		t.Fatalf("%d requests, %v", len(s.requests()), err)
	}
	none := connect(t, func(c *Config) { c.Retry.MaxAttempts = 3 }, "http://"+nobody)
	err := put(testContext(t), none)
	var opError *net.OpError
	if !errors.Is(err, ErrNotApplied) || !errors.Is(err, ErrUnavailable) || !errors.As(err, &opError) {
		t.Fatal(err)
	}
}

func closedAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A server that takes a write and never answers: unknown, at the deadline of the context or of the attempt.
func TestSilence(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	silent := func(http.ResponseWriter, *http.Request) { <-release }
	c, s := serve(t, func(c *Config) { c.AttemptTimeout = 50 * time.Millisecond }, silent)
	if err := put(testContext(t), c); !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) || len(s.requests()) != 1 {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c, _ = serve(t, nil, silent)
	if err := put(ctx, c); !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	c, _ = serve(t, func(c *Config) { c.AttemptTimeout = 50 * time.Millisecond }, silent, value("v"))
	if err := get(testContext(t), c); err != nil {
		t.Fatal("a read is tried again:", err)
	}
}

// A context that has ended before anything was sent proves that nothing happened.
func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, s := serve(t, nil, done(200))
	err := put(ctx, c)
	if !errors.Is(err, ErrNotApplied) || !errors.Is(err, context.Canceled) || len(s.requests()) != 0 {
		t.Fatalf("%d requests, %v", len(s.requests()), err)
	}
}
