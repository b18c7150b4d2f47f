package replica

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// deadlines records what a reply asks of its connection.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// TestWriteDeadlines: each piece of a large value has one, the last is taken away; small values cost nothing.
func TestWriteDeadlines(t *testing.T) {
	for size, want := range map[int]int{0: 0, 100: 0, bufferedBytes: 0, bufferedBytes + 1: 2, streamBuffer: 2, streamBuffer + 1: 3, 1 << 20: 17} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		reply := Reply{Status: http.StatusOK, Outcome: wire.Applied, Value: make([]byte, size)}
		reply.Write(w, Get, nil)
		if w.Body.Len() != size || len(w.set) != want {
			t.Errorf("%d of %d bytes, %d deadlines, want %d", w.Body.Len(), size, len(w.set), want)
			continue
		}
		for i, at := range w.set {
			if last := i == want-1; at.IsZero() != last || (!last && time.Until(at) < streamWriteTimeout/2) {
				t.Errorf("%d bytes: deadline %d of %d is %v", size, i+1, want, at)
			}
		}
	}
}
