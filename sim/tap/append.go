package tap

import (
	"slices"

	"github.com/kvorum/kvorum/sim/audit"
)

// reignOf returns the reign of the request's sender, and reports a second leader.
func (s *shard) reignOf(q *request) *reign {
	r := s.reigns[q.Term]
	if r == nil {
		r = &reign{term: q.Term, log: map[uint64]uint64{}, match: map[string]uint64{}, heard: map[string]bool{}, leader: q.from}
		s.reigns[q.Term] = r
		s.crowned(r)
	}
	if r.leader != q.from {
		s.fail("raft-one-leader", "%s and %s both lead in term %d: %s", r.leader, q.from, q.Term, q)
	}
	return r
}

// crowned: a leader speaks for the first time.
func (s *shard) crowned(r *reign) {
	s.tap.reach("leader elected")
	if votes := s.votesFor(r.leader, r.term); votes < s.quorum() {
		s.fail("raft-election", "%s leads in term %d with %d votes of %d voters", r.leader, r.term, votes, len(s.voters))
	}
	if s.divided(r) {
		s.tap.reach("vote granted to another than the term's leader")
	}
	for term, old := range s.reigns {
		if term < r.term && !old.deposed {
			old.deposed = true
			s.deposed(old, r)
		}
	}
	s.highest = max(s.highest, r.term)
}

func (s *shard) deposed(old, by *reign) {
	s.tap.reach("leader deposed")
	if old.leader == by.leader {
		s.tap.reach("leader elected again")
	}
	if old.lastSent > s.commit {
		s.tap.reach("leader deposed with entries that are not committed")
	}
	if old.proven == 0 {
		s.tap.reach("leader deposed before it committed anything")
	}
	if by.term > old.term+1 {
		s.tap.reach("term without a leader")
	}
}

// append checks what a leader sends.
func (s *shard) append(c *connection, q *request) {
	r := s.reignOf(q)
	if q.heartbeat() {
		s.tap.reach("heartbeat")
		if r.deposed {
			s.tap.reach("heartbeat of a deposed leader")
		}
		return
	}
	s.appendProbes(r, q)
	s.stated(r, q, q.PrevLogEntry, q.PrevLogTerm)
	index, term := q.PrevLogEntry, q.PrevLogTerm
	for _, e := range q.Entries {
		if e.Index != index+1 || e.Term < term || e.Term == 0 {
			s.fail("raft-log-matching", "entry %d (term %d) follows entry %d (term %d) in %s", e.Index, e.Term, index, term, q)
			return
		}
		if !s.torn(q, e) {
			s.sawEntry(e, term, q)
		}
		s.stated(r, q, e.Index, e.Term)
		index, term = e.Index, e.Term
	}
	s.leaderHolds(q)
	s.commitTold(c, r, q)
}

// torn: raft's replicator reads the log beside the main loop. When its leader is deposed meanwhile it may put together a
// previous entry from before and entries from after. That is only wrong once a follower takes it: see appended.
func (s *shard) torn(q *request, e *logEntry) bool {
	if e.Term <= q.Term {
		return false
	}
	s.tap.reach("message older than its entries")
	return true
}

// sawEntry: at one index and term there is one entry, after one entry.
func (s *shard) sawEntry(e *logEntry, previous uint64, q *request) {
	at := s.entries[e.Index]
	if at == nil {
		at = map[uint64]*known{}
		s.entries[e.Index] = at
	}
	k := at[e.Term]
	if k == nil {
		if len(at) > 0 {
			s.tap.reach("index used again in another term")
		}
		at[e.Term] = &known{entry: *e, previous: previous, by: q.from}
		return
	}
	if !k.entry.same(e) {
		s.fail("raft-log-matching", "two entries at index %d and term %d: type %d with %d bytes sent by %s, type %d with %d bytes in %s", e.Index, e.Term, k.entry.Type, len(k.entry.Data), k.by, e.Type, len(e.Data), q)
	}
	if k.previous != previous {
		s.fail("raft-log-matching", "before entry %d (term %d) is an entry of term %d as sent by %s, and one of term %d in %s", e.Index, e.Term, k.previous, k.by, previous, q)
	}
}

