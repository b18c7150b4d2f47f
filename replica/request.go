package replica

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// KeyPath is the path under which keys live: everything after it, percent-decoded, is the key, byte for byte.
const KeyPath = "/v1/kv/"

// Operation is what a request does to its key.
type Operation uint8

const (
	Get Operation = iota
	Head
	Put
	Delete
)

// String is the operation's name in metrics and logs.
func (o Operation) String() string { return [...]string{"get", "head", "put", "delete"}[o] }

// Reads reports whether the operation changes nothing.
func (o Operation) Reads() bool { return o == Get || o == Head }

// Request is a request to one key, read and found valid.
type Request struct {
	Operation Operation
	Key       []byte
	Value     []byte // put; see ReadValue

	Condition   store.Condition
	Revision    store.Revision // with IfRevision
	NotRevision store.Revision // reads: answer 304 when the key is at this revision; 0 = none
	NotPresent  bool           // reads: answer 304 when the key is there at all (If-None-Match: *)

	IdempotencyKey string // writes; "" = none

	Consistency wire.Consistency // reads
	MaxStale    time.Duration    // with Bounded, > 0
	Patience    time.Duration    // reads: how long this replica may take; 0: as long as the context
	Session     Session
}

// Methods of a key, as the header Allow gives them.
const keyMethods = "GET, HEAD, PUT, DELETE"

// ParseRequest reads everything but the value. The path must begin with KeyPath as it was sent (escaped), so that the key
// is what follows it in the decoded path. Errors are *controller.Error, with a detail that says what to do.
func ParseRequest(r *http.Request) (Request, error) {
	var req Request
	switch r.Method {
	case http.MethodGet:
		req.Operation = Get
	case http.MethodHead:
		req.Operation = Head
	case http.MethodPut:
		req.Operation = Put
	case http.MethodDelete:
		req.Operation = Delete
	default:
		return req, methodNotAllowed(r.Method, keyMethods)
	}
	key, err := keyOf(r)
	if err != nil {
		return req, err
	}
	req.Key = key
	if err := parseReadQuery(r.URL.RawQuery, &req); err != nil {
		return req, err
	}
	if err := parseConditions(r.Header, &req); err != nil {
		return req, err
	}
	if req.Session, err = SessionOf(r.Header); err != nil {
		return req, err
	}
	if req.Operation.Reads() {
		return req, nil
	}
	req.IdempotencyKey, err = idempotencyKeyOf(r.Header)
	return req, err
}

// keyOf takes the key from the path. No cleaning: "a//b", "..", "%2F" and "%00" are keys like others.
func keyOf(r *http.Request) ([]byte, error) {
	key, found := strings.CutPrefix(r.URL.Path, KeyPath)
	if !found {
		return nil, Invalid("the path does not begin with " + KeyPath)
	}
	return []byte(key), checkKey(len(key))
}

func checkKey(size int) error {
	switch {
	case size == 0:
		return Invalid("the key is empty: put a key of 1 to %d bytes, percent-encoded, after %s", wire.MaxKeyBytes, KeyPath)
	case size > wire.MaxKeyBytes:
		return Failure(wire.CodeKeyTooLong, "the key has %d bytes: use at most %d", size, wire.MaxKeyBytes)
	}
	return nil
}

// SessionOf reads the session token that a request carries, if any.
func SessionOf(h http.Header) (Session, error) {
	given := h[wire.HeaderSession]
	if len(given) == 0 {
		return nil, nil
	}
	s, err := ParseSession(strings.Join(given, ","))
	if err != nil {
		return nil, Invalid("%v", err)
	}
	return s, nil
}

func idempotencyKeyOf(h http.Header) (string, error) {
	given := h[wire.HeaderIdempotencyKey]
	if len(given) == 0 {
		return "", nil
	}
	if len(given) > 1 {
		return "", Invalid("there is more than one Idempotency-Key: send one")
	}
	return given[0], CheckIdempotencyKey(given[0])
}

// CheckIdempotencyKey refuses what cannot be an idempotency key.
func CheckIdempotencyKey(key string) error {
	if len(key) > wire.MaxIdempotencyKeyBytes || !visibleASCII(key) {
		return Invalid("an Idempotency-Key is 1 to %d visible ASCII characters, without spaces", wire.MaxIdempotencyKeyBytes)
	}
	return nil
}

// BodyBound is how much memory, in bytes, reading the value may take: the announced length, else the largest allowed.
func BodyBound(r *http.Request, limit int64) (int64, error) {
	if r.ContentLength > limit {
		return 0, tooLarge(r.ContentLength, limit)
	}
	if r.ContentLength < 0 {
		return limit, nil
	}
	return r.ContentLength, nil
}

// ReadValue reads a body of at most limit bytes whole. w is told when the body is too large, so that the connection is
// closed instead of being read to its end.
func ReadValue(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(r.ContentLength, limit)
	}
	if r.ContentLength == 0 {
		return []byte{}, nil
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	var value []byte
	var err error
	if r.ContentLength > 0 {
		value = make([]byte, r.ContentLength)
		_, err = io.ReadFull(body, value)
	} else {
		value, err = io.ReadAll(body)
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, Failure(wire.CodeValueTooLarge, "the value has more than %d bytes, the limit of this server", limit)
	case err != nil:
		return nil, Invalid("the body could not be read to its end (%v): send it again", err)
	}
	return value, nil
}

func tooLarge(size, limit int64) error {
	return Failure(wire.CodeValueTooLarge, "the value has %d bytes: the limit of this server is %d", size, limit)
}

func methodNotAllowed(method, allowed string) error {
	return Failure(wire.CodeMethodNotAllowed, "%s is not allowed here: use %s", method, allowed)
}

// Invalid is Failure with CodeInvalidRequest.
func Invalid(format string, args ...any) error {
	return Failure(wire.CodeInvalidRequest, format, args...)
}

// Failure makes the error that answers a request with code; the detail says what to do.
func Failure(code wire.Code, format string, args ...any) error {
	return &controller.Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}
