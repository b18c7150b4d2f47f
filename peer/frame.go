package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Every handshake message is one frame:
//
//	magic "kvrm" | version 1 byte | type 1 byte | payload length 2 bytes, big endian | payload
//
// The eight bytes of the header keep their meaning in all versions, so that any two versions can refuse each other in words.
const (
	magic      = "kvrm"
	version    = 1
	headerSize = 8

	typeHello  = 1
	typeAnswer = 2

	maxText    = 255  // bytes of one name
	maxDetail  = 1024 // bytes of a refusal's text
	maxPayload = 2048 // bytes; every hello and answer is smaller
)

var (
	errNotPeer   = errors.New("the other end does not speak kvorum's peer protocol: is this address a peer port?")
	errMalformed = errors.New("malformed handshake message")
)

// versionError is a frame of another version, read to its end.
type versionError struct{ theirs byte }

func (e *versionError) Error() string {
	return fmt.Sprintf("the other end speaks version %d of the peer protocol, this one speaks %d: run the same kvorum on both", e.theirs, version)
}

func appendFrame(dst []byte, kind byte, payload []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, version, kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	return append(dst, payload...)
}

// readFrame reads exactly one frame of the wanted type, and no byte more: what follows belongs to the stream.
// It allocates at most maxPayload bytes, and that only after the header was found good.
func readFrame(r io.Reader, want byte) ([]byte, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, err
	}
	if string(h[:4]) != magic {
		return nil, errNotPeer
	}
	size := int(binary.BigEndian.Uint16(h[6:]))
	if h[4] != version {
		// Read to the end, or closing the connection would reset it and take our answer along.
		if _, err := io.CopyN(io.Discard, r, int64(size)); err != nil {
			return nil, err
		}
		return nil, &versionError{h[4]}
	}
	if h[5] != want || size > maxPayload {
		return nil, errMalformed
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, fmt.Errorf("handshake cut short: %w", err)
	}
	return payload, nil
}
