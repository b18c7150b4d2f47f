package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// frameReader reads and checks frames. The payload is valid until the next frame.
type frameReader struct {
	r   *bufio.Reader
	sha hash.Hash
	b   []byte
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 16<<10), sha: sha256.New()}
}

func (f *frameReader) magic() error {
	if err := f.fill(0, len(snapshotMagic)); err != nil {
		return err
	}
	if string(f.b) != snapshotMagic {
		return fmt.Errorf("%w: this is not a kvorum snapshot", ErrSnapshot)
	}
	f.sha.Write(f.b)
	return nil
}

// frame reads the next frame, which must be of this kind, and checks its checksum.
func (f *frameReader) frame(kind byte) (cursor, error) {
	if err := f.fill(0, frameHead); err != nil {
		return cursor{}, err
	}
	if f.b[0] != kind {
		return cursor{}, fmt.Errorf("%w: frame %q where %q belongs", ErrSnapshot, f.b[0], kind)
	}
	end := frameHead + int(binary.BigEndian.Uint32(f.b[1:]))
	if err := f.fill(frameHead, end+checksumBytes); err != nil {
		return cursor{}, err
	}
	if checksum(f.b[:end]) != binary.BigEndian.Uint32(f.b[end:]) {
		return cursor{}, fmt.Errorf("%w: checksum of frame %q does not match", ErrSnapshot, kind)
	}
	if kind != frameEnd {
		f.sha.Write(f.b)
	}
	return cursor{b: f.b[frameHead:end]}, nil
}

// end reads the last frame and makes sure that nothing follows.
func (f *frameReader) end() error {
	c, err := f.frame(frameEnd)
	if err != nil {
		return err
	}
	if !bytes.Equal(c.b, f.sha.Sum(nil)) {
		return fmt.Errorf("%w: SHA-256 does not match", ErrSnapshot)
	}
	switch _, err := f.r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: bytes after its end", ErrSnapshot)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("read snapshot: %w", err)
	}
	return nil
}

// fill reads so that b, of which have bytes are there, is want bytes long. It asks for memory only as bytes arrive, so a
// false length costs nothing.
func (f *frameReader) fill(have, want int) error {
	f.b = f.b[:have]
	for len(f.b) < want {
		step := min(want-len(f.b), 1<<20)
		f.b = slices.Grow(f.b, step)
		n, err := io.ReadFull(f.r, f.b[len(f.b):len(f.b)+step])
		f.b = f.b[:len(f.b)+n]
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%w: it ends too early", ErrSnapshot)
		case err != nil:
			return fmt.Errorf("read snapshot: %w", err)
		}
	}
	return nil
}
