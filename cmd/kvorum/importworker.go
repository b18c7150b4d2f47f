package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/wire"
)

const (
	importLinger     = 2 * time.Millisecond // how long a batch that is not full waits for another line
	importBatchBytes = 2 << 20              // keys and values of one batch: six times as much in the worst JSON escaping
)

// importWorker stores the lines of its keys, batch after batch. A batch holds no key twice and the next is not sent before
// it is done, so the lines of one key are stored in order, whatever has to be repeated.
type importWorker struct {
	job     *importJob
	lines   <-chan importLine
	held    *importLine // read, but not fit for the batch before
	unknown bool        // something of the batch at hand was sent and not answered
}

func (w *importWorker) run(ctx context.Context) error {
	for {
		batch, open := w.collect(ctx)
		if len(batch) > 0 {
			if err := w.store(ctx, batch); err != nil {
				return err
			}
		}
		if ctx.Err() != nil || (!open && w.held == nil) {
			return nil
		}
	}
}

// collect gathers lines until the batch is full, a key comes again, or none comes for a moment.
func (w *importWorker) collect(ctx context.Context) (batch []importLine, open bool) {
	size, keys := 0, map[string]bool{}
	take := func(line importLine) (full bool) {
		size += len(line.key) + len(line.value)
		if keys[string(line.key)] || (len(batch) > 0 && size > importBatchBytes) {
			w.held = &line
			return true
		}
		keys[string(line.key)] = true
		batch = append(batch, line)
		return len(batch) >= w.job.cmd.Batch
	}
	if w.held != nil {
		held := *w.held
		w.held = nil
		take(held)
	}
	linger := time.NewTimer(importLinger)
	defer linger.Stop()
	for {
		var patience <-chan time.Time
		if len(batch) > 0 {
			patience = linger.C
		}
		select {
		case line, ok := <-w.lines:
			if !ok {
				return batch, false
			}
			if take(line) {
				return batch, true
			}
			linger.Reset(importLinger)
		case <-patience:
			return batch, true
		case <-ctx.Done():
			return nil, true
		}
	}
}

// store sends a batch until each line is stored or refused for good.
func (w *importWorker) store(ctx context.Context, left []importLine) error {
	w.unknown = false
	progress := time.Now()
	for round := 0; ; round++ {
		results, err := w.send(ctx, left)
		if hopeless(err) {
			return stopped{err.Error(), w.unknown}
		}
		again, reason := w.settle(left, results)
		if len(again) == 0 {
			return nil
		}
		if err != nil {
			reason = err.Error()
		}
		if len(again) < len(left) {
			progress, round = time.Now(), 0
		}
		left = again
		if ctx.Err() != nil {
			return nil // run tells why
		}
		if time.Since(progress) > w.job.cmd.RetryFor {
			return stopped{fmt.Sprintf("nothing could be stored for %s: %s", w.job.cmd.RetryFor, reason), w.unknown}
		}
		wait(ctx, min(2*time.Second, 50*time.Millisecond<<min(round, 6)))
	}
}

// settle sorts the results: done, refused for good, or to be sent again.
func (w *importWorker) settle(lines []importLine, results []wire.BatchResult) (again []importLine, reason string) {
	for i, line := range lines {
		r := results[i]
		switch {
		case r.Outcome == wire.Applied:
			w.job.tracker.done(line.sequence, false)
		case r.Outcome == wire.NotApplied && refusedForGood(r.Status):
			w.job.refuse(line, detailOf(r))
			w.job.tracker.done(line.sequence, true)
		default:
			w.unknown = w.unknown || r.Outcome == wire.Unknown
			again, reason = append(again, line), detailOf(r)
			w.hint(r)
		}
	}
	return again, reason
}

// hint tells once why an import has become slow.
func (w *importWorker) hint(r wire.BatchResult) {
	if r.Problem == nil || r.Problem.Code != wire.CodeIdempotencyFull {
		return
	}
	w.job.mu.Lock()
	defer w.job.mu.Unlock()
	if !w.job.hinted {
		w.job.hinted = true
		w.job.meter.say("the servers remember as many idempotency keys as they can; the import goes on as they forget (ten minutes each), or see --no-idempotency-keys")
	}
}

func refusedForGood(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// hopeless: the other side is no kvorum, or does not understand us. Repeating helps as little as for a refused line, but
// here it is all of them.
func hopeless(err error) bool {
	var e *client.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge:
		return true
	}
	return false
}

func detailOf(r wire.BatchResult) string {
	if r.Problem == nil {
		return "no answer"
	}
	return strconv.Itoa(r.Status) + " " + string(r.Problem.Code) + ": " + r.Problem.Detail
}

// send stores lines by one request. A large one goes alone and by PUT, which has no bound but that of values.
func (w *importWorker) send(ctx context.Context, lines []importLine) ([]wire.BatchResult, error) {
	if len(lines) == 1 && len(lines[0].value) > importBatchBytes {
		return w.sendOne(ctx, lines[0])
	}
	operations := make([]wire.BatchOperation, len(lines))
	for i, line := range lines {
		operations[i] = wire.BatchOperation{Op: "put", Key: line.key, Value: line.value, IdempotencyKey: w.idempotencyKey(line)}
	}
	return w.job.kv.Batch(ctx, operations)
}

func (w *importWorker) sendOne(ctx context.Context, line importLine) ([]wire.BatchResult, error) {
	_, err := w.job.kv.Put(ctx, string(line.key), line.value, client.IdempotencyKey(w.idempotencyKey(line)))
	result := wire.BatchResult{Outcome: client.OutcomeOf(err)}
	var e *client.Error
	if errors.As(err, &e) {
		result.Status, result.Problem = e.Status, &wire.Problem{Code: e.Code, Detail: e.Detail}
	}
	return []wire.BatchResult{result}, nil
}

// idempotencyKey is the same for the same line of a resumed import.
func (w *importWorker) idempotencyKey(line importLine) string {
	if !w.job.cmd.IdempotencyKeys {
		return ""
	}
	return "import-" + w.job.tracker.importID() + "-" + strconv.FormatInt(line.number, 10)
}

// wait waits for about d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
