package tap

import (
	"encoding/binary"
	"errors"
)

// The handshake of kvorum's peer port, read anew here: magic, version, type, length, payload.
const (
	magic      = "kvrm"
	frameHead  = 8
	typeHello  = 1
	typeAnswer = 2
	kindRaft   = 1
)

var errHandshake = errors.New("malformed handshake")

// hello is who dials whom, for what.
type hello struct {
	kind  byte
	shard uint32
	from  string
	to    string
}

// frame cuts one handshake frame off b. ok is false while b is too short.
func frame(b []byte, want byte) (payload []byte, size int, ok bool, err error) {
	if n := min(len(b), len(magic)); string(b[:n]) != magic[:n] {
		return nil, 0, false, errHandshake
	}
	if len(b) < frameHead {
		return nil, 0, false, nil
	}
	if b[4] != 1 || b[5] != want {
		return nil, 0, false, errHandshake
	}
	size = frameHead + int(binary.BigEndian.Uint16(b[6:]))
	if len(b) < size {
		return nil, 0, false, nil
	}
	return b[frameHead:size], size, true, nil
}

// fields reads a payload; bad is set once something is missing.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if f.bad || n > len(f.b) {
		f.bad = true
		return make([]byte, min(n, 8))
	}
	t := f.b[:n]
	f.b = f.b[n:]
	return t
}

func (f *fields) number() uint32 { return binary.BigEndian.Uint32(f.take(4)) }

func (f *fields) text() string {
	n := int(f.take(1)[0])
	t := f.take(n)
	if f.bad {
		return ""
	}
	return string(t)
}

// identity reads cluster, shard, node, disk and shape.
func (f *fields) identity() (shard uint32, node string) {
	_ = f.text()
	shard = f.number()
	node = f.text()
	_, _ = f.text(), f.text()
	return shard, node
}

func decodeHello(b []byte) (hello, error) {
	f := fields{b: b}
	h := hello{kind: f.take(1)[0]}
	h.shard, h.from = f.identity()
	_ = f.number()
	h.to = f.text()
	if f.bad || len(f.b) > 0 {
		return hello{}, errHandshake
	}
	return h, nil
}

// decodeAnswer tells who answers, and whether it let the dialer in.
func decodeAnswer(b []byte) (node string, yes bool, err error) {
	f := fields{b: b}
	if reason := f.take(1)[0]; reason != 0 && !f.bad {
		return "", false, nil
	}
	_, node = f.identity()
	if f.bad || len(f.b) > 0 {
		return "", false, errHandshake
	}
	return node, true, nil
}
