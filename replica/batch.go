package replica

import (
	"context"
	"net/http"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/wire"
)

// batchWindow is how many writes of one batch are under way at once: two full log entries, so that the proposer always
// has the next one ready, and one batch can't fill its queue.
const batchWindow = 1024

// Batch carries out requests, each for itself, in this order for each key: a request sees what those before it in the
// batch did to the same key. It returns one result per request, and the session that has seen them all. An error means
// that nothing was started.
func (r *Replica) Batch(ctx context.Context, requests []*Request) ([]wire.BatchResult, Session, error) {
	if !r.Leads() {
		return nil, nil, r.notLeading()
	}
	b := &batchRun{replica: r, requests: requests, results: make([]wire.BatchResult, len(requests)), read: map[string]struct{}{}}
	for i, req := range requests {
		b.add(ctx, i, req)
	}
	b.endRound(ctx)
	return b.results, b.session, nil
}

// Leads reports whether this replica takes itself for the leader. It may be wrong for a moment: a proposal finds out.
func (r *Replica) Leads() bool { return r.controller.Leader() == r.controller.Node() }

// notLeading refuses what only the leader can do, and tells whom this replica takes for it ("" when that is itself: it
// can't help then).
func (r *Replica) notLeading() error {
	refusal := &controller.Error{Code: wire.CodeMisdirected, Detail: "node " + r.controller.Node() + " does not lead"}
	if leader := r.controller.Leader(); leader != r.controller.Node() {
		refusal.Leader = leader
	}
	return refusal
}

// batchRun works in rounds. A round's writes are all done before its one linearizable read, which answers all its gets: so
// a get sees every write before it. A write of a key that the round reads ends the round first: so no get sees a later one.
type batchRun struct {
	replica  *Replica
	requests []*Request
	results  []wire.BatchResult
	session  Session

	writes []startedWrite // of this round, not yet awaited, in order
	gets   []int          // of this round, by position
	read   map[string]struct{}
}

type startedWrite struct {
	at       int
	proposal *controller.Proposal
}

func (b *batchRun) add(ctx context.Context, i int, req *Request) {
	if ctx.Err() != nil { // those before have taken all the time: what was not started never will be
		b.results[i] = FailedResult(i, Failure(wire.CodeOverloaded, "the batch's time was up before this operation was started: send it again, in a smaller batch"))
		return
	}
	key := string(req.Key)
	if req.Operation.Reads() {
		b.read[key] = struct{}{}
		b.gets = append(b.gets, i)
		return
	}
	if _, conflict := b.read[key]; conflict {
		b.endRound(ctx)
	}
	if len(b.writes) == batchWindow {
		b.awaitWrites(ctx, batchWindow/2)
	}
	b.writes = append(b.writes, startedWrite{i, b.replica.controller.Start(commandOf(req))})
}

// endRound awaits the writes, then reads: one view answers all gets of the round.
func (b *batchRun) endRound(ctx context.Context) {
	b.awaitWrites(ctx, len(b.writes))
	b.runGets(ctx)
	clear(b.read)
}

// awaitWrites awaits the n oldest writes.
func (b *batchRun) awaitWrites(ctx context.Context, n int) {
	for _, w := range b.writes[:n] {
		applied, err := w.proposal.Wait(ctx)
		var reply Reply
		if err == nil {
			reply, err = b.replica.answerWrite(b.requests[w.at], applied)
		}
		b.settle(w.at, reply, err)
	}
	b.writes = append(b.writes[:0], b.writes[n:]...)
}

func (b *batchRun) runGets(ctx context.Context) {
	if len(b.gets) == 0 {
		return
	}
	r := b.replica
	view, read, err := r.controller.Read(ctx, controller.ReadOptions{Consistency: wire.Linearizable})
	for _, at := range b.gets {
		if err != nil {
			b.settle(at, Reply{}, err)
			continue
		}
		var reply Reply
		refused := r.readable(view, b.requests[at].Key)
		if refused == nil {
			row, found := view.Get(b.requests[at].Key)
			reply = answerRead(b.requests[at], row, found, r.readReceipt(view, read))
		}
		b.settle(at, reply, refused)
	}
	b.gets = b.gets[:0]
}

// settle notes the result of the request at position i.
func (b *batchRun) settle(i int, reply Reply, err error) {
	if err != nil {
		b.results[i] = FailedResult(i, err)
		return
	}
	b.session = b.session.With(reply.Receipt.Shard, reply.Receipt.Index)
	b.results[i] = reply.batchResult(i, b.requests[i].Operation)
}

func (p *Reply) batchResult(i int, op Operation) wire.BatchResult {
	result := wire.BatchResult{Index: i, Status: p.Status, Outcome: p.Outcome, Revision: uint64(p.Revision)}
	if p.Code != "" {
		problem := p.Problem()
		result.Problem = &problem
	} else if op == Get {
		result.Value, result.HasValue = p.Value, true
	}
	return result
}

// FailedResult is the result line of a request that was not answered.
func FailedResult(i int, err error) wire.BatchResult {
	failed := AsError(err)
	problem := wire.NewProblem(failed.Code, failed.Detail)
	return wire.BatchResult{Index: i, Status: problem.Status, Outcome: problem.Outcome, Problem: &problem}
}

// serveBatch answers a batch whose lines are all for this shard.
func (r *Replica) serveBatch(w http.ResponseWriter, req *http.Request) error {
	bound, err := BodyBound(req, wire.MaxBatchBytes)
	if err != nil {
		return batchTooLarge(err)
	}
	if err := r.limiter.Take(bound); err != nil {
		return err
	}
	defer r.limiter.Give(bound)
	session, err := SessionOf(req.Header)
	if err != nil {
		return err
	}
	items, err := ReadBatch(w, req, r.opt.MaxValueBytes)
	if err != nil {
		return err
	}
	requests := make([]*Request, len(items))
	for i := range items {
		if items[i].Err != nil { // the router sends only lines that it understood
			return items[i].Err
		}
		requests[i] = &items[i].Request
	}
	ctx, cancel := r.bounded(req)
	defer cancel()
	results, seen, err := r.Batch(ctx, requests)
	if err != nil {
		return err
	}
	w.Header()[wire.HeaderSession] = []string{session.Merge(seen).String()}
	return writeResults(w, results)
}

func writeResults(w http.ResponseWriter, results []wire.BatchResult) error {
	stream := NewStream(w)
	for i := range results {
		if stream.Line(&results[i]) != nil {
			return nil // the other end has gone away
		}
	}
	_ = stream.End(wire.End{Complete: true, Count: len(results)})
	return nil
}
