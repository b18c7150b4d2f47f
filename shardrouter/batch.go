package shardrouter

import (
	"context"
	"net/http"
	"sync"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// subBatch are the operations of a batch that one shard carries out, in their order.
type subBatch struct {
	shard uint32
	items []replica.BatchItem
	at    []int // their positions in the whole batch

	results resultSource // once carried out
	err     error        // or why it was not
	taken   int          // results handed out
}

// serveBatch carries out many operations, each for itself. They are grouped by shard; the groups run at the same time,
// the results come back in the order of the request. Nothing is started before the whole request was read.
func (r *Router) serveBatch(w http.ResponseWriter, req *http.Request) error {
	if _, err := replica.ParseQuery(req.URL.RawQuery, "a batch"); err != nil {
		return err
	}
	session, err := r.sessionOf(req.Header)
	if err != nil {
		return err
	}
	items, give, err := r.readBatch(w, req)
	if err != nil {
		return err
	}
	defer give()
	groups, owner, err := r.group(items)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(req.Context(), r.cfg.RequestTimeout)
	defer cancel()
	seen := r.runGroups(ctx, groups)
	defer closeGroups(groups)
	w.Header()[wire.HeaderSession] = []string{session.Merge(seen).String()}
	writeBatch(replica.NewStream(w), items, owner)
	return nil
}

func (r *Router) readBatch(w http.ResponseWriter, req *http.Request) (items []replica.BatchItem, give func(), err error) {
	// A batch counts twice: as it came, and as values in it.
	bound, err := replica.BodyBound(req, wire.MaxBatchBytes)
	if err != nil {
		return nil, nil, replica.Failure(wire.CodeValueTooLarge, "the batch has more than %d bytes: send several batches", wire.MaxBatchBytes)
	}
	if err := r.limiter.Take(2 * bound); err != nil {
		return nil, nil, err
	}
	if items, err = replica.ReadBatch(w, req, r.cfg.MaxValueBytes); err != nil {
		r.limiter.Give(2 * bound)
		return nil, nil, err
	}
	return items, func() { r.limiter.Give(2 * bound) }, nil
}

// group sorts the operations by shard. owner has, by position, the group of each operation; nil where the line is bad.
func (r *Router) group(items []replica.BatchItem) (groups map[uint32]*subBatch, owner []*subBatch, err error) {
	h := r.now()
	groups, owner = map[uint32]*subBatch{}, make([]*subBatch, len(items))
	for i := range items {
		if items[i].Err != nil {
			continue
		}
		shard, err := h.shardOf(items[i].Request.Key)
		if err != nil {
			return nil, nil, err
		}
		g := groups[shard]
		if g == nil {
			g = &subBatch{shard: shard}
			groups[shard] = g
		}
		g.items, g.at = append(g.items, items[i]), append(g.at, i)
		owner[i] = g
	}
	return groups, owner, nil
}

// runGroups carries all groups out at once, and gives the session that has seen them.
func (r *Router) runGroups(ctx context.Context, groups map[uint32]*subBatch) replica.Session {
	var seen replica.Session
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, g := range groups {
		running.Go(func() {
			session := r.runGroup(ctx, g)
			mu.Lock()
			defer mu.Unlock()
			seen = seen.Merge(session)
		})
	}
	running.Wait()
	return seen
}

// runGroup sends a group to its shard's leader. It counts as a write: again only after proof that nothing was started.
func (r *Router) runGroup(ctx context.Context, g *subBatch) (seen replica.Session) {
	g.err = r.write(ctx, g.shard, func(ctx context.Context, to target) (err error) {
		if to.local {
			g.results, seen, err = r.batchHere(ctx, g)
		} else {
			g.results, seen, err = r.batchThere(ctx, to, g)
		}
		return err
	})
	return seen
}

func closeGroups(groups map[uint32]*subBatch) {
	for _, g := range groups {
		if g.results != nil {
			g.results.close()
		}
	}
}

// writeBatch writes one line per operation, and the last line.
func writeBatch(out *replica.Stream, items []replica.BatchItem, owner []*subBatch) {
	for i := range items {
		var result wire.BatchResult
		if items[i].Err != nil {
			result = replica.FailedResult(i, items[i].Err)
		} else {
			result = owner[i].take(items[i].Request.Operation)
			result.Index = i
		}
		if out.Line(result) != nil {
			return // the client has gone away
		}
	}
	_ = out.End(wire.End{Complete: true, Count: len(items)})
}

// take hands out the next result of the group, as a client may see it.
func (g *subBatch) take(op replica.Operation) wire.BatchResult {
	var result wire.BatchResult
	err := g.err
	if err == nil {
		if result, err = g.results.next(); err != nil {
			g.err = err // and of all that follow
		}
	}
	if g.taken++; err == nil && g.taken == len(g.items) {
		g.results.drain()
	}
	switch {
	case err != nil:
		return replica.FailedResult(0, lost(op, err))
	case result.Problem != nil && result.Problem.Code == wire.CodeMisdirected:
		// Leadership went away in the middle. It is not sent again: others of the same key behind it may have been applied.
		return replica.FailedResult(0, replica.Failure(wire.CodeNoLeader, "shard %d lost its leader in the middle of the batch: send this operation again", g.shard))
	}
	return result
}

// lost is the outcome of an operation whose result did not come. Whatever became of the batch, its gets changed nothing.
func lost(op replica.Operation, err error) error {
	err = final(err)
	if failed := replica.AsError(err); op.Reads() && failed.Outcome() == wire.Unknown {
		return replica.Failure(wire.CodeUnreachable, "the value did not come (%s): try again", failed.Detail)
	}
	return err
}
