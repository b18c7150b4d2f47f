package store

import (
	"encoding/binary"

	"github.com/tidwall/btree"
)

// What a row costs in memory beside the bytes of its key and value (data) or its key (operations), in bytes: the struct,
// its place in the ordered map at usual fill, and what the allocator rounds up. Measured by TestAccounting. They are part
// of the format, as the bound of the idempotency rows is kept in these bytes.
const (
	RowOverhead       = 128
	OperationOverhead = 256
)

// Row is one key's data as readers see it.
type Row struct {
	Value    []byte   // read only: it is the machine's own copy
	Revision Revision // of the last write
	Created  Revision // of the write that created the key
	Modified uint64   // log time of the last write, ms since 1970
}

// row is never changed once it is in a map (S1).
type row struct {
	value    []byte
	revision Revision
	created  Revision
	modified uint64
	digest   sum
}

func (r *row) public() Row {
	return Row{Value: r.value, Revision: r.revision, Created: r.created, Modified: r.modified}
}

// exactCopy has no spare capacity that two readers who append could both write to.
func exactCopy(b []byte) []byte {
	c := make([]byte, len(b))
	copy(c, b)
	return c
}

func rowBytes(key string, r *row) uint64 {
	return uint64(len(key)) + uint64(len(r.value)) + RowOverhead
}

// operation is one idempotency row: the first result of a request that carried a key. Never changed (S1).
type operation struct {
	key         string
	fingerprint [32]byte
	result      Result // as it was first, so not Replayed
	index, term uint64 // where it was applied
	time        uint64 // log time, ms
	sequence    uint64 // log order within this machine, for eviction; not part of the digest
	digest      sum
}

func operationBytes(key string) uint64 { return uint64(len(key)) + OperationOverhead }

// OperationRow says what became of the first request with an idempotency key, in one slot.
type OperationRow struct {
	Slot        Slot
	Result      Result
	Index, Term uint64 // where it was applied
	Time        uint64 // log time, ms since 1970
}

// appendFirstResult encodes what an operation row remembers. Digests and snapshots share it.
func appendFirstResult(b []byte, o *operation) []byte {
	b = append(b, byte(o.result.Code))
	b = binary.AppendUvarint(b, uint64(o.result.Revision))
	b = binary.AppendUvarint(b, uint64(o.result.Epoch))
	b = binary.AppendUvarint(b, o.index)
	b = binary.AppendUvarint(b, o.term)
	return binary.AppendUvarint(b, o.time)
}

func (c *cursor) firstResult(s Slot, o *operation) {
	o.result = Result{Slot: s, Code: Code(c.byte()), Revision: Revision(c.uvarint()), Epoch: Epoch(c.uvarint())}
	o.index, o.term, o.time = c.uvarint(), c.uvarint(), c.uvarint()
}

// mapDegree sets the size of the ordered maps' nodes: up to 2*mapDegree-1 rows. Large nodes make shallow trees,
// small ones make less to copy on the first write after a view; measured with BenchmarkApplyPut.
const mapDegree = 8

// slotContent is all that belongs to one slot. The machine works on one; a View holds frozen copies, made in O(1).
type slotContent struct {
	ownership  Ownership
	revision   Revision
	digest     sum // S3: of rows and operations
	rows       btree.Map[string, *row]
	operations btree.Map[string, *operation]
}

// blank slots have never been this shard's: snapshots leave them out.
func (s *slotContent) blank() bool {
	return s.ownership == Ownership{} && s.revision == 0 && s.rows.Len() == 0 && s.operations.Len() == 0
}
