package store

import (
	"encoding/binary"

	"github.com/tidwall/btree"
)

// What a row costs in memory beside the bytes of its key and value (data) or its key (operations), in bytes: the struct,
// its place in the ordered map at usual fill, and what the allocator rounds up. Measured by TestAccounting. They are part
// of the format, as the bound of the idempotency rows is kept in these bytes.
const (
	RowOverhead       = 96
	OperationOverhead = 256
)

// Row is one key's data as readers see it.
type Row struct {
	Value    []byte   // read only: it is the machine's own copy
	Revision Revision // of the last write
	Created  Revision // of the write that created the key
	Modified uint64   // log time of the last write, ms since 1970
}

// row is one key's data in one piece of memory, which has no pointers for the garbage collector to follow and is never
// changed once it is in a tree (S1):
//
//	digest | 'r' | length of the key | key | revision | created | modified | value
//
// The digest, 16 bytes, is the sum of all that is behind it: so that is format, as replicas compare digests.
type row []byte

const (
	rowHead   = 16 + 2 // with a key shorter than 128 bytes, whose length takes one byte
	rowFields = 3 * 8
)

// newRow copies key and value (S2). The row has no spare capacity that two readers who append could both write to.
func newRow(key, value []byte, revision, created Revision, modified uint64) row {
	r := make(row, rowHead-1, rowHead-1+numberBytes(uint64(len(key)))+len(key)+rowFields+len(value))
	r[rowHead-2] = hashRow
	r = appendBytes(r[:rowHead-1], key)
	r = binary.BigEndian.AppendUint64(r, uint64(revision))
	r = binary.BigEndian.AppendUint64(r, uint64(created))
	r = binary.BigEndian.AppendUint64(r, modified)
	r = append(r, value...)
	rowSum(r[16:]).put(r)
	return r
}

func (r row) key() []byte {
	if n := r[rowHead-1]; n < 0x80 {
		return r[rowHead : rowHead+int(n)]
	}
	return r.longKey()
}

func (r row) longKey() []byte {
	n, size := binary.Uvarint(r[rowHead-1:])
	start := rowHead - 1 + size
	return r[start : start+int(n)]
}

// fields is what follows the key. Its first rowFields bytes are numbers.
func (r row) fields() []byte {
	if n := r[rowHead-1]; n < 0x80 {
		return r[rowHead+int(n):]
	}
	n, size := binary.Uvarint(r[rowHead-1:])
	return r[rowHead-1+size+int(n):]
}

func (r row) revision() Revision { return Revision(binary.BigEndian.Uint64(r.fields())) }
func (r row) created() Revision  { return Revision(binary.BigEndian.Uint64(r.fields()[8:])) }
func (r row) modified() uint64   { return binary.BigEndian.Uint64(r.fields()[16:]) }
func (r row) value() []byte      { return r.fields()[rowFields:] }
func (r row) digest() sum        { return toSum(r) }

func (r row) public() Row {
	return Row{Value: r.value(), Revision: r.revision(), Created: r.created(), Modified: r.modified()}
}

func rowBytes(r row) uint64 {
	return uint64(len(r.key())) + uint64(len(r.value())) + RowOverhead
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

// mapDegree sets the size of the nodes of the ordered map of idempotency rows: up to 2*mapDegree-1 rows. Large nodes make
// shallow trees, small ones make less to copy on the first write after a view.
const mapDegree = 8

// slotContent is all that belongs to one slot. The machine works on one; a View holds frozen copies, made in O(1).
type slotContent struct {
	ownership  Ownership
	revision   Revision
	digest     sum // S3: of rows and operations
	rows       rowTree
	operations btree.Map[string, *operation]
}

// blank slots have never been this shard's: snapshots leave them out.
func (s *slotContent) blank() bool {
	return s.ownership == Ownership{} && s.revision == 0 && s.rows.Len() == 0 && s.operations.Len() == 0
}
