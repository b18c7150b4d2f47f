package shardrouter

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"sync"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// serveListing merges the rows of all shards in key order. Each shard's rows are of one view; the views of different
// shards are of different moments. Before the first line a failure is an ordinary reply; afterwards the last line tells.
func (r *Router) serveListing(w http.ResponseWriter, req *http.Request) error {
	query, limit, err := parseListing(req)
	if err != nil {
		return err
	}
	if err := r.checkSession(query.Session); err != nil {
		return err
	}
	h := r.now()
	if len(h.table.Slots) == 0 {
		return errNoTable
	}
	ctx, cancel := context.WithTimeout(req.Context(), r.cfg.RequestTimeout)
	defer cancel()
	m, seen, err := r.openMerge(ctx, h.shards(), query)
	if err != nil {
		return err
	}
	defer m.close()
	w.Header()[wire.HeaderSession] = []string{query.Session.Merge(seen).String()}
	m.stream(replica.NewStream(w), limit)
	return nil
}

// parseListing reads the request. The shards are asked for one row more than the client wants, to know whether there is
// more.
func parseListing(req *http.Request) (query replica.RowsQuery, limit int, err error) {
	values, err := replica.ParseQuery(req.URL.RawQuery, "a listing", "prefix", "limit", "cursor", "consistency", "max_stale")
	if err != nil {
		return query, 0, err
	}
	if limit, err = replica.ParseLimit(values.Get("limit"), wire.MaxListLimit); err != nil {
		return query, 0, err
	}
	query.Prefix, query.Limit = []byte(values.Get("prefix")), limit+1
	if query.After, err = parseCursor(values); err != nil {
		return query, 0, err
	}
	if query.Consistency, query.MaxStale, err = replica.ParseConsistency(values); err != nil {
		return query, 0, err
	}
	query.Session, err = replica.SessionOf(req.Header)
	return query, limit, err
}

func parseCursor(values url.Values) ([]byte, error) {
	text := values.Get("cursor")
	if text == "" {
		return nil, nil
	}
	after, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(after) == 0 {
		return nil, replica.Invalid("cursor is not one that a listing ended with: pass on the last line's cursor as it is, or leave it out to start over")
	}
	return after, nil
}

func cursorAfter(key []byte) string { return base64.RawURLEncoding.EncodeToString(key) }

// head is the next row of one source.
type head struct {
	entry  wire.Entry
	source rowSource
}

// merge is a heap of heads, least key first.
type merge struct {
	heads   []head
	sources []rowSource
}

func (m *merge) Len() int { return len(m.heads) }
func (m *merge) Less(i, j int) bool {
	return bytes.Compare(m.heads[i].entry.Key, m.heads[j].entry.Key) < 0
}
func (m *merge) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge) Push(x any)    { m.heads = append(m.heads, x.(head)) }
func (m *merge) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

// openMerge opens all shards at once, each with its first row.
func (r *Router) openMerge(ctx context.Context, shards []uint32, query replica.RowsQuery) (*merge, replica.Session, error) {
	sources, sessions, errs := make([]rowSource, len(shards)), make([]replica.Session, len(shards)), make([]error, len(shards))
	var opening sync.WaitGroup
	for i, shard := range shards {
		opening.Go(func() { sources[i], sessions[i], errs[i] = r.openRows(ctx, shard, query) })
	}
	opening.Wait()
	m := &merge{}
	var seen replica.Session
	err := errors.Join(errs...)
	for i, source := range sources {
		if errs[i] != nil {
			continue
		}
		m.sources = append(m.sources, source)
		seen = seen.Merge(sessions[i])
		if err == nil {
			err = m.pull(source)
		}
	}
	if err != nil {
		m.close()
		return nil, nil, cannotRead(err)
	}
	return m, seen, nil
}

// pull takes the next row of a source into the heap.
func (m *merge) pull(source rowSource) error {
	entry, more, err := source.next()
	if more {
		heap.Push(m, head{entry, source})
	}
	return err
}

// stream writes at most limit rows and the last line. What was written is without gaps up to the last key, whatever
// happens: so the cursor is good also after a failure.
func (m *merge) stream(out *replica.Stream, limit int) {
	end := wire.End{Complete: true}
	var last []byte
	for len(m.heads) > 0 {
		if end.Count == limit {
			end.Cursor = cursorAfter(last)
			break
		}
		next := m.heads[0]
		if out.Line(next.entry) != nil {
			return // the client has gone away
		}
		end.Count++
		last = next.entry.Key
		heap.Pop(m)
		if err := m.pull(next.source); err != nil {
			end.Complete, end.Problem = false, problemOf(cannotRead(err))
			end.Cursor = cursorAfter(last)
			break
		}
	}
	_ = out.End(end)
}

// cannotRead is the answer when a shard's rows do not come: a listing changes nothing, so it is not applied.
func cannotRead(err error) error {
	var link *linkError
	if errors.As(err, &link) {
		return replica.Failure(wire.CodeUnreachable, "%v: try again", link)
	}
	return replica.AsError(err)
}

func (m *merge) close() {
	for _, source := range m.sources {
		source.close()
	}
}
