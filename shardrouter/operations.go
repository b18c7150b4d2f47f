package shardrouter

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// serveOperation tells what became of the first request under an idempotency key. All shards are asked, for the key alone
// does not say where it was used; the same one may have been used in several slots, and then slot= must say which is meant.
func (r *Router) serveOperation(w http.ResponseWriter, req *http.Request) error {
	key, err := replica.TailOf(req.URL, pathOperations)
	if err != nil {
		return err
	}
	if err := replica.CheckIdempotencyKey(key); err != nil {
		return err
	}
	slot, err := slotOf(req)
	if err != nil {
		return err
	}
	if len(r.now().table.Slots) == 0 {
		return errNoTable
	}
	ctx, cancel := context.WithTimeout(req.Context(), r.cfg.RequestTimeout)
	defer cancel()
	found, err := r.lookUp(ctx, key, slot)
	if len(found) == 0 && err != nil {
		return err
	}
	switch len(found) {
	case 1:
		return replica.WriteJSON(w, found[0])
	case 0:
		// Not found is no proof: the request may still be on its way, or its row may have been evicted.
		problem := wire.NewProblem(wire.CodeNotFound, "no shard knows this Idempotency-Key: the request may still be on its way, or be forgotten; this does not mean that it was not applied")
		problem.Outcome = wire.Unknown
		problem.Write(w)
		return nil
	}
	return replica.Failure(wire.CodeConflict, "this Idempotency-Key was used in slots %s: ask for one of them with ?slot=", slotsOf(found))
}

// slotOf reads the parameter slot; -1 means all.
func slotOf(req *http.Request) (int, error) {
	values, err := replica.ParseQuery(req.URL.RawQuery, "the look-up of an operation", "slot")
	if err != nil || !values.Has("slot") {
		return -1, err
	}
	slot, err := strconv.Atoi(values.Get("slot"))
	if err != nil || slot < 0 || slot >= store.SlotCount {
		return -1, replica.Invalid("slot %q is not a number from 0 to %d", values.Get("slot"), store.SlotCount-1)
	}
	return slot, nil
}

func slotsOf(operations []wire.Operation) string {
	var slots []string
	for _, o := range operations {
		slots = append(slots, strconv.Itoa(int(o.Slot)))
	}
	return strings.Join(slots, ", ")
}

// lookUp asks all shards at once. The error is that of a shard which could not be asked.
func (r *Router) lookUp(ctx context.Context, key string, slot int) ([]wire.Operation, error) {
	shards := r.now().shards()
	answers, errs := make([]replica.ShardOperations, len(shards)), make([]error, len(shards))
	var asking sync.WaitGroup
	for i, shard := range shards {
		asking.Go(func() { answers[i], errs[i] = r.lookUpAt(ctx, shard, key) })
	}
	asking.Wait()
	var found []wire.Operation
	var failed error
	for i := range shards {
		if errs[i] != nil {
			failed = errs[i]
		}
		for _, operation := range answers[i].Operations {
			if slot < 0 || int(operation.Slot) == slot {
				found = append(found, operation)
			}
		}
	}
	return found, failed
}

func (r *Router) lookUpAt(ctx context.Context, shard uint32, key string) (found replica.ShardOperations, err error) {
	err = r.read(ctx, shard, false, func(ctx context.Context, to target) (err error) {
		if to.local {
			ctx, cancel := context.WithTimeout(ctx, r.cfg.ReadAttempt)
			defer cancel()
			found, _, err = r.local.Operations(ctx, key)
			return err
		}
		return r.askPatiently(ctx, r.cfg.ReadAttempt, to, http.MethodGet, replica.PathOperations+url.PathEscape(key), nil, &found)
	})
	return found, err
}
