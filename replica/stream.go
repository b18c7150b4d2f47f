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
	streamWriteTimeout = 30 * time.Second // for one buffer: a reader that takes nothing for so long is given up
)

// Stream writes NDJSON with bounded memory. Its first line begins the reply, with status 200.
type Stream struct {
	out     *bufio.Writer
	encoder *json.Encoder
	control *http.ResponseController
}

// NewStream prepares the headers; nothing is sent yet.
func NewStream(w http.ResponseWriter) *Stream {
	h := w.Header()
	h.Set("Content-Type", ContentTypeNDJSON)
	h[wire.HeaderOutcome] = outcomes[wire.Applied]
	s := &Stream{control: http.NewResponseController(w)}
	s.out = bufio.NewWriterSize(deadlineWriter{w, s.control}, streamBuffer)
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
	return s.control.SetWriteDeadline(time.Time{}) // the connection may serve other requests
}

// deadlineWriter gives each write a fresh deadline, so that a stream may last as long as its reader goes on reading.
type deadlineWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (d deadlineWriter) Write(p []byte) (int, error) {
	// Not every ResponseWriter has deadlines; those of net/http do.
	_ = d.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	return d.w.Write(p)
}
