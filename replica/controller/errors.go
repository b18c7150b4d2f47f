package controller

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// Error is how an operation fails. Its outcome is that of its code in wire.Codes: a code with NotApplied is a proof.
type Error struct {
	Code   wire.Code
	Detail string // what happened and what to do
	Leader string // on CodeMisdirected: the node taken for the leader, "" if none is known
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Detail) }

// Is makes errors.Is compare by code.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// Outcome is what the error says of the operation.
func (e *Error) Outcome() wire.Outcome { return wire.Codes[e.Code].Outcome }

func newError(code wire.Code, detail string) *Error { return &Error{Code: code, Detail: detail} }

// errDeadline is what awaiting a future ends with when its time is up (guard G10).
var errDeadline = errors.New("raft did not answer in time")

// errStalled is what writes under way end with when the disk turns out to be stalled (guard G7).
var errStalled = errors.New("the disk does not answer")

// proposalError maps what raft says of an entry to an outcome. Only errors that raft gives before an entry is queued, or
// that it documents as definite, are not-applied; everything else is unknown (field knowledge: hashicorp/raft#561).
func (c *Controller) proposalError(err error) *Error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return c.misdirected()
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return &Error{Code: wire.CodeMisdirected, Detail: "leadership is being handed over"}
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return newError(wire.CodeOverloaded, "the log does not keep up: slow down and try again")
	default:
		return newError(wire.CodeUnknownOutcome, "the write may or may not take effect ("+err.Error()+"): read the key, or repeat the write under its Idempotency-Key")
	}
}

func (c *Controller) misdirected() *Error {
	leader := c.Leader()
	if leader == c.cfg.Node {
		leader = ""
	}
	return &Error{Code: wire.CodeMisdirected, Detail: "node " + c.cfg.Node + " does not lead shard " + c.shardText, Leader: leader}
}
