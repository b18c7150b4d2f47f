package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/kvorum/kvorum/client"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

// mostInBatch operations are sent in one request.
const mostInBatch = 8

// batch sends some operations in one request. Each is one of the history, over the whole request's time.
func (p *person) batch(patience time.Duration) {
	list := make([]*lin.Operation, 2+p.draw.IntN(mostInBatch-1))
	numbers := make([]uint64, len(list))
	lines := make([]wire.BatchOperation, len(list))
	for i := range list {
		list[i] = p.nextInBatch()
		lines[i] = batchLine(list[i])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i, o := range list {
		numbers[i] = p.recorder.Called(o)
	}
	results, err := p.client.Batch(ctx, lines)
	for i, o := range list {
		concludeLine(o, results[i])
		p.recorder.Returned(numbers[i], o)
		p.learn(o)
		if problem := results[i].Problem; problem != nil && undeservedCode(problem.Code) {
			p.wrong(fmt.Errorf("a well formed line of a batch, %s, was refused: %s", o, problem.Detail))
		}
	}
	if undeserved(err) {
		p.wrong(fmt.Errorf("a well formed batch was refused: %w", err))
	}
	if late := outOfOrder(list); late != nil {
		p.wrong(fmt.Errorf("%s took effect before an operation on the key that stood before it in its batch", late))
	}
}

// nextInBatch draws an operation that a batch may hold: no listings, and linearizable reads only.
func (p *person) nextInBatch() *lin.Operation {
	o := p.next()
	if o.Kind == lin.List {
		o.Key, o.Listing = p.Keys[p.draw.IntN(len(p.Keys))], nil
		o.Kind = lin.Get
	}
	if o.Kind == lin.Get {
		o.Input.Consistency = ""
	}
	return o
}

func batchLine(o *lin.Operation) wire.BatchOperation {
	line := wire.BatchOperation{Op: "put", Key: []byte(o.Key), Value: []byte(o.Input.Value), IdempotencyKey: o.Input.IdempotencyKey}
	switch o.Kind {
	case lin.Get:
		line.Op, line.Value = "get", nil
	case lin.Delete:
		line.Op, line.Value, line.IfRevision = "delete", nil, o.Input.Revision
	case lin.Create:
		line.IfAbsent = true
	case lin.Update:
		line.IfPresent = true
	case lin.CAS:
		line.IfRevision = o.Input.Revision
	}
	return line
}

// concludeLine turns a line of a batch's results into what the history says.
func concludeLine(o *lin.Operation, result wire.BatchResult) {
	if problem := result.Problem; problem != nil {
		conclude(o, client.Receipt{}, &client.Error{Outcome: result.Outcome, Code: problem.Code, Status: result.Status, Problem: problem})
		return
	}
	o.Outcome = lin.Outcome(result.Outcome)
	if o.Outcome == lin.Applied {
		o.Output = lin.Output{Result: lin.OK, Value: string(result.Value), Revision: result.Revision}
	}
}

// outOfOrder gives the first operation that was told a lower revision of its key than one that stands before it, or made one that
// such a one was told: operations on one key take effect in the batch's order, and the key's revisions only grow.
func outOfOrder(list []*lin.Operation) *lin.Operation {
	last := map[string]uint64{}
	for _, o := range list {
		told := o.Output.Revision
		if told == 0 { // nothing, or that the key is absent: it may have been deleted in between
			continue
		}
		made := o.Kind != lin.Get && o.Output.Result == lin.OK
		if told < last[o.Key] || made && told == last[o.Key] {
			return o
		}
		last[o.Key] = told
	}
	return nil
}
