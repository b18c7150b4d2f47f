package client

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// keyTrust bounds how long after the first attempt a reply under an idempotency key still proves what became of that
// attempt: the servers keep a key for at least ten minutes of log time; the rest is room for clocks that differ.
const keyTrust = 8 * time.Minute

// do sends r until it has a definite answer, may not be sent again, or time is up.
func (c *Client) do(ctx context.Context, r *request) (*reply, *Error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	return c.doUnbounded(ctx, r)
}

// doUnbounded is do with no bound but ctx's and the retry policy's.
func (c *Client) doUnbounded(ctx context.Context, r *request) (*reply, *Error) {
	start := time.Now()
	var candidates []*url.URL
	maybe := false // an earlier attempt that may have taken effect
	for n := 0; ; n++ {
		if n == 0 || n%len(candidates) == 0 {
			candidates = c.candidates(ctx, r)
		}
		endpoint := candidates[n%len(candidates)]
		result, failure := c.attempt(ctx, r, endpoint)
		if failure == nil {
			c.answered(r, endpoint, result.receipt)
			return result, nil
		}
		failure.Attempts = n + 1
		c.failed(failure)
		proved := !maybe || (r.keyProves(failure) && time.Since(start) < keyTrust)
		if failure.Outcome == wire.Unknown {
			maybe = true
			if r.unknown != nil {
				r.unknown()
			}
		}
		again := r.mayRepeat(failure, maybe) && (!maybe || time.Since(start) < keyTrust)
		wait := c.config.Retry.wait(n, failure, candidates[(n+1)%len(candidates)] != endpoint)
		if !again || n+1 == c.config.Retry.MaxAttempts {
			return nil, settle(failure, proved)
		}
		if err := sleep(ctx, wait); err != nil {
			if failure.Err == nil {
				failure.Err = err
			}
			return nil, settle(failure, proved)
		}
	}
}

// settle gives the outcome of all attempts together, of which failure is the last. proved: earlier attempts can't have
// taken effect, or failure says that they did not.
func settle(failure *Error, proved bool) *Error {
	if failure.Outcome == wire.Unknown || proved {
		return failure
	}
	failure.Outcome, failure.Code = wire.Unknown, wire.CodeUnknownOutcome
	failure.Detail = "an earlier attempt was sent and not answered, and may still take effect; the last one: " + failure.Detail
	return failure
}

// keyProves: under an idempotency key the servers record each definite answer to the key's first execution and give it
// again, so such an answer, if it says not-applied, covers the earlier attempts too. Refusals before execution (429, 503, ...) are not recorded.
func (r *request) keyProves(e *Error) bool {
	return r.idempotencyKey != "" && recorded(e.Code)
}

func recorded(code wire.Code) bool {
	switch code {
	case wire.CodePreconditionFailed, wire.CodeNotFound, wire.CodeIdempotencyMismatch:
		return true
	}
	return false
}

// mayRepeat reports whether another attempt is safe and may help. sent: some attempt may have taken effect.
func (r *request) mayRepeat(e *Error, sent bool) bool {
	if r.write && sent && !r.repeatable {
		return false
	}
	if e.Status == 0 || e.Status/100 == 2 { // no reply, or a cut one
		return e.Err != errNotKvorum
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusMisdirectedRequest:
		return true
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return !r.write || r.repeatable
	}
	return false
}

// wait is how long to wait after attempt n (from 0). A server's Retry-After is honoured, except that a trouble of one node
// only does not keep us from asking another.
func (p RetryPolicy) wait(n int, e *Error, otherNode bool) time.Duration {
	d := p.Max
	if n < 30 && p.Base<<n > 0 {
		d = min(p.Max, p.Base<<n)
	}
	d = d/2 + rand.N(d/2+1)
	if otherNode && troubleOfOneNode(e) {
		return d
	}
	return max(d, e.retryAfter)
}

func troubleOfOneNode(e *Error) bool {
	switch e.Code {
	case wire.CodeNotReady, wire.CodeDraining, wire.CodeDiskStalled, wire.CodeReadTimeout, wire.CodeUnreachable, wire.CodeMisdirected:
		return true
	}
	return e.notConnected
}

// sleep waits for d. When ctx ends first it says so, and for a deadline it does so without waiting.
func sleep(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
