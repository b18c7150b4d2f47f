package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// problem reads an error reply. Without the server's word for it, no write counts as not applied, except for statuses
// that HTTP servers and proxies give before they pass a request on.
func (r *request) problem(response *http.Response, endpoint *url.URL) *Error {
	e := &Error{Operation: r.operation, Key: r.key, write: r.write, Status: response.StatusCode, Receipt: parseReceipt(response.Header), endpoint: endpoint.Host}
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxProblem)) // what is there may still tell something
	var problem wire.Problem
	if strings.HasPrefix(response.Header.Get("Content-Type"), wire.ContentTypeProblem) && json.Unmarshal(body, &problem) == nil {
		e.Problem, e.Code, e.Detail = &problem, problem.Code, problem.Detail
		if e.Detail == "" {
			e.Detail = problem.Title
		}
	} else {
		e.Detail = strings.TrimSpace(firstLine(body))
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err == nil && seconds > 0 {
		e.retryAfter = time.Duration(seconds) * time.Second
	}
	said := wire.Outcome(response.Header.Get(wire.HeaderOutcome))
	e.Outcome = r.outcome(said, e.Status)
	if e.Outcome == wire.Unknown && e.Code == "" {
		e.Code = wire.CodeUnknownOutcome
	}
	return e
}

// outcome of an attempt that got an error reply with status, whose outcome header says said.
func (r *request) outcome(said wire.Outcome, status int) wire.Outcome {
	switch {
	case !r.write && said == wire.Applied: // the read was answered: there is no such key
		return wire.Applied
	case !r.write, said == wire.NotApplied, !said.Valid() && refusedEarly(status):
		return wire.NotApplied
	}
	return wire.Unknown
}

// refusedEarly: statuses that say, whoever sent them, that the request was not even read or not understood.
func refusedEarly(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired,
		http.StatusLengthRequired, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return true
	}
	return false
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b[:min(len(b), 200)]), "\n")
	return line
}

// cause prefers why we gave up over the "context canceled" that it led to.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && errors.Is(err, context.Canceled) {
		return c
	}
	return err
}

func readBody(response *http.Response, dog *watchdog) ([]byte, error) {
	if n := response.ContentLength; n >= 0 && n <= maxBody {
		body := make([]byte, n)
		_, err := io.ReadFull(beatingReader{response.Body, dog}, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(beatingReader{response.Body, dog}, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("the reply is longer than %d bytes", maxBody)
	}
	return body, err
}

type beatingReader struct {
	io.Reader
	dog *watchdog
}

func (r beatingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.dog.beat()
	}
	return n, err
}
