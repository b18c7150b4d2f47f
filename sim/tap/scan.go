package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	maxFrame = 64 << 20 // bytes of one message; nodes send at most a few MiB
	maxDepth = 16       // of nested maps and arrays; nodes use 3
)

var errDeep = errors.New("nested too deep")

// scanner finds the end of a MessagePack value that arrives piece by piece. It looks at each value once.
type scanner struct {
	pos  int
	open []uint64 // values still to come in each open map or array, outermost first
}

// next reports the length of the value at the start of b, 0 if b ends before it. The caller adds to b and calls again.
func (s *scanner) next(b []byte) (int, error) {
	for s.pos < len(b) {
		size, values, err := element(b[s.pos:])
		if err != nil {
			return 0, err
		}
		if size == 0 {
			return 0, nil
		}
		if size > maxFrame-uint64(s.pos) || values > maxFrame {
			return 0, fmt.Errorf("a message of more than %d bytes", maxFrame)
		}
		if uint64(s.pos)+size > uint64(len(b)) {
			return 0, nil
		}
		s.pos += int(size)
		if len(s.open) > 0 {
			s.open[len(s.open)-1]--
		}
		if values > 0 {
			if len(s.open) == maxDepth {
				return 0, errDeep
			}
			s.open = append(s.open, values)
		}
		for len(s.open) > 0 && s.open[len(s.open)-1] == 0 {
			s.open = s.open[:len(s.open)-1]
		}
		if len(s.open) == 0 {
			n := s.pos
			s.pos = 0
			return n, nil
		}
	}
	return 0, nil
}

// element describes the head of b: how many bytes it takes with its payload (0: b is too short to tell), and how many values
// follow that belong to it.
func element(b []byte) (size, values uint64, err error) {
	switch c := b[0]; {
	case c <= 0x7f, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3:
		return 1, 0, nil
	case c <= 0x8f:
		return 1, 2 * uint64(c&0x0f), nil
	case c <= 0x9f:
		return 1, uint64(c & 0x0f), nil
	case c <= 0xbf:
		return 1 + uint64(c&0x1f), 0, nil
	case c >= 0xca && c <= 0xd3:
		return 1 + [...]uint64{4, 8, 1, 2, 4, 8, 1, 2, 4, 8}[c-0xca], 0, nil
	case c >= 0xd4 && c <= 0xd8:
		return 2 + uint64(1)<<(c-0xd4), 0, nil
	case c == 0xc1:
		return 0, 0, errors.New("byte c1, which MessagePack never uses")
	default:
		return sized(b)
	}
}

// sized is element for what has its length or count in the bytes after the first.
func sized(b []byte) (size, values uint64, err error) {
	c := b[0]
	width := 4
	switch c {
	case 0xc4, 0xc7, 0xd9:
		width = 1
	case 0xc5, 0xc8, 0xda, 0xdc, 0xde:
		width = 2
	}
	if len(b) < 1+width {
		return 0, 0, nil
	}
	var n uint64
	switch width {
	case 1:
		n = uint64(b[1])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b[1:]))
	}
	head := uint64(1 + width)
	switch {
	case c >= 0xde:
		return head, 2 * n, nil
	case c >= 0xdc:
		return head, n, nil
	case c >= 0xc7 && c <= 0xc9:
		return head + 1 + n, 0, nil
	}
	return head + n, 0, nil
}
