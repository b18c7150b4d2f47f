package shardrouter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
type thereResults struct{ *lineStream }

func (r *Router) batchThere(ctx context.Context, to target, g *subBatch) (resultSource, replica.Session, error) {
	var body bytes.Buffer
	for i := range g.items {
		body.Write(g.items[i].Line)
		body.WriteByte('\n')
	}
	stream, seen, err := r.openLines(ctx, to, call{method: http.MethodPost, header: http.Header{"Content-Type": {replica.ContentTypeNDJSON}},
		url: url.URL{Path: replica.PathBatch}, body: body.Bytes()})
	if err != nil {
		return nil, nil, err
	}
	return thereResults{stream}, seen, nil
}

func (s thereResults) next() (wire.BatchResult, error) {
	var result wire.BatchResult
	line, err := s.line()
	if err != nil {
		return result, err
	}
	if err = json.Unmarshal(line, &result); err == nil && !result.Outcome.Valid() {
		err = errors.New("a result without outcome")
	}
	if err != nil {
		return result, s.broken(err)
	}
	return result, nil
}

// drain reads the last line.
func (s thereResults) drain() {
	_, _ = s.line() // whatever it is, all results are there
	s.ended()
}
