package shardrouter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// resultSource yields results in order. After an error there are no more.
type resultSource interface {
	next() (wire.BatchResult, error)
	drain() // after the last
	close()
}

// hereResults are results of this process.
type hereResults struct{ left []wire.BatchResult }

func (r *Router) batchHere(ctx context.Context, g *subBatch) (resultSource, replica.Session, error) {
	requests := make([]*replica.Request, len(g.items))
	for i := range g.items {
		requests[i] = &g.items[i].Request
	}
	results, seen, err := r.local.Batch(ctx, requests)
	if err != nil {
		return nil, nil, err
	}
	return &hereResults{results}, seen, nil
}

func (s *hereResults) next() (wire.BatchResult, error) {
	result := s.left[0]
	s.left = s.left[1:]
	return result, nil
}

func (s *hereResults) drain() {}

func (s *hereResults) close() {}

// thereResults are lines that another node sends.
type thereResults struct {
	from  target
	body  io.ReadCloser
	lines *bufio.Reader
	limit int
}

func (r *Router) batchThere(ctx context.Context, to target, g *subBatch) (resultSource, replica.Session, error) {
	var body bytes.Buffer
	for i := range g.items {
		body.Write(g.items[i].Line)
		body.WriteByte('\n')
	}
	response, err := r.send(ctx, to, call{method: http.MethodPost, header: http.Header{"Content-Type": {replica.ContentTypeNDJSON}},
		url: url.URL{Path: replica.PathBatch}, body: body.Bytes()})
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
	return &thereResults{from: to, body: response.Body, lines: bufio.NewReaderSize(response.Body, 64<<10), limit: r.lineLimit()}, seen, nil
}

func (s *thereResults) next() (wire.BatchResult, error) {
	var result wire.BatchResult
	line, err := readLine(s.lines, s.limit)
	if err == nil {
		err = json.Unmarshal(line, &result)
	}
	if err == nil && !result.Outcome.Valid() {
		err = errors.New("a result without outcome")
	}
	if err != nil {
		return result, &linkError{to: s.from, sent: true, err: err}
	}
	return result, nil
}

func (s *thereResults) close() { s.body.Close() }

// drain reads the last line, so that the connection can be used again.
func (s *thereResults) drain() {
	_, _ = readLine(s.lines, s.limit)
	_, _ = s.lines.ReadByte()
}
