package tap

import "slices"

// Entry is a committed log entry.
type Entry struct {
	Index, Term uint64
	Type        uint8 // 0: a command; others are raft's own
	Data        []byte
}

// CommitIndex is the highest index that is known to be committed: a majority acknowledged it.
func (t *Tap) CommitIndex(shard uint32) uint64 { return t.shard(shard).commit }

// Leader is who spoke first as the leader of the highest term in which anybody did, "" if nobody has.
func (t *Tap) Leader(shard uint32) string {
	s := t.shard(shard)
	if r := s.reigns[s.highest]; r != nil {
		return r.leader
	}
	return ""
}

// Committed returns the shard's committed entries by index, as they were sent. What never went over the wire is not among
// them: the configuration that all nodes begin with, and all of a shard with one replica.
func (t *Tap) Committed(shard uint32) []Entry {
	s := t.shard(shard)
	indexes := make([]uint64, 0, len(s.committed))
	for i, d := range s.committed {
		if s.entries[i][d.term] != nil {
			indexes = append(indexes, i)
		}
	}
	slices.Sort(indexes)
	list := make([]Entry, 0, len(indexes))
	for _, i := range indexes {
		e := &s.entries[i][s.committed[i].term].entry
		list = append(list, Entry{e.Index, e.Term, e.Type, e.Data})
	}
	return list
}
