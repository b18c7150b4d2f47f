package store

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
)

// Restore reads a snapshot and makes it the machine's state. The new state is built aside, everything in it is verified,
// and only then it is swapped in: after an error the machine is as before. A snapshot older than the machine is read and
// verified but not installed, and that is no error: a late InstallSnapshot can't roll the machine back (S5). One of another
// shard or cluster is an error. Errors about the bytes wrap ErrSnapshot. The reader is read to its end.
func (m *Machine) Restore(r io.Reader) error {
	b := &builder{frames: newFrameReader(r), hasher: newHasher(), state: newState(), progress: &m.restoring}
	defer m.restoring.Store(0)
	if err := b.build(); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	own, theirs := m.state.identity, b.state.identity
	if own != nil && theirs != nil && *own != *theirs {
		return fmt.Errorf("restore: %w: it is of %+v, this machine is %+v", ErrSnapshot, *theirs, *own)
	}
	if b.state.index < m.state.index {
		return nil
	}
	m.state = b.state
	for s := range SlotCount {
		m.touch(Slot(s))
	}
	m.publish()
	return nil
}

// builder makes a state from frames and compares it with what the frames claim about it.
type builder struct {
	frames   *frameReader
	hasher   *hasher
	state    *state
	progress *atomic.Uint64 // bytes of state so far
	total    sum            // of slots so far
	claim    struct {
		totals
		digest sum
		slots  uint64
	}
}

func (b *builder) build() error {
	if err := b.frames.magic(); err != nil {
		return err
	}
	if err := b.header(); err != nil {
		return err
	}
	if id := b.state.identity; id != nil && id.Shard == 0 {
		if err := b.table(); err != nil {
			return err
		}
	}
	for n, last := uint64(0), -1; n < b.claim.slots; n++ {
		number, err := b.slot(last)
		if err != nil {
			return err
		}
		last = int(number)
	}
	if err := b.frames.end(); err != nil {
		return err
	}
	if b.state.totals != b.claim.totals || b.total != b.claim.digest {
		return fmt.Errorf("%w: totals or digest are not those of its rows", ErrSnapshot)
	}
	return b.orderQueue()
}

func (b *builder) header() error {
	c, err := b.frames.frame(frameHeader)
	if err != nil {
		return err
	}
	st := b.state
	if version := c.uvarint(); version != snapshotVersion {
		return fmt.Errorf("%w: version %d, this program knows %d", ErrSnapshot, version, snapshotVersion)
	}
	st.index, st.term, st.time = c.uvarint(), c.uvarint(), c.uvarint()
	if c.flag() {
		st.identity = decodeIdentity(&c)
	}
	st.epoch, st.sequence = Epoch(c.uvarint()), c.uvarint()
	b.claim.totals = totals{keys: c.uvarint(), dataBytes: c.uvarint(), operationBytes: c.uvarint()}
	b.claim.digest, b.claim.slots = c.sum(), c.uvarint()
	if err := c.finish("header"); err != nil {
		return err
	}
	if st.identity != nil {
		if err := st.identity.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrSnapshot, err)
		}
	}
	return nil
}

func (b *builder) table() error {
	c, err := b.frames.frame(frameTable)
	if err != nil {
		return err
	}
	t := &Table{
		Epoch: Epoch(c.uvarint()), Version: c.uvarint(),
		Shards: map[Shard][]Member{}, count: b.state.identity.ShardCount,
	}
	for s := range t.Slots {
		t.Slots[s] = Shard(c.uvarint32())
	}
	for s := range Shard(t.count) {
		if c.flag() {
			t.Shards[s] = decodeMembers(&c)
		}
	}
	b.state.table = t
	return c.finish("table")
}

