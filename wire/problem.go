package wire

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Code names one way for a request to fail. Each has a row in Codes: one table for server, client, checker and docs.
type Code string

const (
	CodeInvalidRequest      Code = "invalid-request"
	CodeNotFound            Code = "not-found"
	CodeNoSuchPath          Code = "no-such-path"
	CodeNoSuchShard         Code = "no-such-shard"
	CodeNoSuchOperation     Code = "no-such-operation"
	CodeMethodNotAllowed    Code = "method-not-allowed"
	CodeConflict            Code = "conflict"
	CodePreconditionFailed  Code = "precondition-failed"
	CodeValueTooLarge       Code = "value-too-large"
	CodeKeyTooLong          Code = "key-too-long"
	CodeMisdirected         Code = "misdirected"
	CodeSessionUnknown      Code = "session-unknown"
	CodeIdempotencyMismatch Code = "idempotency-key-reused"
	CodeIdempotencyFull     Code = "idempotency-store-full"
	CodeOverloaded          Code = "overloaded"
	CodeInternal            Code = "internal"
	CodeNoLeader            Code = "no-leader"
	CodeNotReady            Code = "not-ready"
	CodeDraining            Code = "draining"
	CodeDiskStalled         Code = "disk-stalled"
	CodeReadTimeout         Code = "read-timeout"
	CodeUnreachable         Code = "shard-unreachable"
	CodeUnknownOutcome      Code = "outcome-unknown"
	CodeDiskFull            Code = "disk-full"
	CodeMemoryQuota         Code = "memory-quota"
)

// CodeRow is what a Code always means. Outcome is definite for NotApplied rows: the server gives them only with proof.
type CodeRow struct {
	Status     int
	Outcome    Outcome
	Title      string
	RetryAfter int // seconds; 0: no Retry-After header
}

// Codes is the table. Read only.
var Codes = map[Code]CodeRow{
	CodeInvalidRequest:      {http.StatusBadRequest, NotApplied, "The request is malformed", 0},
	CodeNotFound:            {http.StatusNotFound, NotApplied, "There is no such key", 0}, // a read's 404 says applied: see Problem.Outcome
	CodeNoSuchPath:          {http.StatusNotFound, NotApplied, "There is no such path", 0},
	CodeNoSuchShard:         {http.StatusNotFound, NotApplied, "There is no such shard", 0},
	CodeNoSuchOperation:     {http.StatusNotFound, Unknown, "No shard knows the Idempotency-Key", 0}, // no proof: see GET /v1/operations
	CodeMethodNotAllowed:    {http.StatusMethodNotAllowed, NotApplied, "The method is not allowed here", 0},
	CodeConflict:            {http.StatusConflict, NotApplied, "The request conflicts with the state of the cluster", 0},
	CodePreconditionFailed:  {http.StatusPreconditionFailed, NotApplied, "The condition does not hold", 0},
	CodeValueTooLarge:       {http.StatusRequestEntityTooLarge, NotApplied, "The value is too large", 0},
	CodeKeyTooLong:          {http.StatusRequestURITooLong, NotApplied, "The key is too long", 0},
	CodeMisdirected:         {http.StatusMisdirectedRequest, NotApplied, "Another replica must answer this", 0},
	CodeSessionUnknown:      {http.StatusConflict, NotApplied, "The session is not of this cluster's data", 0},
	CodeIdempotencyMismatch: {http.StatusUnprocessableEntity, NotApplied, "The Idempotency-Key was used for another request", 0},
	CodeIdempotencyFull:     {http.StatusTooManyRequests, NotApplied, "Too many recent writes under an Idempotency-Key", 10},
	CodeOverloaded:          {http.StatusTooManyRequests, NotApplied, "Too many requests in flight", 1},
	CodeInternal:            {http.StatusInternalServerError, Unknown, "The server failed", 0},
	CodeNoLeader:            {http.StatusServiceUnavailable, NotApplied, "The shard has no leader at the moment", 1},
	CodeNotReady:            {http.StatusServiceUnavailable, NotApplied, "The replica is not ready", 1},
	CodeDraining:            {http.StatusServiceUnavailable, NotApplied, "The node is shutting down", 1},
	CodeDiskStalled:         {http.StatusServiceUnavailable, NotApplied, "The disk does not answer", 1},
	CodeReadTimeout:         {http.StatusServiceUnavailable, NotApplied, "The read could not be confirmed in time", 1},
	CodeUnreachable:         {http.StatusServiceUnavailable, NotApplied, "No replica of the shard could be reached", 1},
	CodeUnknownOutcome:      {http.StatusGatewayTimeout, Unknown, "The outcome is unknown", 0},
	CodeDiskFull:            {http.StatusInsufficientStorage, NotApplied, "The disk is full", 0},
	CodeMemoryQuota:         {http.StatusInsufficientStorage, NotApplied, "The memory quota is used up", 0},
}

// Problem is the body of every error reply (RFC 9457, application/problem+json). Detail says what to do.
type Problem struct {
	Type     string  `json:"type"` // "urn:kvorum:problem:" + Code
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Detail   string  `json:"detail,omitempty"`
	Code     Code    `json:"code"`
	Outcome  Outcome `json:"outcome"`
	Revision uint64  `json:"revision,omitempty"` // on precondition-failed: the key's present revision, 0 = absent
	Request  string  `json:"request_id,omitempty"`
}

// NewProblem fills a Problem from the table.
func NewProblem(code Code, detail string) Problem {
	row := Codes[code]
	return Problem{Type: "urn:kvorum:problem:" + string(code), Title: row.Title, Status: row.Status, Detail: detail, Code: code, Outcome: row.Outcome}
}

// ContentTypeProblem is the media type of Problem.
const ContentTypeProblem = "application/problem+json"

// Write sends the problem with its status, outcome and Retry-After headers.
func (p Problem) Write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", ContentTypeProblem)
	h.Set(HeaderOutcome, string(p.Outcome))
	h.Del("ETag")
	if s := Codes[p.Code].RetryAfter; s > 0 {
		h.Set("Retry-After", strconv.Itoa(s))
	}
	p.Request = h.Get(HeaderRequestID)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client has gone away: nobody is left to tell
}
