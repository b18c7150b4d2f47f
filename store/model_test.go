package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/zeebo/xxh3"
)

// model says in the plainest way what the machine should do: Go maps, lists, copies of everything, no caches.
type model struct {
	id        *Identity
	index     uint64
	term      uint64
	time      uint64
	rows      map[string]Row
	revisions map[Slot]Revision
	ownership map[Slot]Ownership
	asked     []modelOperation // in log order
	members   map[Shard][]Member
	version   uint64
}

type modelOperation struct {
	key, request string
	slot         Slot
	row          OperationRow
}

func newModel() *model {
	return &model{
		rows: map[string]Row{}, revisions: map[Slot]Revision{}, ownership: map[Slot]Ownership{}, members: map[Shard][]Member{},
	}
}

func (m *model) clone() *model {
	c := *m
	c.rows, c.revisions = maps.Clone(m.rows), maps.Clone(m.revisions)
	c.ownership, c.members = maps.Clone(m.ownership), maps.Clone(m.members)
	c.asked = slices.Clone(m.asked)
	return &c
}

func (m *model) apply(index, term uint64, e Entry) []Result {
	if index <= m.index {
		return nil
	}
	m.index, m.term, m.time = index, term, max(m.time, e.Time)
	results := []Result{}
	for _, c := range e.Commands {
		results = append(results, m.command(c))
	}
	return results
}

func (m *model) epoch() Epoch {
	if m.id == nil {
		return 0
	}
	return 1
}

func (m *model) command(c Command) Result {
	switch {
	case c.Kind == CommandInit && m.id == nil:
		id := *c.Identity
		if id.Cluster == "" || id.ShardCount < 1 || id.ShardCount > 256 || uint32(id.Shard) >= id.ShardCount {
			return Result{Code: IdentityMismatch}
		}
		m.id, m.version = &id, 1
		for s := range 256 {
			if uint32(s)%id.ShardCount == uint32(id.Shard) {
				m.ownership[Slot(s)] = Ownership{Owned, 1}
			}
		}
		return Result{Code: OK, Epoch: 1}
	case c.Kind == CommandInit && *c.Identity != *m.id:
		return Result{Code: IdentityMismatch, Epoch: 1}
	case m.id == nil:
		return Result{Code: Uninitialised}
	case c.Kind == CommandRegisterShard && m.id.Shard != 0:
		return Result{Code: NotOwner, Epoch: 1}
	case c.Kind == CommandRegisterShard && uint32(c.Shard) >= m.id.ShardCount:
		return Result{Code: IdentityMismatch, Epoch: 1}
	case c.Kind == CommandRegisterShard:
		if old, ok := m.members[c.Shard]; !ok || fmt.Sprint(old) != fmt.Sprint(c.Members) {
			m.members[c.Shard] = c.Members
			m.version++
		}
	case c.Kind == CommandPut || c.Kind == CommandDelete:
		return m.write(c)
	}
	return Result{Code: OK, Epoch: 1}
}

func (m *model) slot(key string) Slot {
	if m.id.SlotFunction == Hash {
		h := sha256.Sum256([]byte(key))
		return Slot(h[0])
	}
	if key == "" {
		return 0
	}
	return Slot(key[len(key)-1])
}

func (m *model) write(c Command) Result {
	s := m.slot(string(c.Key))
	switch m.ownership[s].State {
	case Frozen:
		return Result{Code: SlotFrozen, Slot: s, Epoch: 1}
	case NotOwned, Importing:
		return Result{Code: NotOwner, Slot: s, Epoch: 1}
	}
	if c.IdempotencyKey == "" {
		return m.execute(c, s)
	}
	request := fmt.Sprintf("%d %q %q %d %d", c.Kind, c.Key, c.Value, c.Condition, c.Revision)
	for _, o := range m.asked {
		if o.key == c.IdempotencyKey && o.slot == s {
			if o.request != request {
				return Result{Code: IdempotencyMismatch, Slot: s, Epoch: 1}
			}
			r := o.row.Result
			r.Replayed, r.ReplayIndex, r.ReplayTerm = true, o.row.Index, o.row.Term
			return r
		}
	}
	need := uint64(len(c.IdempotencyKey)) + OperationOverhead
	for need <= m.id.IdempotencyBytes && m.operationBytes()+need > m.id.IdempotencyBytes && m.time >= m.asked[0].row.Time+600_000 {
		m.asked = m.asked[1:]
	}
	if m.operationBytes()+need > m.id.IdempotencyBytes {
		return Result{Code: IdempotencyFull, Slot: s, Epoch: 1}
	}
	r := m.execute(c, s)
	row := OperationRow{Slot: s, Result: r, Index: m.index, Term: m.term, Time: m.time}
	m.asked = append(slices.Clone(m.asked), modelOperation{c.IdempotencyKey, request, s, row})
	return r
}

