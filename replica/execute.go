package replica

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Execute carries out one request at this replica. An error, always a *controller.Error, means that there is no receipt:
// it was not carried out here (its code says whether it never will be). The context bounds the waiting.
func (r *Replica) Execute(ctx context.Context, req *Request) (Reply, error) {
	if req.Operation.Reads() {
		return r.read(ctx, req)
	}
	return r.write(ctx, req)
}

func (r *Replica) read(ctx context.Context, req *Request) (Reply, error) {
	view, read, err := r.controller.Read(ctx, controller.ReadOptions{
		Consistency: req.Consistency, MaxStale: req.MaxStale, MinIndex: req.Session.Index(r.shard), Patience: req.Patience,
	})
	if err != nil {
		return Reply{}, err
	}
	if err := r.readable(view, req.Key); err != nil {
		return Reply{}, err
	}
	row, found := view.Get(req.Key)
	return answerRead(req, row, found, r.readReceipt(view, read)), nil
}

// readable checks the ownership of the key's slot in the very view that is read from: a slot that has moved away in the
// meantime is refused, never answered from old rows.
func (r *Replica) readable(view *store.View, key []byte) error {
	if _, known := view.Identity(); !known {
		return Failure(wire.CodeNotReady, "shard %d is being set up: try again", r.shard)
	}
	if slot := view.Slot(key); !view.Ownership(slot).Readable() {
		return Failure(wire.CodeMisdirected, "slot %d is not shard %d's at epoch %d", slot, r.shard, view.Epoch())
	}
	return nil
}

// answerRead evaluates the conditions of a read. Also "not there" and "not changed" are answers: their outcome is applied.
func answerRead(req *Request, row store.Row, found bool, receipt Receipt) Reply {
	reply := Reply{Status: http.StatusOK, Outcome: wire.Applied, Revision: row.Revision, Receipt: receipt}
	unmet := (req.Condition == store.IfPresent && !found) ||
		(req.Condition == store.IfRevision && (!found || row.Revision != req.Revision))
	switch {
	case unmet:
		reply.Status, reply.Code, reply.Detail = http.StatusPreconditionFailed, wire.CodePreconditionFailed, unmetDetail(req, row.Revision)
	case !found:
		reply.Status, reply.Code, reply.Detail = http.StatusNotFound, wire.CodeNotFound, "the key is absent"
	case req.NotPresent || (req.NotRevision != 0 && row.Revision == req.NotRevision):
		reply.Status = http.StatusNotModified
	default:
		reply.Value = row.Value
	}
	return reply
}

// unmetDetail says which condition does not hold, why, and what to do. Headers are not named: a line of a batch and the
// command line ask otherwise. present is 0 when the key is absent.
func unmetDetail(req *Request, present store.Revision) string {
	there := "the key is absent"
	if present != 0 {
		there = fmt.Sprintf("the key is at revision %d", present)
	}
	switch {
	case req.Condition == store.IfAbsent:
		return there + ", and was to be created only if absent: read it, or write without this condition to replace it"
	case req.Condition == store.IfRevision:
		return fmt.Sprintf("%s, not at revision %d: read it and decide again", there, req.Revision)
	case req.Operation == Put:
		return there + ", and was to be updated only if present: a put without this condition creates it"
	}
	return there
}

func (r *Replica) write(ctx context.Context, req *Request) (Reply, error) {
	applied, err := r.controller.Propose(ctx, commandOf(req))
	if err != nil {
		return Reply{}, err
	}
	return r.answerWrite(req, applied)
}

func commandOf(req *Request) store.Command {
	kind := store.CommandPut
	if req.Operation == Delete {
		kind = store.CommandDelete
	}
	return store.Command{Kind: kind, Key: req.Key, Value: req.Value, Condition: req.Condition, Revision: req.Revision, IdempotencyKey: req.IdempotencyKey}
}

// answerWrite turns the machine's result into a reply, or into the error of a write that this shard may not answer for.
func (r *Replica) answerWrite(req *Request, applied controller.Applied) (Reply, error) {
	result := applied.Result
	status, code := statusOf(result.Code)
	switch result.Code {
	case store.NotOwner, store.SlotFrozen:
		return Reply{}, Failure(wire.CodeMisdirected, "slot %d is not shard %d's to write at epoch %d", result.Slot, r.shard, result.Epoch)
	case store.Uninitialised:
		return Reply{}, Failure(wire.CodeNotReady, "shard %d is being set up: try again", r.shard)
	}
	reply := Reply{Status: status, Code: code, Outcome: wire.Applied, Revision: result.Revision, Replayed: result.Replayed, Receipt: r.writeReceipt(applied)}
	if !result.Code.Applied() {
		reply.Outcome, reply.Detail = wire.NotApplied, writeDetail(req, result)
	}
	return reply, nil
}

// statusOf is the HTTP status of a result, and its problem code if it is one.
func statusOf(code store.Code) (int, wire.Code) {
	var problem wire.Code
	switch code {
	case store.Created:
		return http.StatusCreated, ""
	case store.Replaced, store.OK:
		return http.StatusOK, ""
	case store.Deleted:
		return http.StatusNoContent, ""
	case store.NotFound:
		problem = wire.CodeNotFound
	case store.PreconditionFailed:
		problem = wire.CodePreconditionFailed
	case store.NotOwner, store.SlotFrozen:
		problem = wire.CodeMisdirected
	case store.Uninitialised:
		problem = wire.CodeNotReady
	case store.IdempotencyMismatch:
		problem = wire.CodeIdempotencyMismatch
	case store.IdempotencyFull:
		problem = wire.CodeIdempotencyFull
	case store.IdentityMismatch:
		problem = wire.CodeConflict
	default:
		problem = wire.CodeInternal
	}
	return wire.Codes[problem].Status, problem
}

func writeDetail(req *Request, result store.Result) string {
	switch result.Code {
	case store.NotFound:
		return "the key is absent: there was nothing to delete"
	case store.PreconditionFailed:
		return unmetDetail(req, result.Revision)
	case store.IdempotencyMismatch:
		return "this Idempotency-Key was used for another request to the same slot: use a new key for a new request"
	case store.IdempotencyFull:
		return "too many writes under an Idempotency-Key in the last 10 minutes: wait, or write without a key"
	}
	return result.Code.String()
}

// Error is how an operation fails here: the router need not know who controls the replica.
type Error = controller.Error

// AsError makes any error a *controller.Error. What nobody has classified may have been applied.
func AsError(err error) *controller.Error {
	var known *controller.Error
	if errors.As(err, &known) {
		return known
	}
	return &controller.Error{Code: wire.CodeInternal, Detail: err.Error()}
}
