package shardrouter

import (
	"bufio"
	"context"
	"io"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// lineStream is an NDJSON reply of another node. close may be called at any time, also twice.
type lineStream struct {
	from  target
	body  io.ReadCloser
	lines *bufio.Reader
	limit int // bytes of one line
}

// openLines sends a request whose reply is NDJSON, and gives the session that its header carries. Errors are those of send,
// the refusal of the other node, or that it answered what cannot be understood.
func (r *Router) openLines(ctx context.Context, to target, c call) (*lineStream, replica.Session, error) {
	response, err := r.send(ctx, to, c)
	if err != nil {
		return nil, nil, err
	}
	if err := refusalOf(response); err != nil {
		response.Body.Close()
		return nil, nil, err
	}
	seen, err := replica.ParseSession(response.Header.Get(wire.HeaderSession))
	if err != nil {
		response.Body.Close()
		return nil, nil, &linkError{to: to, sent: true, err: err}
	}
	return &lineStream{from: to, body: response.Body, lines: bufio.NewReaderSize(response.Body, 64<<10), limit: r.lineLimit()}, seen, nil
}

// line is valid until the next one. Its error is a *linkError.
func (s *lineStream) line() ([]byte, error) {
	line, err := readLine(s.lines, s.limit)
	if err != nil {
		return nil, s.broken(err)
	}
	return line, nil
}

func (s *lineStream) broken(err error) error { return &linkError{to: s.from, sent: true, err: err} }

// ended reads the end of the body behind the last line, so that the connection can be used again.
func (s *lineStream) ended() { _, _ = s.lines.ReadByte() }

func (s *lineStream) close() { s.body.Close() }
