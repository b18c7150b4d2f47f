package controller

import (
	"encoding/binary"
	"errors"
	"io"
)

// Control messages travel between a shard's members on a stream of their own, so that a read never queues behind a large
// log entry. One frame is 1+8+8+8+8 bytes, big endian: kind, request id, and three numbers whose meaning depends on the
// kind. Requests are answered in any order.
type controlKind byte

const (
	controlConfirm   controlKind = 1 // a: term.                     reply a: 1 if the replier's term is exactly that
	controlReadIndex controlKind = 2 // -                            reply a: 1 if confirmed, b: term, c: index
	controlStatus    controlKind = 3 // -                            reply a: 1 if fit to lead, b: term, c: last log index
	controlReply     controlKind = 0x80
)

const controlFrameBytes = 33

type controlFrame struct {
	kind    controlKind
	id      uint64
	a, b, c uint64
}

var errControlFrame = errors.New("malformed control frame")

func (f controlFrame) append(dst []byte) []byte {
	dst = append(dst, byte(f.kind))
	for _, n := range [...]uint64{f.id, f.a, f.b, f.c} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return dst
}

// decodeControlFrame is the inverse of append. It refuses unknown kinds.
func decodeControlFrame(b []byte) (controlFrame, error) {
	if len(b) != controlFrameBytes {
		return controlFrame{}, errControlFrame
	}
	f := controlFrame{kind: controlKind(b[0])}
	switch f.kind &^ controlReply {
	case controlConfirm, controlReadIndex, controlStatus:
	default:
		return controlFrame{}, errControlFrame
	}
	for i, n := range [...]*uint64{&f.id, &f.a, &f.b, &f.c} {
		*n = binary.BigEndian.Uint64(b[1+8*i:])
	}
	return f, nil
}

func readControlFrame(r io.Reader, buffer *[controlFrameBytes]byte) (controlFrame, error) {
	if _, err := io.ReadFull(r, buffer[:]); err != nil {
		return controlFrame{}, err
	}
	return decodeControlFrame(buffer[:])
}
