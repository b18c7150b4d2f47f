package machine

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"

	"github.com/zeebo/xxh3"
)

// Trace hashes everything that happens in a world, in order, and can keep it. All machines of a world share one.
type Trace struct {
	hash   hash.Hash
	buffer []byte
	keep   io.Writer
	count  uint64
}

// NewTrace returns an empty trace. If keep is not nil, every record goes there too: RecordBytes each.
func NewTrace(keep io.Writer) *Trace {
	return &Trace{hash: sha256.New(), buffer: make([]byte, 0, 1<<16), keep: keep}
}

// RecordBytes is the length of a record: virtual time, machine, function, a hash of the arguments, the result.
const RecordBytes = 32

func (t *Trace) call(m *Machine, function uint32, args []uint64, result uint64) {
	if len(t.buffer)+RecordBytes > cap(t.buffer) {
		t.flush()
	}
	t.count++
	mixed := uint64(m.detail)
	m.detail = 0
	for _, a := range args {
		mixed = mixed*0x9E3779B97F4A7C15 + a + mixed>>29
	}
	b := t.buffer
	b = binary.LittleEndian.AppendUint64(b, uint64(m.now()))
	b = binary.LittleEndian.AppendUint32(b, uint32(m.Number))
	b = binary.LittleEndian.AppendUint32(b, function)
	b = binary.LittleEndian.AppendUint64(b, mixed)
	t.buffer = binary.LittleEndian.AppendUint64(b, result)
}

// Note adds an event of the world itself.
func (t *Trace) Note(at int64, text string) {
	if len(t.buffer)+RecordBytes > cap(t.buffer) {
		t.flush()
	}
	t.count++
	b := binary.LittleEndian.AppendUint64(t.buffer, uint64(at))
	b = binary.LittleEndian.AppendUint64(b, ^uint64(0))
	b = binary.LittleEndian.AppendUint64(b, xxh3.HashString(text))
	t.buffer = binary.LittleEndian.AppendUint64(b, 0)
}

func (t *Trace) flush() {
	t.hash.Write(t.buffer)
	if t.keep != nil {
		_, _ = t.keep.Write(t.buffer) // a short write shows when the traces are compared
	}
	t.buffer = t.buffer[:0]
}

// Sum is the SHA-256 of all records so far.
func (t *Trace) Sum() [sha256.Size]byte {
	t.flush()
	return [sha256.Size]byte(t.hash.Sum(nil))
}

// Count is the number of records so far.
func (t *Trace) Count() uint64 { return t.count }
