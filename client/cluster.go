package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/kvorum/kvorum/wire"
)

// Operation asks what became of a write under an idempotency key. ErrNotFound does not mean that the write did not
// happen: it may still be on its way, or be forgotten (keys are kept for at least ten minutes).
func (c *Client) Operation(ctx context.Context, idempotencyKey string) (wire.Operation, error) {
	const name = "look up operation"
	if idempotencyKey == "" {
		return wire.Operation{}, refuse(name, "", wire.CodeInvalidRequest, "the idempotency key is empty")
	}
	if e := checkIdempotencyKey(name, idempotencyKey, idempotencyKey); e != nil {
		return wire.Operation{}, e
	}
	var operation wire.Operation
	r := &request{operation: name, key: idempotencyKey, method: http.MethodGet, path: "/v1/operations/" + EscapeKey(idempotencyKey)}
	return operation, c.call(ctx, r, nil, &operation)
}

// ClusterStatus asks one node how all shards and replicas are, as it sees them.
func (c *Client) ClusterStatus(ctx context.Context) (wire.ClusterStatus, error) {
	var status wire.ClusterStatus
	r := &request{operation: "cluster status", method: http.MethodGet, path: "/v1/cluster"}
	return status, c.call(ctx, r, nil, &status)
}

// Table gives the slot table.
func (c *Client) Table(ctx context.Context) (wire.Table, error) {
	var table wire.Table
	r := &request{operation: "slot table", method: http.MethodGet, path: "/v1/cluster/table"}
	return table, c.call(ctx, r, nil, &table)
}

// TransferLeader hands a shard's leadership over to a node, or with to "" to any voter that is up.
func (c *Client) TransferLeader(ctx context.Context, shard uint32, to string) (wire.TransferReply, error) {
	var reply wire.TransferReply
	return reply, c.call(ctx, shardRequest("transfer leader", shard, "transfer-leader"), wire.TransferRequest{To: to}, &reply)
}

// Snapshot makes every replica of a shard write a snapshot now.
func (c *Client) Snapshot(ctx context.Context, shard uint32) (wire.SnapshotReply, error) {
	var reply wire.SnapshotReply
	return reply, c.call(ctx, shardRequest("snapshot", shard, "snapshot"), nil, &reply)
}

// Health checks what the answering endpoint says of itself: "live", "ready" or "leader". nil is yes. It asks once.
func (c *Client) Health(ctx context.Context, check string) error {
	switch check {
	case "live", "ready", "leader":
	default:
		return refuse("health", check, wire.CodeInvalidRequest, "want live, ready or leader")
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	r := &request{operation: "health", key: check, method: http.MethodGet, path: "/v1/health/" + check}
	_, failure := c.attempt(ctx, r, c.candidates(ctx, r)[0])
	if failure != nil {
		failure.Attempts = 1
		return failure
	}
	return nil
}

func shardRequest(name string, shard uint32, verb string) *request {
	id := strconv.FormatUint(uint64(shard), 10)
	return &request{operation: name, key: "shard " + id, method: http.MethodPost, path: "/v1/cluster/shards/" + id + "/" + verb, write: true}
}

// call does r with in as its JSON body, if not nil, and decodes the reply into out.
func (c *Client) call(ctx context.Context, r *request, in, out any) error {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s: %w", r.operation, err)
		}
		r.body = body
		r.header = append(r.header, [2]string{"Content-Type", "application/json"})
	}
	reply, failure := c.do(ctx, r)
	if failure != nil {
		return failure
	}
	if err := json.Unmarshal(reply.body, out); err != nil {
		return &Error{Operation: r.operation, Key: r.key, Outcome: wire.Applied, Status: reply.status, Detail: "the reply is not what was expected", Err: err}
	}
	return nil
}
