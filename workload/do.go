package workload

import (
	"context"
	"errors"
	"fmt"
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
	asked := p.readCondition(o.Key)
	item, err := p.client.Get(ctx, o.Key, append(list, asked.option()...)...)
	if err == nil {
		o.Output = lin.Output{Result: lin.OK, Value: string(item.Value), Revision: item.Revision}
		if asked.unmet(item.Revision) {
			p.wrong(fmt.Errorf("%s was answered with revision %d against its condition, revision %d", o, item.Revision, asked.revision))
		}
	}
	if unchanged, receipt := notModified(err); unchanged {
		o.Output = lin.Output{Result: lin.OK, Value: asked.value, Revision: asked.revision}
		return receipt, nil
	}
	return item.Receipt, err
}

// Reads of a key that the client knows: of so many one asks only if it has changed, and one only if it has not.
const (
	readIfChangedIn = 6
	readIfSameIn    = 12
)

// readCondition is what a read asks for besides, of a key whose value the client knows; at most one of both.
type readCondition struct {
	seen
	ifChanged, ifSame bool
}

// readCondition draws one.
func (p *person) readCondition(key string) (c readCondition) {
	last := p.seen[key]
	if last.revision == 0 || p.temper == nil {
		return c
	}
	dice := p.temper.IntN(readIfSameIn)
	return readCondition{seen: last, ifChanged: dice < readIfSameIn/readIfChangedIn, ifSame: dice == readIfSameIn-1}
}

func (c readCondition) option() []client.Option {
	switch {
	case c.ifChanged:
		return []client.Option{client.IfChanged(c.revision)}
	case c.ifSame:
		return []client.Option{client.IfRevision(c.revision)}
	}
	return nil
}

// unmet: a value of this revision is no answer.
func (c readCondition) unmet(revision uint64) bool {
	return c.ifChanged && revision == c.revision || c.ifSame && revision != c.revision
}

// notModified: the reply says that the key is as the client knows it.
func notModified(err error) (bool, client.Receipt) {
	var e *client.Error
	if errors.Is(err, client.ErrNotModified) && errors.As(err, &e) {
		return true, e.Receipt
	}
	return false, client.Receipt{}
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
func undeserved(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && undeservedCode(e.Code)
}

func undeservedCode(code wire.Code) bool {
	switch code {
	case wire.CodeInvalidRequest, wire.CodeNoSuchPath, wire.CodeMethodNotAllowed, wire.CodeKeyTooLong, wire.CodeValueTooLarge, wire.CodeIdempotencyMismatch, wire.CodeInternal:
		return true
	}
	return false
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
			refusedBy(o, e.Problem.Revision)
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

// refusedBy notes that the key was at another revision than the condition wants, 0 if it was absent. A history has no read that was
// told a revision without its value, so such a one says nothing.
func refusedBy(o *lin.Operation, present uint64) {
	switch {
	case o.Kind != lin.Get:
		o.Output = lin.Output{Result: lin.PreconditionFailed, Revision: present}
	case present == 0:
		o.Output = lin.Output{Result: lin.Absent}
	default:
		o.Outcome = lin.NotApplied
	}
}
