package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
)

// WriteSnapshot streams the view to w. Two machines in the same state write the same bytes, so does a machine restored from
// them. It needs memory for one frame (64 KiB and a row), and fails only if w does. Any goroutine may call it.
func (v *View) WriteSnapshot(w io.Writer) error {
	f := &frameWriter{w: w, sha: sha256.New()}
	f.write([]byte(snapshotMagic))
	f.header(v)
	if v.table != nil {
		f.table(v.table)
	}
	for s := range SlotCount {
		if c := v.slot(Slot(s)); !c.blank() {
			f.slot(Slot(s), c)
		}
	}
	f.begin(frameEnd)
	f.b = f.sha.Sum(f.b)
	f.end()
	if f.err != nil {
		return fmt.Errorf("write snapshot: %w", f.err)
	}
	return nil
}

// frameWriter builds one frame after the other. The first error sticks.
type frameWriter struct {
	w   io.Writer
	sha hash.Hash
	b   []byte // the frame at hand
	err error
}

func (f *frameWriter) write(b []byte) {
	if f.err != nil {
		return
	}
	f.sha.Write(b)
	_, f.err = f.w.Write(b)
}

func (f *frameWriter) begin(kind byte) { f.b = append(f.b[:0], kind, 0, 0, 0, 0) }

func (f *frameWriter) end() {
	binary.BigEndian.PutUint32(f.b[1:], uint32(len(f.b)-frameHead))
	f.write(binary.BigEndian.AppendUint32(f.b, checksum(f.b)))
}

func (f *frameWriter) full() bool { return len(f.b)-frameHead >= frameBytes }

func (f *frameWriter) numbers(numbers ...uint64) {
	for _, n := range numbers {
		f.b = binary.AppendUvarint(f.b, n)
	}
}

func (f *frameWriter) header(v *View) {
	f.begin(frameHeader)
	f.numbers(snapshotVersion, v.index, v.term, v.time)
	if v.identity == nil {
		f.b = append(f.b, 0)
	} else {
		f.b = appendIdentity(append(f.b, 1), v.identity)
	}
	f.numbers(uint64(v.epoch), v.sequence, v.keys, v.dataBytes, v.operationBytes)
	d := v.Digest()
	f.b = append(f.b, d[:]...)
	f.numbers(v.slotsInUse())
	f.end()
}

func (v *View) slotsInUse() (n uint64) {
	for s := range SlotCount {
		if !v.slot(Slot(s)).blank() {
			n++
		}
	}
	return n
}

func (f *frameWriter) table(t *Table) {
	f.begin(frameTable)
	f.numbers(uint64(t.Epoch), t.Version)
	for _, shard := range t.Slots {
		f.numbers(uint64(shard))
	}
	for s := range Shard(t.count) {
		members, registered := t.Shards[s]
		if !registered {
			f.b = append(f.b, 0)
			continue
		}
		f.b = appendMembers(append(f.b, 1), members)
	}
	f.end()
}

func (f *frameWriter) slot(s Slot, c *slotContent) {
	f.begin(frameSlot)
	f.b = append(f.b, byte(s), byte(c.ownership.State))
	f.numbers(uint64(c.ownership.Epoch), uint64(c.revision), uint64(c.rows.Len()), uint64(c.operations.Len()))
	d := c.digest.digest()
	f.b = append(f.b, d[:]...)
	f.end()
	f.rows(c)
	f.operations(c)
}

func (f *frameWriter) rows(c *slotContent) {
	f.begin(frameRows)
	c.rows.scan(func(r row) bool {
		f.b = appendBytes(f.b, r.key())
		f.b = appendBytes(f.b, r.value())
		f.numbers(uint64(r.revision()), uint64(r.created()), r.modified())
		return f.next(frameRows)
	})
	f.last()
}

func (f *frameWriter) operations(c *slotContent) {
	f.begin(frameOperations)
	c.operations.Scan(func(key string, o *operation) bool {
		f.b = appendBytes(f.b, key)
		f.b = append(f.b, o.fingerprint[:]...)
		f.b = appendFirstResult(f.b, o)
		f.b = binary.AppendUvarint(f.b, o.sequence)
		return f.next(frameOperations)
	})
	f.last()
}

// next follows each row: it ends a full frame and begins another. False: w has failed, stop.
func (f *frameWriter) next(kind byte) bool {
	if f.full() {
		f.end()
		f.begin(kind)
	}
	return f.err == nil
}

// last ends the frame at hand unless it is empty.
func (f *frameWriter) last() {
	if len(f.b) > frameHead {
		f.end()
	}
}
