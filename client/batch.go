package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/kvorum/kvorum/wire"
)

// Batch sends many independent operations in one request and gives each one's result, in order. Operations on one key
// take effect in order; there is no order and no atomicity among keys. Each result has its own outcome: look at all of
// them, also after an error. An error means that some results are missing; those stand as unknown (writes) or not-applied
// (gets) with status 0.
//
// The request is sent again only if nothing of it was executed, or if a second execution does no harm: when all its
// writes carry an IdempotencyKey (Config.AutoIdempotency adds them) and no key of the store occurs twice.
func (c *Client) Batch(ctx context.Context, operations []wire.BatchOperation) ([]wire.BatchResult, error) {
	const name = "batch"
	if len(operations) > wire.MaxBatchOperations {
		return nil, refuse(name, "", wire.CodeValueTooLarge, fmt.Sprintf("%d operations, at most %d are allowed", len(operations), wire.MaxBatchOperations))
	}
	if c.config.AutoIdempotency {
		operations = withKeys(operations)
	}
	body, err := encodeBatch(operations)
	if err != nil {
		return nil, refuse(name, "", wire.CodeInvalidRequest, err.Error())
	}
	b := &batch{operations: operations, results: make([]wire.BatchResult, len(operations))}
	for i := range b.results {
		b.results[i] = wire.BatchResult{Index: i, Outcome: wire.NotApplied}
	}
	r := &request{operation: name, method: http.MethodPost, path: "/v1/batch", header: [][2]string{{"Content-Type", "application/x-ndjson"}},
		body: body, write: writes(operations), repeatable: repeatableBatch(operations), consume: b.consume, unknown: b.missing}
	if _, failure := c.do(ctx, r); failure != nil {
		return b.results, failure
	}
	return b.results, nil
}

type batch struct {
	operations []wire.BatchOperation
	results    []wire.BatchResult
	fresh      []bool // by operation: the attempt at hand has answered it
}

// consume takes in the results of one attempt.
func (b *batch) consume(response *http.Response, dog *watchdog) error {
	b.fresh = make([]bool, len(b.operations))
	b.forgetReads()
	err := eachLine(response.Body, dog, func(line []byte) (bool, error) {
		if _, isEnd, err := parseEnd(line); isEnd || err != nil {
			return true, err
		}
		var result wire.BatchResult
		if err := json.Unmarshal(line, &result); err != nil {
			return false, fmt.Errorf("line of a batch's results: %w", err)
		}
		if result.Index < 0 || result.Index >= len(b.results) || !result.Outcome.Valid() {
			return false, fmt.Errorf("result %d of a batch of %d, outcome %q", result.Index, len(b.results), result.Outcome)
		}
		b.take(result)
		return false, nil
	})
	for i, answered := range b.fresh {
		if err == nil && !answered {
			err = fmt.Errorf("operation %d of the batch got no result", i)
		}
	}
	return err
}

// forgetReads: gets are done anew by each attempt. Answers of two attempts to gets of one key are in no order.
func (b *batch) forgetReads() {
	for i, operation := range b.operations {
		if operation.Op == "get" {
			b.results[i] = wire.BatchResult{Index: i, Outcome: wire.NotApplied}
		}
	}
}

// take keeps what is known for certain: an operation that an attempt applied stays applied, and a later refusal proves
// nothing about an earlier attempt unless it is recorded under the idempotency key.
func (b *batch) take(result wire.BatchResult) {
	i := result.Index
	b.fresh[i] = true
	before := b.results[i]
	if before.Outcome == wire.Applied && result.Outcome != wire.Applied {
		return
	}
	maybe := before.Outcome == wire.Unknown
	proof := b.operations[i].IdempotencyKey != "" && result.Problem != nil && recorded(result.Problem.Code)
	if maybe && result.Outcome == wire.NotApplied && !proof {
		result.Outcome = wire.Unknown
	}
	b.results[i] = result
}

// missing marks what an attempt that may have been executed left unanswered.
func (b *batch) missing() {
	for i, operation := range b.operations {
		answered := i < len(b.fresh) && b.fresh[i]
		if !answered && operation.Op != "get" && b.results[i].Outcome != wire.Applied {
			b.results[i] = wire.BatchResult{Index: i, Outcome: wire.Unknown}
		}
	}
	b.fresh = nil // the next attempt may not even get to a reply
}

func encodeBatch(operations []wire.BatchOperation) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	for i, operation := range operations {
		if err := encoder.Encode(operation); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
	}
	if body.Len() > wire.MaxBatchBytes {
		return nil, fmt.Errorf("the batch has %d bytes, at most %d are allowed: send fewer operations at a time", body.Len(), wire.MaxBatchBytes)
	}
	return body.Bytes(), nil
}

func withKeys(operations []wire.BatchOperation) []wire.BatchOperation {
	keyed := append([]wire.BatchOperation(nil), operations...)
	for i := range keyed {
		if keyed[i].Op != "get" && keyed[i].IdempotencyKey == "" {
			keyed[i].IdempotencyKey = NewIdempotencyKey()
		}
	}
	return keyed
}

func writes(operations []wire.BatchOperation) bool {
	for _, operation := range operations {
		if operation.Op != "get" {
			return true
		}
	}
	return false
}

// repeatableBatch: with a key twice in it, a repeat could execute the first operation after the second.
func repeatableBatch(operations []wire.BatchOperation) bool {
	seen := make(map[string]bool, len(operations))
	for _, operation := range operations {
		if operation.Op != "get" && operation.IdempotencyKey == "" || seen[string(operation.Key)] {
			return false
		}
		seen[string(operation.Key)] = true
	}
	return true
}
