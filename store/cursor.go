package store

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

var errTruncated = errors.New("truncated or malformed")

// cursor reads the primitive fields of both formats. The first failure sticks: callers check err once, at the end, and
// get zero values until then. Byte slices alias the input.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail() {
	c.b = nil
	if c.err == nil {
		c.err = errTruncated
	}
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) uvarint() uint64 {
	if len(c.b) > 0 && c.b[0] < 0x80 { // most are short
		v := c.b[0]
		c.b = c.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(c.b)
	if n <= 0 || c.b[n-1] == 0 { // a last byte of 0 is a longer form than needed: one value, one encoding
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) uvarint32() uint32 {
	v := c.uvarint()
	if v > 1<<32-1 {
		c.fail()
		return 0
	}
	return uint32(v)
}

// take gives the next n bytes.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// bytes gives a length and that many bytes.
func (c *cursor) bytes() []byte { return c.take(c.uvarint()) }

func (c *cursor) string() string { return string(c.bytes()) }

// count reads how many things follow that take at least size bytes each, so that a hostile number cannot make the caller
// allocate more than a fixed multiple of what it has read.
func (c *cursor) count(size int) int {
	v := c.uvarint()
	if v > uint64(len(c.b)/size) {
		c.fail()
		return 0
	}
	return int(v)
}

// numberBytes is how many bytes n takes as an unsigned varint.
func numberBytes(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

func appendBytes[T string | []byte](dst []byte, v T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	return append(dst, v...)
}
