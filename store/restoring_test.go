package store

import (
	"bytes"
	"io"
	"testing"
)

// watchedReader notes what the machine says of its restore at each read.
type watchedReader struct {
	io.Reader
	m     *Machine
	noted []uint64
}

func (r *watchedReader) Read(p []byte) (int, error) {
	r.noted = append(r.noted, r.m.Restoring())
	return r.Reader.Read(p)
}

// TestRestoring: the state that is built aside is counted while it grows, in the bytes that the view has in the end, and
// given up with it, whether the restore succeeds or fails.
func TestRestoring(t *testing.T) {
	source := varied(t, true)
	snapshot := snapshotOf(t, source.View())
	damaged := bytes.Clone(snapshot)
	damaged[len(damaged)-1] ^= 1
	for name, content := range map[string][]byte{"restored": snapshot, "refused": damaged} {
		m := New()
		r := &watchedReader{Reader: bytes.NewReader(content), m: m}
		if err := m.Restore(r); (err == nil) != (name == "restored") {
			t.Fatal(err)
		}
		for i, n := range r.noted[1:] {
			if n < r.noted[i] {
				t.Fatalf("%s: it went from %d back to %d bytes", name, r.noted[i], n)
			}
		}
		first, last, whole := r.noted[0], r.noted[len(r.noted)-1], source.View().Bytes()
		if first != 0 || last < whole/2 || (name == "restored" && last != whole) || m.Restoring() != 0 {
			t.Errorf("%s: %d bytes at first, %d at last, %d afterwards; the state has %d", name, first, last, m.Restoring(), whole)
		}
	}
}