// stated: the leader says that its log has the term at the index.
func (s *shard) stated(r *reign, q *request, index, term uint64) {
	if index == 0 || term > r.term { // of a later term: its log is not this reign's any more
		return
	}
	if old, ok := r.log[index]; ok && old != term {
		if s.outgrown(q) {
			return
		}
		s.fail("raft-append-only", "%s, which leads in term %d, had an entry of term %d at index %d and has one of term %d: %s", q.from, q.Term, old, index, term, q)
	}
	r.log[index] = term
	r.lastSent = max(r.lastSent, index)
	if d, ok := s.committed[index]; ok && d.term != term && r.term > d.in {
		s.fail("raft-committed-changed", "entry %d of term %d was committed in term %d, and the leader of term %d has one of term %d there: %s", index, d.term, d.in, r.term, term, q)
	}
}

// leaderHolds: a leader stores entries before it sends them, and counts itself among those that have them.
func (s *shard) leaderHolds(q *request) {
	n := s.node(q.from)
	if s.outgrown(q) {
		return
	}
	for _, e := range q.Entries {
		if e.Term == q.Term {
			n.hold(e.Index, e.Term, q.Term)
		} else if e.Term < q.Term {
			n.hold(e.Index, e.Term, q.Term-1) // it was elected with the entry
		}
	}
}

// outgrown: has the sender of the request heard of a later term, or may it have? Raft's replicator reads the log beside the main
// loop, so what it sends with the old term may already be what a later leader made of the log.
func (s *shard) outgrown(q *request) bool {
	n := s.node(q.from)
	later := func(asked *request) bool { return asked.Term > q.Term }
	return n.replies > q.Term || slices.ContainsFunc(n.asked, later) || slices.ContainsFunc(n.orphans, later)
}

// laterReignsHave: a commit may become known here after a later leader has spoken, which must have had the entry.
func (s *shard) laterReignsHave(index, term uint64, r *reign) {
	if r.term >= s.highest {
		return
	}
	var first *reign
	for _, later := range s.reigns {
		if have, ok := later.log[index]; ok && have != term && later.term > r.term && (first == nil || later.term < first.term) {
			first = later
		}
	}
	if first != nil {
		s.fail("raft-committed-changed", "entry %d of term %d was committed in term %d, and the leader of term %d has one of term %d there", index, term, r.term, first.term, first.log[index])
	}
}

// commitTold: a leader's commit index is at most what it was told as a follower, or what a majority has of its own term.
func (s *shard) commitTold(c *connection, r *reign, q *request) {
	told := q.LeaderCommitIndex
	defer func() { s.node(q.to).told = max(s.node(q.to).told, told) }()
	if told == 0 {
		return
	}
	if c.commit.term == q.Term && told < c.commit.index {
		s.fail("raft-commit", "the commit index goes back from %d: %s", c.commit.index, q)
	}
	c.commit.term, c.commit.index = q.Term, told
	if told <= s.node(q.from).told {
		return
	}
	have := s.majority(r)
	if term := r.log[told]; told <= have && term != r.term {
		s.fail("raft-commit", "entry %d of term %d is committed by counting, which only entries of the leader's own term may be: %s", told, term, q)
		return
	}
	s.fail("raft-commit", "a majority has entries up to %d only: %s", have, q)
}

