package audit

import (
	"bytes"
	"fmt"
)

// Check compares two images of one disk, the earlier first, and returns what may not have happened between them, after's own
// Problems included. It holds for all that a disk does within its promises; after a wiped disk or an old image it has no say.
func Check(before, after Image) []Problem {
	c := &after
	if !before.HasLog {
		return c.Problems
	}
	if !after.HasLog {
		c.problem("disk-lost", "the log file, with entries %d to %d and term %d, is gone", before.First, before.Last, before.Term)
		return c.Problems
	}
	if before.Identity != nil && (after.Identity == nil || after.Identity.Disk != before.Identity.Disk) {
		c.problem("disk-lost", "identity.json of disk %s is gone or another", before.Identity.Disk)
	}
	if after.Term < before.Term {
		c.problem("disk-term-back", "the term goes back from %d to %d", before.Term, after.Term)
	}
	switch {
	case after.VoteTerm < before.VoteTerm:
		c.problem("disk-vote", "the vote of term %d for %s is gone, there is one of term %d", before.VoteTerm, before.Vote, after.VoteTerm)
	case after.VoteTerm == before.VoteTerm && after.Vote != before.Vote:
		c.problem("disk-vote", "the vote of term %d was for %s and is for %s", after.VoteTerm, before.Vote, after.Vote)
	}
	if old, now := before.SnapshotIndex(), after.SnapshotIndex(); now < old {
		c.problem("disk-snapshot", "the best snapshot ended at entry %d and ends at %d", old, now)
	}
	c.compareLogs(&before)
	return c.Problems
}

// compareLogs: once an entry was replaced, what followed it is gone; an entry of the same term is the same; and entries only
// go for a leader of a later term.
func (m *Image) compareLogs(before *Image) {
	replaced := uint64(0)
	for i := range before.Entries {
		old := &before.Entries[i]
		now, ok := m.Entry(old.Index)
		switch {
		case !ok:
			if old.Index > m.Last && old.Index > m.SnapshotIndex() && m.Term == before.Term && replaced == 0 && old.Term == m.Term {
				m.problem("disk-lost", "entry %d is gone, in its own term %d", old.Index, old.Term)
				return
			}
		case now.Term != old.Term:
			if replaced == 0 {
				replaced = old.Index
			}
		case replaced > 0:
			m.problem("disk-stale-suffix", "entry %d was replaced by one of another term, and entry %d of term %d that followed it is still there", replaced, old.Index, old.Term)
			return
		case now.Type != old.Type || !bytes.Equal(now.Data, old.Data) || !bytes.Equal(now.Extensions, old.Extensions):
			m.problem("disk-stale-suffix", "entry %d of term %d has changed", old.Index, old.Term)
			return
		}
	}
}

// Oracles lists what this package checks, a line each.
func Oracles() [][2]string {
	return [][2]string{
		{"disk-hole", "the log has no gap above the best snapshot, and reaches down to it"},
		{"disk-term", "terms in the log never go back, and none is above the current term"},
		{"disk-term-back", "the current term on disk never goes back"},
		{"disk-vote", "a vote on disk is not of a term to come, never goes back, and never changes within a term"},
		{"disk-checksum", "each entry has its checksum and stands under its index"},
		{"disk-snapshot", "the newest snapshot has its checksum, and none newer was lost"},
		{"disk-stale-suffix", "once an entry was replaced, what followed it is gone; an entry never changes within its term"},
		{"disk-lost", "log file, identity and entries of the current term do not vanish"},
	}
}

// String is the problem as people read it.
func (p Problem) String() string { return fmt.Sprintf("%s: %s", p.Oracle, p.Detail) }
