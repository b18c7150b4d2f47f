package replica

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// ContentTypeNDJSON is the media type of listings and batches: one JSON value per line, the last one a wire.End.
const ContentTypeNDJSON = "application/x-ndjson"

const (
	streamBuffer       = 64 << 10         // bytes collected before they are sent
	streamWriteTimeout = 30 * time.Second // for one buffer: a reader that takes nothing for so long is given up. TCP repeats a lost packet several times in it
)

// Stream writes NDJSON with bounded memory. Its first line begins the reply, with status 200.
type Stream struct {
	out     *bufio.Writer
	encoder *json.Encoder
	sink    deadlineWriter
}

// NewStream prepares the headers; nothing is sent yet.
func NewStream(w http.ResponseWriter) *Stream {
	h := w.Header()
	h.Set("Content-Type", ContentTypeNDJSON)
	h[wire.HeaderOutcome] = outcomes[wire.Applied]
	s := &Stream{sink: deadlineWriter{w, http.NewResponseController(w)}}
	s.out = bufio.NewWriterSize(s.sink, streamBuffer)
	s.encoder = json.NewEncoder(s.out)
	return s
}

// Line writes one line. After an error the client has gone away.
func (s *Stream) Line(body any) error { return s.encoder.Encode(body) }

// End writes the last line and sends everything.
func (s *Stream) End(end wire.End) error {
	if err := s.Line(end); err != nil {
		return err
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	return s.sink.finish()
}
