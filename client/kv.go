package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/kvorum/kvorum/wire"
)

// Item is a key with its value, as read.
type Item struct {
	Key      string
	Value    []byte
	Revision uint64
	Receipt  Receipt // zero in listings
}

// Written is what a write came to.
type Written struct {
	Revision uint64 // of the key now; 0 after a delete
	Created  bool   // the key was absent before
	Replayed bool   // an earlier attempt under the same idempotency key did it; this is its reply
	Receipt  Receipt
}

// Get reads a key. A key that is absent gives ErrNotFound, with outcome applied and a receipt.
// Options: Consistency, MaxStale; IfChanged, which gives ErrNotModified if nothing did; IfRevision and IfPresent, which give
// ErrPreconditionFailed. These are answers, too, of outcome applied.
func (c *Client) Get(ctx context.Context, key string, list ...Option) (Item, error) {
	const operation = "get"
	if e := checkKey(operation, key); e != nil {
		return Item{}, e
	}
	o, query := c.optionsOf(list), url.Values{}
	if o.condition == ifAbsent {
		return Item{}, refuse(operation, key, wire.CodeInvalidRequest, "a get cannot depend on the key's absence: it tells it by ErrNotFound")
	}
	if err := o.readQuery(query); err != nil {
		return Item{}, refuse(operation, key, wire.CodeInvalidRequest, err.Error())
	}
	r := &request{operation: operation, key: key, method: http.MethodGet, path: keyPath + EscapeKey(key), query: query.Encode(), header: o.conditionHeader(), receipted: true}
	reply, failure := c.do(ctx, r)
	if failure != nil {
		return Item{}, failure
	}
	revision, _ := parseETag(reply.header.Get("ETag"))
	return Item{Key: key, Value: reply.body, Revision: revision, Receipt: reply.receipt}, nil
}

// Put stores a value, whether or not the key is there. Options: IfRevision, IfPresent, IfAbsent, IdempotencyKey.
func (c *Client) Put(ctx context.Context, key string, value []byte, list ...Option) (Written, error) {
	return c.write(ctx, "put", http.MethodPut, key, value, list)
}

// Create stores a value if the key is absent, else it gives ErrPreconditionFailed. Option: IdempotencyKey.
func (c *Client) Create(ctx context.Context, key string, value []byte, list ...Option) (Written, error) {
	return c.write(ctx, "create", http.MethodPut, key, value, with(list, IfAbsent()))
}

// Update replaces the value of a key that is there, else it gives ErrPreconditionFailed. Options: IfRevision, IdempotencyKey.
func (c *Client) Update(ctx context.Context, key string, value []byte, list ...Option) (Written, error) {
	return c.write(ctx, "update", http.MethodPut, key, value, append([]Option{IfPresent()}, list...))
}

// CompareAndSet replaces the value if the key is at revision, else it gives ErrPreconditionFailed, whose
// Error.Problem.Revision is the present one. Option: IdempotencyKey.
func (c *Client) CompareAndSet(ctx context.Context, key string, value []byte, revision uint64, list ...Option) (Written, error) {
	return c.write(ctx, "compare-and-set", http.MethodPut, key, value, with(list, IfRevision(revision)))
}

// Delete removes a key. An absent one gives ErrNotFound. Options: IfRevision, IfPresent, IdempotencyKey.
func (c *Client) Delete(ctx context.Context, key string, list ...Option) (Written, error) {
	return c.write(ctx, "delete", http.MethodDelete, key, nil, list)
}

func with(list []Option, last Option) []Option {
	return append(append([]Option(nil), list...), last)
}

func (c *Client) write(ctx context.Context, operation, method, key string, value []byte, list []Option) (Written, error) {
	o := c.optionsOf(list)
	if e := checkKey(operation, key); e != nil {
		return Written{}, e
	}
	if e := checkIdempotencyKey(operation, key, o.idempotencyKey); e != nil {
		return Written{}, e
	}
	if o.condition == ifAbsent && method == http.MethodDelete {
		return Written{}, refuse(operation, key, wire.CodeInvalidRequest, "a delete cannot depend on the key's absence")
	}
	if o.condition == ifChanged {
		return Written{}, refuse(operation, key, wire.CodeInvalidRequest, "IfChanged is for reads: a write takes IfRevision")
	}
	if o.idempotencyKey == "" && c.config.AutoIdempotency {
		o.idempotencyKey = NewIdempotencyKey()
	}
	r := &request{operation: operation, key: key, method: method, path: keyPath + EscapeKey(key), body: value, write: true, receipted: true, header: o.conditionHeader(),
		idempotencyKey: o.idempotencyKey, repeatable: o.idempotencyKey != ""}
	reply, failure := c.do(ctx, r)
	if failure != nil {
		return Written{}, failure
	}
	revision, _ := parseETag(reply.header.Get("ETag"))
	return Written{Revision: revision, Created: reply.status == http.StatusCreated, Replayed: reply.header.Get(wire.HeaderReplayed) == "true", Receipt: reply.receipt}, nil
}
