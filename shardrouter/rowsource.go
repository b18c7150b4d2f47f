package shardrouter

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// rowSource yields the rows of one shard in key order. close may be called at any time, also twice.
type rowSource interface {
	next() (entry wire.Entry, more bool, err error)
	close()
}

// openRows opens a shard's rows at any of its replicas, and gives the session that has seen their view.
func (r *Router) openRows(ctx context.Context, shard uint32, query replica.RowsQuery) (source rowSource, seen replica.Session, err error) {
	err = r.read(ctx, shard, query.Consistency != wire.Linearizable, func(ctx context.Context, to target) (err error) {
		if to.local {
			source, seen, err = r.openLocalRows(ctx, query)
		} else {
			source, seen, err = r.openRemoteRows(ctx, to, query)
		}
		return err
	})
	return source, seen, err
}

// localRows are rows of a view of this process.
type localRows struct{ rows *replica.Rows }

func (r *Router) openLocalRows(ctx context.Context, query replica.RowsQuery) (rowSource, replica.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.ReadAttempt)
	defer cancel()
	rows, receipt, err := r.local.Rows(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	return localRows{rows}, replica.Session(nil).With(receipt.Shard, receipt.Index), nil
}

func (s localRows) next() (wire.Entry, bool, error) {
	entry, more := s.rows.Next()
	return entry, more, nil
}

func (s localRows) close() {}

// remoteRows are lines that another node sends.
type remoteRows struct{ *lineStream }

func (r *Router) openRemoteRows(ctx context.Context, to target, query replica.RowsQuery) (rowSource, replica.Session, error) {
	values := replica.ReadQuery(query.Consistency, query.MaxStale)
	values.Set("prefix", string(query.Prefix))
	values.Set("limit", strconv.Itoa(query.Limit))
	if query.After != nil {
		values.Set("after", string(query.After))
	}
	header := http.Header{}
	if len(query.Session) > 0 {
		header[wire.HeaderSession] = []string{query.Session.String()}
	}
	stream, seen, err := r.openLines(ctx, to, call{method: http.MethodGet, header: header, patience: r.cfg.ReadAttempt,
		url: url.URL{Path: replica.PathRows, RawQuery: values.Encode()}})
	if err != nil {
		return nil, nil, err
	}
	return remoteRows{stream}, seen, nil
}

// lineLimit bounds a line of another node: the longest key and value in the worst JSON escaping, six bytes for one.
func (r *Router) lineLimit() int { return int(r.cfg.MaxValueBytes)*6 + wire.MaxKeyBytes*6 + 1<<12 }

func (s remoteRows) next() (wire.Entry, bool, error) {
	line, err := s.line()
	if err != nil {
		return wire.Entry{}, false, err
	}
	if end, is := endOf(line); is {
		if !end.Complete {
			return wire.Entry{}, false, fmt.Errorf("%s could not complete its listing", s.from)
		}
		s.ended()
		return wire.Entry{}, false, nil
	}
	var entry wire.Entry
	if err := json.Unmarshal(line, &entry); err != nil {
		return wire.Entry{}, false, s.broken(err)
	}
	return entry, true, nil
}

var errLongLine = errors.New("a line is longer than any row can be")

// readLine reads up to a newline, at most limit bytes. The line is valid until the next read. A last line without newline
// was cut.
func readLine(from *bufio.Reader, limit int) ([]byte, error) {
	line, err := from.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, unexpectedEnd(err)
	}
	long := append([]byte(nil), line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > limit {
			return nil, errLongLine
		}
		line, err = from.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, unexpectedEnd(err)
}

func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// endOf recognises the last line of a stream.
func endOf(line []byte) (wire.End, bool) {
	const start = `{"complete":`
	if len(line) < len(start) || string(line[:len(start)]) != start {
		return wire.End{}, false
	}
	var end wire.End
	err := json.Unmarshal(line, &end)
	return end, err == nil
}
