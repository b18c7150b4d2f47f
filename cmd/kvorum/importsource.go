package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/kvorum/kvorum/wire"
)

const (
	maxImportLine = 100 << 20 // bytes
	headBytes     = 64 << 10  // of a file, by which it is known again
)

// importLine is one line of the file.
type importLine struct {
	number   int64 // from 1
	end      int64 // offset behind it
	sequence uint64
	key      []byte
	value    []byte
}

// badLine is a line that is no entry.
type badLine struct{ reason string }

func (b *badLine) Error() string { return b.reason }

// source reads lines and remembers the beginning of the file.
type source struct {
	in      *bufio.Reader
	asLines bool
	number  int64
	offset  int64
	mu      sync.Mutex
	head    []byte // guarded by mu
}

func newSource(in io.Reader, asLines bool) *source {
	return &source{in: bufio.NewReaderSize(in, 256<<10), asLines: asLines}
}

// resume skips what an earlier run has stored, after a look whether it is the same file.
func (s *source) resume(state progressState) error {
	if state.Offset == 0 {
		return nil
	}
	head := make([]byte, state.HeadBytes)
	if _, err := io.ReadFull(s.in, head); err != nil {
		return errors.New("the file is shorter than what the progress file says was imported: is it another file?")
	}
	s.keep(head)
	if _, sum := s.headSum(state.HeadBytes); sum != state.HeadSum {
		return errors.New("the file does not begin as the one that the progress file was written for: remove the progress file to start anew")
	}
	if _, err := io.CopyN(io.Discard, s.in, state.Offset-state.HeadBytes); err != nil {
		return fmt.Errorf("the file is shorter than what the progress file says was imported: is it another file? %w", err)
	}
	s.number, s.offset = state.Line, state.Offset
	return nil
}

// next gives the next line that is not empty; io.EOF at the end, *badLine for one that can't be imported.
func (s *source) next() (importLine, error) {
	for {
		raw, err := s.readLine()
		if len(raw) == 0 && err != nil {
			return importLine{}, err
		}
		s.number++
		s.offset += int64(len(raw))
		s.keep(raw)
		text := bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
		if len(text) == 0 {
			continue
		}
		line := importLine{number: s.number, end: s.offset}
		return s.parse(line, text)
	}
}

func (s *source) parse(line importLine, text []byte) (importLine, error) {
	if s.asLines {
		line.key, line.value = text, strconv.AppendInt(nil, line.number, 10)
	} else {
		entry, err := wire.ParseEntry(text)
		if err != nil {
			return line, &badLine{"not an entry: " + err.Error()}
		}
		line.key, line.value = entry.Key, entry.Value
	}
	switch {
	case len(line.key) == 0:
		return line, &badLine{"no key"}
	case len(line.key) > wire.MaxKeyBytes:
		return line, &badLine{fmt.Sprintf("the key has %d bytes, at most %d are allowed", len(line.key), wire.MaxKeyBytes)}
	}
	return line, nil
}

// readLine reads up to and with the next line end, into memory of its own.
func (s *source) readLine() ([]byte, error) {
	var line []byte
	for {
		part, err := s.in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxImportLine {
			return nil, fmt.Errorf("line %d is longer than %d bytes: is this a file of lines?", s.number+1, maxImportLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return line, err
	}
}

func (s *source) keep(raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if room := headBytes - len(s.head); room > 0 {
		s.head = append(s.head, raw[:min(room, len(raw))]...)
	}
}

// headSum gives the length and the SHA-256 of the beginning of the file, of no more than upTo bytes.
func (s *source) headSum(upTo int64) (int64, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.head[:min(int64(len(s.head)), upTo)]
	sum := sha256.Sum256(head)
	return int64(len(head)), hex.EncodeToString(sum[:])
}
