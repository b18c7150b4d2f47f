package shardrouter

import (
	"context"
	"maps"
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
	session, err := r.sessionOf(req.Header)
	if err != nil {
		return err
	}
	if len(r.now().table.Slots) == 0 {
		return errNoTable
	}
	ctx, cancel := context.WithTimeout(req.Context(), r.cfg.RequestTimeout)
	defer cancel()
	found, receipt, err := r.lookUp(ctx, key, slot, session)
	switch {
	case len(found) > 1:
		return replica.Failure(wire.CodeConflict, "this Idempotency-Key was used in slots %s: ask for one of them with ?slot=", slotsOf(found))
	case err != nil && (len(found) == 0 || slot < 0):
		return err // a shard that was not heard may know the key, too
	case len(found) == 0:
		// Not found is no proof: the request may still be on its way, or its row may have been evicted.
		wire.NewProblem(wire.CodeNoSuchOperation, "the request may still be on its way, or be forgotten: this does not mean that it was not applied; read the key, or repeat the request under the same Idempotency-Key").Write(w)
		return nil
	}
	maps.Copy(w.Header(), receipt)
	return replica.WriteJSON(w, found[0])
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

// lookUp asks all shards at once. The receipt is that of the last one that knows the key, the error that of one which could
// not be asked.
func (r *Router) lookUp(ctx context.Context, key string, slot int, session replica.Session) (found []wire.Operation, receipt http.Header, failed error) {
	shards := r.now().shards()
	answers, receipts, errs := make([]replica.ShardOperations, len(shards)), make([]http.Header, len(shards)), make([]error, len(shards))
	var asking sync.WaitGroup
	for i, shard := range shards {
		asking.Go(func() { answers[i], receipts[i], errs[i] = r.lookUpAt(ctx, shard, key, session) })
	}
	asking.Wait()
	for i := range shards {
		if errs[i] != nil {
			failed = errs[i]
		}
		for _, operation := range answers[i].Operations {
			if slot < 0 || int(operation.Slot) == slot {
				found, receipt = append(found, operation), receipts[i]
			}
		}
	}
	return found, receipt, failed
}

func (r *Router) lookUpAt(ctx context.Context, shard uint32, key string, session replica.Session) (found replica.ShardOperations, receipt http.Header, err error) {
	err = r.read(ctx, shard, false, func(ctx context.Context, to target) (err error) {
		ctx, cancel := context.WithTimeout(ctx, r.cfg.ReadAttempt)
		defer cancel()
		if to.local {
			found, receipt, err = r.lookUpHere(ctx, key, session)
		} else {
			found, receipt, err = r.lookUpThere(ctx, to, key, session)
		}
		return err
	})
	return found, receipt, err
}

func (r *Router) lookUpHere(ctx context.Context, key string, session replica.Session) (replica.ShardOperations, http.Header, error) {
	found, executed, err := r.local.Operations(ctx, key)
	if err != nil {
		return found, nil, err
	}
	receipt := http.Header{}
	executed.WriteHeaders(receipt, session)
	return found, receipt, nil
}

func (r *Router) lookUpThere(ctx context.Context, to target, key string, session replica.Session) (found replica.ShardOperations, receipt http.Header, err error) {
	header := http.Header{}
	if len(session) > 0 {
		header[wire.HeaderSession] = []string{session.String()}
	}
	replied, err := r.askWith(ctx, to, header, http.MethodGet, replica.PathOperations+url.PathEscape(key), nil, &found)
	if err != nil {
		return found, nil, err
	}
	receipt = http.Header{}
	for _, name := range receiptHeaders {
		if values := replied[name]; len(values) > 0 {
			receipt[name] = values
		}
	}
	return found, receipt, nil
}

var receiptHeaders = []string{wire.HeaderNode, wire.HeaderShard, wire.HeaderEpoch, wire.HeaderTerm, wire.HeaderIndex, wire.HeaderConsistency, wire.HeaderSession}