func (m *model) execute(c Command, s Slot) Result {
	old, present := m.rows[string(c.Key)]
	holds := map[Condition]bool{
		Always: true, IfAbsent: !present, IfPresent: present, IfRevision: present && old.Revision == c.Revision,
	}
	r := Result{Slot: s, Epoch: 1}
	switch {
	case !holds[c.Condition]:
		r.Code, r.Revision = PreconditionFailed, old.Revision
	case c.Kind == CommandDelete && !present:
		r.Code = NotFound
	case c.Kind == CommandDelete:
		m.revisions[s]++
		delete(m.rows, string(c.Key))
		r.Code, r.Revision = Deleted, m.revisions[s]
	default:
		m.revisions[s]++
		row := Row{Value: bytes.Clone(c.Value), Revision: m.revisions[s], Created: m.revisions[s], Modified: m.time}
		r.Code, r.Revision = Created, row.Revision
		if present {
			r.Code, row.Created = Replaced, old.Created
		}
		m.rows[string(c.Key)] = row
	}
	return r
}

func (m *model) operationBytes() (n uint64) {
	for _, o := range m.asked {
		n += uint64(len(o.key)) + OperationOverhead
	}
	return n
}

func (m *model) dataBytes() (n uint64) {
	for key, row := range m.rows {
		n += uint64(len(key)+len(row.Value)) + RowOverhead
	}
	return n
}

// digest adds up, with big numbers, what the format says about each row; s < 0 means all slots.
func (m *model) digest(s int) string {
	total := new(big.Int)
	add := func(of Slot, b []byte) {
		if s < 0 || Slot(s) == of {
			h := xxh3.Hash128(b).Bytes()
			total.Add(total, new(big.Int).SetBytes(h[:]))
		}
	}
	for key, row := range m.rows {
		b := binary.AppendUvarint([]byte{'r'}, uint64(len(key)))
		b = append(b, key...)
		for _, n := range []uint64{uint64(row.Revision), uint64(row.Created), row.Modified} {
			b = binary.BigEndian.AppendUint64(b, n)
		}
		add(m.slot(key), append(b, row.Value...))
	}
	for _, o := range m.asked {
		add(o.slot, m.operationImage(o))
	}
	return fmt.Sprintf("%032x", total.Mod(total, new(big.Int).Lsh(big.NewInt(1), 128)))
}

func (m *model) operationImage(o modelOperation) []byte {
	var kind, condition, revision uint64
	var key, value string
	fmt.Sscanf(o.request, "%d %q %q %d %d", &kind, &key, &value, &condition, &revision)
	q := binary.BigEndian.AppendUint64([]byte{'q', byte(kind), byte(condition)}, revision)
	q = append(binary.AppendUvarint(q, uint64(len(key))), key...)
	fingerprint := sha256.Sum256(append(q, value...))

	b := binary.AppendUvarint([]byte{'o'}, uint64(len(o.key)))
	b = append(append(b, o.key...), byte(o.slot))
	b = append(append(b, fingerprint[:]...), byte(o.row.Result.Code))
	for _, n := range []uint64{uint64(o.row.Result.Revision), uint64(o.row.Result.Epoch), o.row.Index, o.row.Term, o.row.Time} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// readable lists the rows a reader may see, in key order.
func (m *model) readable() (keys []string) {
	for key := range m.rows {
		if state := m.ownership[m.slot(key)].State; state == Owned || state == Frozen {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (m *model) operations(key string) (found []OperationRow) {
	for _, o := range m.asked {
		if o.key == key {
			found = append(found, o.row)
		}
	}
	slices.SortFunc(found, func(a, b OperationRow) int { return cmp.Compare(a.Slot, b.Slot) })
	return found
}
