// Package client talks to a kvorum cluster over its HTTP API.
//
// Every call ends in exactly one outcome. A result without an error means applied (for a read: answered). An error is
// always an *Error, and its Outcome says whether the operation did not happen and never will (not-applied), or may have
// happened or may still happen (unknown). The client never turns one into the other: once one attempt of an operation was
// sent and not answered, the operation ends as applied or as unknown, whatever later attempts say, unless an idempotency
// key proves more.
//
// The client repeats only what is safe to repeat: reads; writes that were refused with a proof (a reply 429 or 503 that
// says not-applied) or that never left this machine; and any write under an idempotency key.
package client
