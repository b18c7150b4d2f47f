package replica

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// bufferedBytes of a body, and the usual headers, fit into the buffers of net/http: the handler has returned, and given
// back what it holds, before they are sent. So they need no deadline.
const bufferedBytes = 2 << 10

// WriteBody sends a body, as SendBody does.
func WriteBody(w http.ResponseWriter, body []byte) error {
	return SendBody(w, int64(len(body)), func(out io.Writer) error {
		_, err := out.Write(body)
		return err
	})
}

// SendBody has send write a body of size bytes (-1: not known). A client that takes nothing for streamWriteTimeout is given
// up: else those that don't read would hold their requests' places in the Limiter for ever.
func SendBody(w http.ResponseWriter, size int64, send func(io.Writer) error) error {
	if size >= 0 && size <= bufferedBytes {
		return send(w)
	}
	out := deadlineWriter{w, http.NewResponseController(w)}
	if err := send(out); err != nil {
		return err
	}
	return out.finish()
}

// deadlineWriter gives each piece of at most streamBuffer bytes a fresh deadline, so that a reply may last as long as its
// reader goes on reading.
type deadlineWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (d deadlineWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 && err == nil {
		// Not every ResponseWriter has deadlines; those of net/http do.
		_ = d.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
		var n int
		n, err = d.w.Write(p[:min(len(p), streamBuffer)])
		written, p = written+n, p[n:]
	}
	return written, err
}

// finish sends what net/http still holds under the last deadline, and takes that away: the connection may serve other
// requests.
func (d deadlineWriter) finish() error {
	if err := d.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := d.control.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
