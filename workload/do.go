package workload

import (
	"context"
	"errors"
	"time"

	"github.com/kvorum/kvorum/client"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

// MaxStale is the bound of the bounded reads.
const MaxStale = 2 * time.Second

// do sends o and puts the answer into it.
func (p *person) do(ctx context.Context, o *lin.Operation) (client.Receipt, error) {
	switch o.Kind {
	case lin.Get:
		return p.get(ctx, o)
	case lin.List:
		return client.Receipt{}, p.list(ctx, o)
	}
	var list []client.Option
	if o.Input.IdempotencyKey != "" {
		list = append(list, client.IdempotencyKey(o.Input.IdempotencyKey))
	}
	if o.Kind == lin.Delete && o.Input.Revision != 0 {
		list = append(list, client.IfRevision(o.Input.Revision))
	}
	written, err := p.write(ctx, o, list)
	if err == nil {
		o.Output = lin.Output{Result: lin.OK, Revision: written.Revision}
	}
	return written.Receipt, err
}

func (p *person) write(ctx context.Context, o *lin.Operation, list []client.Option) (client.Written, error) {
	value := []byte(o.Input.Value)
	switch o.Kind {
	case lin.CAS:
		return p.client.CompareAndSet(ctx, o.Key, value, o.Input.Revision, list...)
	case lin.Create:
		return p.client.Create(ctx, o.Key, value, list...)
	case lin.Update:
		return p.client.Update(ctx, o.Key, value, list...)
	case lin.Delete:
		return p.client.Delete(ctx, o.Key, list...)
	}
	return p.client.Put(ctx, o.Key, value, list...)
}

func (p *person) get(ctx context.Context, o *lin.Operation) (client.Receipt, error) {
	var list []client.Option
	switch wire.Consistency(o.Input.Consistency) {
	case wire.Stale:
		list = append(list, client.Consistency(wire.Stale))
	case wire.Bounded:
		list = append(list, client.MaxStale(MaxStale))
	}
	item, err := p.client.Get(ctx, o.Key, list...)
	if err == nil {
		o.Output = lin.Output{Result: lin.OK, Value: string(item.Value), Revision: item.Revision}
	}
	return item.Receipt, err
}

func (p *person) list(ctx context.Context, o *lin.Operation) error {
	o.Listing.Items = nil
	for item, err := range p.client.List(ctx, client.ListOptions{Prefix: o.Listing.Prefix}) {
		if err != nil {
			return err
		}
		o.Listing.Items = append(o.Listing.Items, lin.Item{Key: item.Key, Value: string(item.Value), Revision: item.Revision})
	}
	o.Output.Result = lin.OK
	return nil
}

// undeserved: does the error tell a client that keeps to the API that it did not, or of a defect?
func undeserved(err error) (e *client.Error, wrong bool) {
	if !errors.As(err, &e) {
		return nil, false
	}
	switch e.Code {
	case wire.CodeInvalidRequest, wire.CodeNoSuchPath, wire.CodeMethodNotAllowed, wire.CodeKeyTooLong, wire.CodeValueTooLarge, wire.CodeIdempotencyMismatch, wire.CodeInternal:
		return e, true
	}
	return e, false
}

// conclude turns what the client package said into what the history says.
func conclude(o *lin.Operation, receipt client.Receipt, err error) {
	o.Outcome = lin.Outcome(client.OutcomeOf(err))
	var e *client.Error
	if errors.As(err, &e) {
		receipt = e.Receipt
		o.Output = lin.Output{}
		switch {
		case e.Outcome == wire.Unknown:
		case errors.Is(e, client.ErrNotFound):
			o.Output = lin.Output{Result: lin.Absent}
		case errors.Is(e, client.ErrPreconditionFailed) && e.Problem != nil:
			o.Output = lin.Output{Result: lin.PreconditionFailed, Revision: e.Problem.Revision}
		}
	}
	if o.Outcome != lin.Applied && o.Listing != nil {
		o.Listing.Items = nil
	}
	o.Node = receipt.Node
	if receipt.Node != "" {
		o.Receipt = &lin.Receipt{Shard: receipt.Shard, Epoch: receipt.Epoch, Term: receipt.Term, Index: receipt.Index, Consistency: receipt.Consistency}
	}
}
