package replica

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// BatchItem is one line of a batch: a request, or the reason why the line is none.
type BatchItem struct {
	Request Request
	Err     error  // *controller.Error
	Line    []byte // as it came, without the newline
}

// ReadBatch reads the NDJSON body of a batch whole: at most wire.MaxBatchBytes and wire.MaxBatchOperations. A bad line
// fails only itself. Blank lines are skipped and not counted.
func ReadBatch(w http.ResponseWriter, r *http.Request, maxValue int64) ([]BatchItem, error) {
	if len(r.Header[wire.HeaderIdempotencyKey]) > 0 {
		return nil, Invalid("a batch takes no %s header: each line has its own idempotency_key", wire.HeaderIdempotencyKey)
	}
	body, err := ReadValue(w, r, wire.MaxBatchBytes)
	if err != nil {
		return nil, batchTooLarge(err)
	}
	var items []BatchItem
	for line := range bytes.SplitSeq(body, []byte{'\n'}) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if len(items) == wire.MaxBatchOperations {
			return nil, Failure(wire.CodeValueTooLarge, "the batch has more than %d operations: send several batches", wire.MaxBatchOperations)
		}
		items = append(items, parseBatchLine(line, maxValue))
	}
	return items, nil
}

func batchTooLarge(err error) error {
	failed := AsError(err)
	if failed.Code == wire.CodeValueTooLarge {
		return Failure(failed.Code, "the batch has more than %d bytes: send several batches", wire.MaxBatchBytes)
	}
	return failed
}

func parseBatchLine(line []byte, maxValue int64) BatchItem {
	item := BatchItem{Line: line}
	item.Request, item.Err = parseBatchOperation(line, maxValue)
	return item
}

func parseBatchOperation(line []byte, maxValue int64) (Request, error) {
	// encoding/json would silently turn what is not Unicode into U+FFFD: another key than the client meant.
	if !wire.ValidText(line) {
		return Request{}, Invalid("the line is not valid Unicode: give bytes that are not text as key_base64 and value_base64")
	}
	var op wire.BatchOperation
	if err := json.Unmarshal(line, &op); err != nil {
		return Request{}, badLine(err)
	}
	return batchRequest(op, maxValue)
}

func badLine(err error) error {
	var syntax *json.SyntaxError
	switch {
	case !errors.As(err, &syntax):
		return Invalid("%v", err)
	case strings.Contains(syntax.Error(), "after top-level value"):
		return Invalid("the line holds more than one operation: write each on a line of its own (curl keeps line ends with --data-binary, not with -d)")
	}
	return Invalid(`the line is not JSON (%v): write one operation on each, such as {"op":"put","key":"a","value":"1"}`, err)
}

func batchRequest(op wire.BatchOperation, maxValue int64) (Request, error) {
	req := Request{Key: op.Key, IdempotencyKey: op.IdempotencyKey, Consistency: wire.Linearizable}
	switch op.Op {
	case "get":
		req.Operation = Get
	case "put":
		req.Operation, req.Value = Put, op.Value
	case "delete":
		req.Operation = Delete
	case "":
		return req, Invalid("op is missing: give put, get or delete")
	default:
		return req, Invalid("op %s is unknown: use put, get or delete", quote(op.Op))
	}
	if len(op.Key) == 0 {
		return req, Invalid("the key is missing or empty: give key, or key_base64 for bytes that are no text, 1 to %d bytes", wire.MaxKeyBytes)
	}
	if err := checkKey(len(op.Key)); err != nil {
		return req, err
	}
	if int64(len(op.Value)) > maxValue {
		return req, tooLarge(int64(len(op.Value)), maxValue)
	}
	if op.IdempotencyKey != "" {
		if err := CheckIdempotencyKey(op.IdempotencyKey); err != nil {
			return req, err
		}
	}
	err := batchCondition(op, &req)
	return req, err
}

func batchCondition(op wire.BatchOperation, req *Request) error {
	given := 0
	set := func(wanted bool, condition store.Condition) {
		if wanted {
			req.Condition = condition
			given++
		}
	}
	set(op.IfAbsent, store.IfAbsent)
	set(op.IfPresent, store.IfPresent)
	set(op.IfRevision != 0, store.IfRevision)
	req.Revision = store.Revision(op.IfRevision)
	switch {
	case given > 1:
		return Invalid("if_absent, if_present and if_revision exclude each other: give one")
	case given > 0 && req.Operation == Get:
		return Invalid("a get takes no condition: leave out if_absent, if_present and if_revision")
	}
	return nil
}
