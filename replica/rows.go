package replica

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// RowsQuery selects rows of a shard.
type RowsQuery struct {
	Prefix, After []byte // keys with this prefix, above After (nil: from the first)
	Limit         int    // rows at most
	Consistency   wire.Consistency
	MaxStale      time.Duration
	Session       Session
}

// Rows iterates over the rows of one immutable view, in key order. It holds no lock, and memory only while it is used.
type Rows struct {
	view  *store.View
	query RowsQuery
	chunk []wire.Entry // taken from the view, from next on not handed out yet
	next  int
	after []byte // last key taken
	left  int    // rows that may still be taken
	done  bool   // the view has no more
}

// rowsChunk is how many rows are taken from the view at once; their values are shared with it.
const rowsChunk = 256

// Rows opens the rows of this shard, all from one view.
func (r *Replica) Rows(ctx context.Context, query RowsQuery) (*Rows, Receipt, error) {
	view, read, err := r.controller.Read(ctx, controller.ReadOptions{
		Consistency: query.Consistency, MaxStale: query.MaxStale, MinIndex: query.Session.Index(r.shard),
	})
	if err != nil {
		return nil, Receipt{}, err
	}
	if _, known := view.Identity(); !known {
		return nil, Receipt{}, Failure(wire.CodeNotReady, "shard %d is being set up: try again", r.shard)
	}
	return &Rows{view: view, query: query, left: query.Limit, after: query.After}, r.readReceipt(view, read), nil
}

// Next gives the next row, or false after the last. The entry's slices are read only.
func (s *Rows) Next() (wire.Entry, bool) {
	if s.next == len(s.chunk) {
		s.fill()
	}
	if s.next == len(s.chunk) {
		return wire.Entry{}, false
	}
	entry := s.chunk[s.next]
	s.next++
	return entry, true
}

func (s *Rows) fill() {
	s.chunk, s.next = s.chunk[:0], 0
	if s.done || s.left == 0 {
		return
	}
	want := min(rowsChunk, s.left)
	s.view.Scan(s.query.Prefix, s.after, func(key []byte, row store.Row) bool {
		s.chunk = append(s.chunk, wire.Entry{Key: key, Value: row.Value, Revision: uint64(row.Revision)})
		return len(s.chunk) < want
	})
	s.done = len(s.chunk) < want
	s.left -= len(s.chunk)
	if len(s.chunk) > 0 {
		s.after = s.chunk[len(s.chunk)-1].Key
	}
}

// serveRows streams this shard's rows.
func (r *Replica) serveRows(w http.ResponseWriter, req *http.Request) error {
	query, err := parseRowsQuery(req)
	if err != nil {
		return err
	}
	ctx, cancel := r.bounded(req)
	defer cancel()
	rows, receipt, err := r.Rows(ctx, query)
	if err != nil {
		return err
	}
	receipt.WriteHeaders(w.Header(), query.Session)
	stream := NewStream(w)
	count := 0
	for entry, more := rows.Next(); more; entry, more = rows.Next() {
		if stream.Line(entry) != nil {
			return nil // the other end has what it wanted, or has gone away
		}
		count++
	}
	_ = stream.End(wire.End{Complete: true, Count: count})
	return nil
}

func parseRowsQuery(req *http.Request) (RowsQuery, error) {
	values, err := ParseQuery(req.URL.RawQuery, "the listing of a shard", "prefix", "after", "limit", "consistency", "max_stale")
	if err != nil {
		return RowsQuery{}, err
	}
	query := RowsQuery{Prefix: []byte(values.Get("prefix"))}
	if values.Has("after") {
		query.After = []byte(values.Get("after"))
	}
	// One more than a client may ask for: so the router knows whether there is more.
	if query.Limit, err = ParseLimit(values.Get("limit"), wire.MaxListLimit+1); err != nil {
		return query, err
	}
	if query.Consistency, query.MaxStale, err = ParseConsistency(values); err != nil {
		return query, err
	}
	query.Session, err = SessionOf(req.Header)
	return query, err
}

// ParseLimit reads a listing's limit, 1..most; empty is the default.
func ParseLimit(text string, most int) (int, error) {
	if text == "" {
		return wire.DefaultListLimit, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > most {
		return 0, Invalid("limit %s is not a number from 1 to %d", quote(text), most)
	}
	return limit, nil
}
