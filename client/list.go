package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// maxLine bounds one line of a streamed reply, bytes: a value of 16 MiB in the worst JSON escaping.
const maxLine = 100 << 20

var errCut = errors.New("the stream ended without its last line")

// ListOptions choose what List yields.
type ListOptions struct {
	Prefix      string           // only keys that begin so
	Limit       int              // at most so many in all; 0: no limit
	PageSize    int              // keys per request, at most wire.MaxListLimit; 0: 1000
	Consistency wire.Consistency // "": the client's default. Each page is read for itself: a listing is no snapshot
	MaxStale    time.Duration    // for wire.Bounded
}

// List yields keys with their values in the order of their bytes, fetching page after page. After an error, which is an
// *Error, it ends. A page that breaks off is fetched again from where it broke.
func (c *Client) List(ctx context.Context, o ListOptions) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		l := lister{c: c, options: o, yield: yield, left: o.Limit}
		if err := l.run(ctx); err != nil {
			yield(Item{}, err)
		}
	}
}

type lister struct {
	c        *Client
	options  ListOptions
	yield    func(Item, error) bool
	left     int    // with a limit: how many more
	cursor   string // of the page being read
	next     string // cursor after it
	last     string // last key yielded
	patience *watchdog
	stopped  bool
}

func (l *lister) run(ctx context.Context) error {
	for {
		r, refused := l.page()
		if refused != nil {
			return refused
		}
		if err := l.fetch(ctx, r); err != nil {
			return err
		}
		if l.stopped || l.next == "" {
			return nil
		}
		l.cursor, l.next = l.next, ""
	}
}

// fetch reads one page. The time bound starts anew whenever something came, as long listings may take long.
func (l *lister) fetch(ctx context.Context, r *request) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := l.c.config.Timeout
	l.patience = &watchdog{limit: limit, timer: time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("no progress within %s: %w", limit, context.DeadlineExceeded))
	})}
	defer l.patience.pause()
	if _, failure := l.c.doUnbounded(ctx, r); failure != nil {
		return failure
	}
	return nil
}

func (l *lister) page() (*request, *Error) {
	size := l.options.PageSize
	if size <= 0 {
		size = wire.DefaultListLimit
	}
	if l.options.Limit > 0 {
		size = min(size, l.left)
	}
	query := url.Values{"limit": {strconv.Itoa(min(size, wire.MaxListLimit))}}
	if l.options.Prefix != "" {
		query.Set("prefix", l.options.Prefix)
	}
	if l.cursor != "" {
		query.Set("cursor", l.cursor)
	}
	reads := l.c.optionsOf(nil)
	if l.options.Consistency != "" {
		reads.consistency, reads.maxStale = l.options.Consistency, l.options.MaxStale
	}
	if err := reads.readQuery(query); err != nil {
		return nil, refuse("list", l.options.Prefix, wire.CodeInvalidRequest, err.Error())
	}
	return &request{operation: "list", key: l.options.Prefix, method: http.MethodGet, path: "/v1/kv", query: query.Encode(), consume: l.consume}, nil
}

// consume yields the lines of one reply, except keys that an earlier attempt at this page has yielded.
func (l *lister) consume(response *http.Response, dog *watchdog) error {
	return eachLine(response.Body, dog, func(line []byte) (bool, error) {
		end, isEnd, err := parseEnd(line)
		if err != nil || isEnd {
			l.next = end.Cursor
			return true, err
		}
		var entry wire.Entry
		if err := json.Unmarshal(line, &entry); err != nil {
			return false, fmt.Errorf("line of a listing: %w", err)
		}
		key := string(entry.Key)
		if key <= l.last {
			return false, nil
		}
		l.last = key
		dog.pause() // the caller may take its time
		l.patience.pause()
		more := l.yield(Item{Key: key, Value: entry.Value, Revision: entry.Revision}, nil)
		dog.beat()
		l.patience.beat()
		l.left--
		l.stopped = !more || (l.options.Limit > 0 && l.left <= 0)
		return l.stopped, nil
	})
}

// eachLine calls f for each line until it says done. A stream that ends before is an error.
func eachLine(body io.Reader, dog *watchdog, f func(line []byte) (done bool, err error)) error {
	scanner := bufio.NewScanner(body)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	for scanner.Scan() {
		dog.beat()
		done, err := f(scanner.Bytes())
		if done || err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	return errCut
}

// parseEnd recognises the last line of a stream. Its problem, if it has one, is the error.
func parseEnd(line []byte) (wire.End, bool, error) {
	var end struct {
		wire.End
		Complete *bool `json:"complete"`
	}
	if !bytes.Contains(line, []byte(`"complete"`)) { // a cheap test that no last line fails
		return wire.End{}, false, nil
	}
	if err := json.Unmarshal(line, &end); err != nil || end.Complete == nil {
		return wire.End{}, false, nil // some key or value of that name: the caller parses it
	}
	end.End.Complete = *end.Complete
	if end.End.Complete {
		return end.End, true, nil
	}
	if end.Problem == nil {
		return end.End, true, errors.New("the server could not complete the stream")
	}
	return end.End, true, fmt.Errorf("the server could not complete the stream: %s: %s", end.Problem.Code, end.Problem.Detail)
}