// appended takes a follower's answer to entries or a snapshot.
func (s *shard) appended(q *request, a *reply) {
	if !a.Success {
		s.refused(q, a)
		return
	}
	if a.Term > q.Term || (q.kind == appendEntries && a.Term != q.Term) {
		s.fail("raft-reply", "success with term %d to %s", a.Term, q)
		return
	}
	last, n := position{q.PrevLogEntry, q.PrevLogTerm}, s.node(q.to)
	if q.kind == installSnapshot {
		last = position{q.LastLogIndex, q.LastLogTerm}
	}
	opposed, again := n.conflict(q) > 0, q.kind == appendEntries && len(q.Entries) > 0 && q.Entries[0].Index <= n.last()
	late := q.Term < n.replies // a later leader may have changed the log since
	if late {
		n.mayTruncate(q)
	} else {
		s.holds(n, q, last)
	}
	counts := q.kind == installSnapshot || len(q.Entries) > 0
	if len(q.Entries) > 0 {
		last.index = q.Entries[len(q.Entries)-1].Index
	}
	if !counts {
		return
	}
	if q.kind == installSnapshot {
		s.tap.message(SnapshotTaken, q.to, q.from)
	} else {
		s.tap.message(EntriesTaken, q.to, q.from)
	}
	r := s.reigns[q.Term]
	if r == nil || r.leader != q.from {
		return // reported already
	}
	r.match[q.to] = max(r.match[q.to], last.index)
	s.lagProbes(r)
	s.advance(r)
	if late || !opposed && !again {
		s.tap.acknowledged(s, q.to)
	} else if image := s.tap.prove(s, q.to); image != nil && opposed { // it had to change what it held: where the rare mistakes are
		s.auditSuffix(q, r, image)
	}
}

// auditSuffix: a follower that had to drop entries has none of the former ones behind what it took.
func (s *shard) auditSuffix(q *request, r *reign, image *audit.Image) {
	if image.Term != q.Term || q.kind != appendEntries {
		return
	}
	for i := q.Entries[len(q.Entries)-1].Index + 1; i <= image.Last; i++ {
		if have, there := image.EntryTerm(i); there && have != r.log[i] { // the leader may have sent more meanwhile
			s.fail("disk-stale-suffix", "%s had to drop entries and still has entry %d of term %d behind those it took: %s", q.to, i, have, q)
			return
		}
	}
}

// holds records what the follower now has.
func (s *shard) holds(n *node, q *request, last position) {
	n.mayTruncate(q)
	if last.index > 0 {
		n.hold(last.index, last.term, q.Term)
	}
	previous := last.term
	for _, e := range q.Entries {
		if k := s.entries[e.Index][e.Term]; k != nil && k.previous != previous && e.Term > q.Term {
			s.fail("raft-log-matching", "%s took entry %d (term %d) after one of term %d; elsewhere it follows one of term %d: %s", n.name, e.Index, e.Term, previous, k.previous, q)
		}
		n.hold(e.Index, e.Term, q.Term)
		previous = e.Term
	}
}

// majority is the highest index that a majority, the leader included, acknowledged in the reign.
func (s *shard) majority(r *reign) uint64 {
	var acks []uint64
	for _, v := range s.voters {
		if v != r.leader {
			acks = append(acks, r.match[v])
		}
	}
	slices.Sort(acks)
	slices.Reverse(acks)
	need := s.quorum()
	if slices.Contains(s.voters, r.leader) {
		need--
	}
	if need < 1 || need > len(acks) {
		return 0
	}
	return acks[need-1]
}

// advance commits what a majority has, if it is of the reign's own term.
func (s *shard) advance(r *reign) {
	have := s.majority(r)
	if have <= r.proven {
		return
	}
	if r.log[have] != r.term {
		s.tap.reach("majority has entries of former terms only, not committed")
		return
	}
	r.proven = have
	leader := s.node(r.leader)
	leader.told = max(leader.told, have)
	s.decide(have, r)
}

// decide commits the entry at the index in the reign, and all before it.
func (s *shard) decide(index uint64, r *reign) {
	if r.deposed {
		s.tap.reach("committed by a leader that was deposed already")
	}
	if d, ok := s.committed[index]; ok && d.term != r.term {
		s.fail("raft-committed-changed", "entry %d of term %d was committed in term %d, and now one of term %d is", index, d.term, d.in, r.term)
		return
	}
	term, old := r.term, s.commit
	if index > old+1 {
		s.tap.reach("several entries committed at once")
	}
	for i := index; i > 0; i-- {
		if _, ok := s.committed[i]; ok { // the same entry: a leader that says otherwise is found in stated
			break
		}
		s.committed[i] = decided{term, r.term}
		s.laterReignsHave(i, term, r)
		if term < r.term {
			s.tap.reach("entry of a former term committed")
		}
		k := s.entries[i][term]
		if k == nil {
			break // never sent: the configuration that all begin with, or what came with a snapshot
		}
		term = k.previous
	}
	s.commit = max(s.commit, index)
}
