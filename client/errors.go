package client

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// Sentinels for errors.Is. ErrNotApplied and ErrUnknownOutcome go by the outcome, the others by what the server said.
var (
	ErrNotFound            = errors.New("not found")
	ErrPreconditionFailed  = errors.New("precondition failed")
	ErrNotModified         = errors.New("not modified")
	ErrIdempotencyMismatch = errors.New("idempotency key was used for another request")
	ErrInvalidRequest      = errors.New("invalid request")
	ErrTooLarge            = errors.New("key or value too large")
	ErrSessionUnknown      = errors.New("session is not of this cluster's data")
	ErrConflict            = errors.New("conflict with the state of the cluster")
	ErrOverloaded          = errors.New("overloaded")
	ErrUnavailable         = errors.New("unavailable")
	ErrStorageFull         = errors.New("disk full or memory quota used up")
	ErrNotApplied          = errors.New("not applied")
	ErrUnknownOutcome      = errors.New("outcome unknown")
)

// Error is the error of every method of Client.
type Error struct {
	Operation string        // put, get, ...
	Key       string        // the key, if the operation has one
	Outcome   wire.Outcome  // what became of the operation, all attempts together
	Code      wire.Code     // what the server said, "" if it said nothing
	Status    int           // HTTP status of the last reply, 0 without one
	Detail    string        // what happened and what to do
	Problem   *wire.Problem // body of the last reply, nil without one
	Receipt   Receipt       // of the last reply, zero without one
	Attempts  int           // how many were made
	Err       error         // the cause, such as a connection error or the context's

	endpoint     string        // host:port of the last attempt
	retryAfter   time.Duration // what the server asked for
	write        bool          // of an operation that may have an effect
	notConnected bool          // the last attempt never had a connection
}

// Error says what was asked, the outcome, and why.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Operation)
	if e.Key != "" {
		b.WriteString(" " + strconv.Quote(e.Key))
	}
	switch {
	case e.Outcome == wire.Unknown:
		b.WriteString(": outcome unknown")
	case e.write && e.Code != wire.CodeNotFound && e.Code != wire.CodePreconditionFailed:
		b.WriteString(": not applied")
	}
	if e.Status != 0 {
		b.WriteString(": " + strconv.Itoa(e.Status) + " " + string(e.Code))
		if e.Code == "" {
			b.WriteString(http.StatusText(e.Status))
		}
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Attempts > 1 {
		b.WriteString(" (after " + strconv.Itoa(e.Attempts) + " attempts)")
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the sentinels of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrUnknownOutcome:
		return e.Outcome == wire.Unknown
	case ErrNotApplied:
		return e.Outcome == wire.NotApplied
	case ErrNotFound:
		return e.Code == wire.CodeNotFound || e.Code == wire.CodeNoSuchOperation
	case ErrPreconditionFailed:
		return e.Code == wire.CodePreconditionFailed
	case ErrNotModified:
		return e.Status == http.StatusNotModified && e.Outcome == wire.Applied
	case ErrIdempotencyMismatch:
		return e.Code == wire.CodeIdempotencyMismatch
	case ErrSessionUnknown:
		return e.Code == wire.CodeSessionUnknown
	case ErrConflict:
		return e.Code == wire.CodeConflict
	case ErrInvalidRequest:
		return e.Code == wire.CodeInvalidRequest || e.Code == wire.CodeMethodNotAllowed || e.Code == wire.CodeNoSuchPath || e.Code == wire.CodeNoSuchShard
	case ErrTooLarge:
		return e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusRequestURITooLong
	case ErrOverloaded:
		return e.Status == http.StatusTooManyRequests
	case ErrUnavailable:
		return e.Status == http.StatusServiceUnavailable || (e.Status == 0 && e.notConnected)
	case ErrStorageFull:
		return e.Status == http.StatusInsufficientStorage
	}
	return false
}

// OutcomeOf gives the outcome that a call of this package ended in.
func OutcomeOf(err error) wire.Outcome {
	var e *Error
	switch {
	case err == nil:
		return wire.Applied
	case errors.As(err, &e):
		return e.Outcome
	}
	return wire.Unknown
}

// refuse makes the error of a request that is wrong before it is sent.
func refuse(operation, key string, code wire.Code, detail string) *Error {
	return &Error{Operation: operation, Key: key, Outcome: wire.NotApplied, Code: code, Status: wire.Codes[code].Status, Detail: detail}
}
