package store

// View is the machine as it was after one entry. It is immutable (S1): any number of goroutines may read it, for as long
// as they like.
type View struct {
	position
	totals
	identity *Identity
	epoch    Epoch
	sequence uint64
	table    *Table
	groups   [groupCount]*slotGroup
}

// The 256 slots hang in 16 groups of 16, so that a small entry copies few pointers.
const (
	groupSize  = 16
	groupCount = SlotCount / groupSize
)

type slotGroup [groupSize]*slotContent

func emptyView() *View {
	var group slotGroup
	empty := new(slotContent)
	for i := range group {
		group[i] = empty
	}
	v := new(View)
	for i := range v.groups {
		v.groups[i] = &group
	}
	return v
}

// next is the view that follows v: st's state, where only the dirty slots differ from v.
func (v *View) next(st *state, dirty []Slot) *View {
	n := &View{
		position: st.position, totals: st.totals, identity: st.identity, epoch: st.epoch,
		sequence: st.sequence, table: st.table, groups: v.groups,
	}
	for _, s := range dirty {
		g := s / groupSize
		if n.groups[g] == v.groups[g] {
			group := *v.groups[g]
			n.groups[g] = &group
		}
		n.groups[g][s%groupSize] = freeze(&st.slots[s])
	}
	return n
}

// freeze copies a slot in O(1): from now on the writer copies the nodes of the maps that it changes.
func freeze(s *slotContent) *slotContent {
	return &slotContent{
		ownership: s.ownership, revision: s.revision, digest: s.digest,
		rows: s.rows.freeze(), operations: *s.operations.Copy(),
	}
}

func (v *View) slot(s Slot) *slotContent { return v.groups[s/groupSize][s%groupSize] }

// rowsOf gives the rows of a slot that may be read here, else none.
func (v *View) rowsOf(s Slot) (rows *rowTree, readable bool) {
	c := v.slot(s)
	return &c.rows, c.ownership.Readable()
}

// Index is the log index of the last applied entry.
func (v *View) Index() uint64 { return v.index }

// Term is the Raft term of the last applied entry.
func (v *View) Term() uint64 { return v.term }

// LogTime is the greatest time that an entry carried, in ms since 1970.
func (v *View) LogTime() uint64 { return v.time }

// Epoch is the newest epoch of the slot table that this machine took part in; 0 before Init.
func (v *View) Epoch() Epoch { return v.epoch }

// Keys is the number of keys in all slots.
func (v *View) Keys() uint64 { return v.keys }

// Bytes is DataBytes plus IdempotencyBytes.
func (v *View) Bytes() uint64 { return v.dataBytes + v.operationBytes }

// DataBytes is what the data rows take: the bytes of keys and values, and RowOverhead for each row.
func (v *View) DataBytes() uint64 { return v.dataBytes }

// IdempotencyBytes is what the idempotency rows take: the bytes of their keys, and OperationOverhead for each row.
func (v *View) IdempotencyBytes() uint64 { return v.operationBytes }

// Identity is what Init told the machine; false before it.
func (v *View) Identity() (Identity, bool) {
	if v.identity == nil {
		return Identity{}, false
	}
	return *v.identity, true
}

// Slot of a key, by the cluster's slot function; 0 before Init.
func (v *View) Slot(key []byte) Slot {
	if v.identity == nil {
		return 0
	}
	return v.identity.SlotFunction.Slot(key)
}

// Ownership of a slot. Check it in the view that you read from: an unreadable slot looks empty.
func (v *View) Ownership(s Slot) Ownership { return v.slot(s).ownership }

// Get gives the row of a key. It is false when the key is absent or its slot may not be read here.
func (v *View) Get(key []byte) (Row, bool) {
	rows, readable := v.rowsOf(v.Slot(key))
	if !readable {
		return Row{}, false
	}
	r := rows.get(key)
	if r == nil {
		return Row{}, false
	}
	return r.public(), true
}

// Operation tells what became of the request with this idempotency key, in every slot where it is known, by slot. Nothing
// found does not mean that nothing happened: rows are forgotten in time.
func (v *View) Operation(idempotencyKey string) []OperationRow {
	var found []OperationRow
	for s := range SlotCount {
		o, ok := v.slot(Slot(s)).operations.Get(idempotencyKey)
		if ok {
			found = append(found, OperationRow{Slot: Slot(s), Result: o.result, Index: o.index, Term: o.term, Time: o.time})
		}
	}
	return found
}

// SlotRevision is the number of effective writes of a slot.
func (v *View) SlotRevision(s Slot) Revision { return v.slot(s).revision }

// SlotDigest is the sum over the rows of a slot, data and idempotency (S3).
func (v *View) SlotDigest(s Slot) Digest { return v.slot(s).digest.digest() }

// Digest is the sum over the rows of all slots.
func (v *View) Digest() Digest { return v.total().digest() }

func (v *View) total() (total sum) {
	for s := range SlotCount {
		total = total.plus(v.slot(Slot(s)).digest)
	}
	return total
}

// Table is the slot table, at shard 0; false elsewhere and before Init.
func (v *View) Table() (Table, bool) {
	if v.table == nil {
		return Table{}, false
	}
	return *v.table, true
}
