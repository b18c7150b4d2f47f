package store

import "slices"

// Table is the slot table: which shard has which slot, and where the shards' replicas are. Shard 0's machine has the
// authoritative one; all others go by hints. Read only: the machine makes a new one for each change.
type Table struct {
	Epoch   Epoch
	Version uint64 // counts all changes, also of members, from 1
	Slots   [SlotCount]Shard
	Shards  map[Shard][]Member // shards that have registered; read only
	count   uint32             // shards 0..count-1 may register
}

func initialTable(shardCount uint32) *Table {
	t := &Table{Epoch: 1, Version: 1, Shards: map[Shard][]Member{}, count: shardCount}
	for s := range t.Slots {
		t.Slots[s] = Shard(uint32(s) % shardCount)
	}
	return t
}

// with is the table with another member list for one shard.
func (t *Table) with(shard Shard, members []Member) *Table {
	changed := *t
	changed.Version++
	changed.Shards = make(map[Shard][]Member, len(t.Shards)+1)
	for s := range Shard(t.count) { // in order, not by ranging over the map
		if present, ok := t.Shards[s]; ok {
			changed.Shards[s] = present
		}
	}
	changed.Shards[shard] = slices.Clone(members)
	return &changed
}

// register replaces the member list of a shard. The same list again changes nothing, not even the version.
func (m *Machine) register(shard Shard, members []Member) Code {
	t := m.state.table
	switch {
	case t == nil:
		return NotOwner
	case uint32(shard) >= t.count:
		return IdentityMismatch
	}
	if present, ok := t.Shards[shard]; ok && slices.Equal(present, members) {
		return OK
	}
	m.state.table = t.with(shard, members)
	return OK
}