// slot reads the next slot, which must be behind the last one, with its rows, and compares their digest with the one in
// its frame.
func (b *builder) slot(last int) (Slot, error) {
	c, err := b.frames.frame(frameSlot)
	if err != nil {
		return 0, err
	}
	number, state := Slot(c.byte()), State(c.byte())
	s := &b.state.slots[number]
	ownership, revision := Ownership{State: state, Epoch: Epoch(c.uvarint())}, Revision(c.uvarint())
	rows, operations := c.uvarint(), c.uvarint()
	digest := c.sum()
	if err := c.finish("slot"); err != nil {
		return 0, err
	}
	if int(number) <= last || state > Importing || (b.state.identity == nil && rows+operations > 0) {
		return 0, fmt.Errorf("%w: slot %d is malformed or out of place", ErrSnapshot, number)
	}
	s.ownership, s.revision = ownership, revision
	if err := b.fill(frameRows, rows, func(c *cursor) bool { return b.row(c, number, s) }); err != nil {
		return 0, err
	}
	if err := b.fill(frameOperations, operations, func(c *cursor) bool { return b.operation(c, number, s) }); err != nil {
		return 0, err
	}
	if s.digest != digest || s.blank() {
		return 0, fmt.Errorf("%w: digest of slot %d is not that of its rows, or it is blank", ErrSnapshot, number)
	}
	b.total = b.total.plus(digest)
	return number, nil
}

// fill reads frames of one kind until they have held want things, and insists on frames being cut where the writer cuts.
func (b *builder) fill(kind byte, want uint64, read func(*cursor) bool) error {
	for want > 0 {
		c, err := b.frames.frame(kind)
		if err != nil {
			return err
		}
		size := len(c.b)
		for ; want > 0 && len(c.b) > 0 && size-len(c.b) < frameBytes; want-- {
			if !read(&c) || c.err != nil {
				return fmt.Errorf("%w: row in frame %q is malformed or out of place", ErrSnapshot, kind)
			}
		}
		b.progress.Store(b.state.dataBytes + b.state.operationBytes)
		if len(c.b) > 0 || size == 0 || (want > 0 && size < frameBytes) {
			return fmt.Errorf("%w: frame %q is cut in the wrong place", ErrSnapshot, kind)
		}
	}
	return nil
}

func (b *builder) row(c *cursor, number Slot, s *slotContent) bool {
	key, value := c.bytes(), c.bytes()
	revision, created, modified := Revision(c.uvarint()), Revision(c.uvarint()), c.uvarint()
	last := s.rows.last()
	if (last != nil && bytes.Compare(key, last.key()) <= 0) || b.state.identity.SlotFunction.Slot(key) != number {
		return false
	}
	if created < 1 || created > revision || revision > s.revision {
		return false
	}
	r := newRow(key, value, revision, created, modified) // S2
	*s.rows.place(key) = r
	b.state.count(s, r)
	return true
}

func (b *builder) operation(c *cursor, number Slot, s *slotContent) bool {
	o := &operation{key: c.string()}
	copy(o.fingerprint[:], c.take(uint64(len(o.fingerprint))))
	c.firstResult(number, o)
	o.sequence = c.uvarint()
	last, _, any := s.operations.Max()
	if any && o.key <= last {
		return false
	}
	if o.key == "" || o.result.Code < Created || o.result.Code > PreconditionFailed || o.sequence >= b.state.sequence {
		return false
	}
	o.digest = b.hasher.operation(o)
	b.state.addOperation(s, o)
	return true
}

// orderQueue puts the idempotency rows, which came slot by slot, into log order.
func (b *builder) orderQueue() error {
	items := b.state.queue.items
	slices.SortFunc(items, func(x, y *operation) int { return cmp.Compare(x.sequence, y.sequence) })
	for i := 1; i < len(items); i++ {
		if items[i].sequence == items[i-1].sequence {
			return fmt.Errorf("%w: two idempotency rows with sequence %d", ErrSnapshot, items[i].sequence)
		}
	}
	return nil
}

func (c *cursor) flag() bool {
	v := c.byte()
	if v > 1 {
		c.fail()
	}
	return v == 1
}

func (c *cursor) sum() sum {
	b := c.take(16)
	if c.err != nil {
		return sum{}
	}
	return toSum(b)
}

// finish says whether a frame held exactly what was read from it.
func (c *cursor) finish(what string) error {
	if c.err == nil && len(c.b) > 0 {
		c.err = fmt.Errorf("%d bytes too many", len(c.b))
	}
	if c.err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSnapshot, what, c.err)
	}
	return nil
}
