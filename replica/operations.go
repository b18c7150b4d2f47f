package replica

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// ShardOperations is a shard's answer to PathOperations: what became of the first requests under an idempotency key, at
// most one per slot. None found does not mean that nothing was applied: rows are forgotten in time.
type ShardOperations struct {
	Operations []wire.Operation `json:"operations"`
}

// Operations looks an idempotency key up in a linearizable view of this shard.
func (r *Replica) Operations(ctx context.Context, key string) (ShardOperations, Receipt, error) {
	view, read, err := r.controller.Read(ctx, controller.ReadOptions{Consistency: wire.Linearizable})
	if err != nil {
		return ShardOperations{}, Receipt{}, err
	}
	if _, known := view.Identity(); !known {
		return ShardOperations{}, Receipt{}, Failure(wire.CodeNotReady, "shard %d is being set up: try again", r.shard)
	}
	found := ShardOperations{Operations: []wire.Operation{}}
	for _, row := range view.Operation(key) {
		found.Operations = append(found.Operations, r.operation(key, row))
	}
	return found, r.readReceipt(view, read), nil
}

func (r *Replica) operation(key string, row store.OperationRow) wire.Operation {
	status, _ := statusOf(row.Result.Code)
	outcome := wire.NotApplied
	if row.Result.Code.Applied() {
		outcome = wire.Applied
	}
	return wire.Operation{
		IdempotencyKey: key, Outcome: outcome, Status: status, Revision: uint64(row.Result.Revision),
		Shard: uint32(r.shard), Slot: uint8(row.Slot), Time: time.UnixMilli(int64(row.Time)).UTC(),
	}
}

func (r *Replica) serveOperations(w http.ResponseWriter, req *http.Request) error {
	key, err := TailOf(req.URL, PathOperations)
	if err != nil {
		return err
	}
	if err := CheckIdempotencyKey(key); err != nil {
		return err
	}
	session, err := SessionOf(req.Header)
	if err != nil {
		return err
	}
	ctx, cancel := r.bounded(req)
	defer cancel()
	found, receipt, err := r.Operations(ctx, key)
	if err != nil {
		return err
	}
	receipt.WriteHeaders(w.Header(), session)
	return WriteJSON(w, found)
}

// TailOf is the decoded rest of the path after prefix, slashes and all.
func TailOf(u *url.URL, prefix string) (string, error) {
	tail, found := strings.CutPrefix(u.Path, prefix)
	if !found {
		return "", Failure(wire.CodeNoSuchPath, "there is no path %s", quote(u.Path))
	}
	return tail, nil
}
