package tap

import (
	"bytes"

	"github.com/kvorum/kvorum/store"
)

// campaign: who asks for votes votes for itself.
func (s *shard) campaign(q *request) {
	n := s.node(q.from)
	n.stood[q.Term] = true
	s.tap.reach("vote asked for")
	if q.LeadershipTransfer {
		s.tap.reach("vote asked for in a leadership transfer")
	}
	if s.vote(n, q.Term, q.from, q) {
		s.candidacies(q)
	}
	if mine := n.surely(q.Term); !(position{q.LastLogIndex, q.LastLogTerm}).upToDate(mine) {
		s.fail("raft-forgot", "the candidate had acknowledged entries up to %d (term %d): %s", mine.index, mine.term, q)
	}
}

// vote records a vote and reports a second one. It tells whether this is the node's first in the term.
func (s *shard) vote(n *node, term uint64, candidate string, q *request) bool {
	s.ballots[ballot{term, n.name, candidate}] = true
	if old, ok := n.votes[term]; ok {
		if old != candidate {
			s.fail("raft-vote-twice", "%s voted for %s in term %d and votes for %s: %s", n.name, old, term, candidate, q)
		}
		return false
	}
	n.votes[term], n.voted = candidate, max(n.voted, term)
	return true
}

// candidacies counts those of the term.
func (s *shard) candidacies(q *request) {
	n := 0
	for _, other := range s.nodes {
		if other.votes[q.Term] == other.name {
			n++
		}
	}
	if n > 1 {
		s.tap.reach("vote split: several candidates in one term")
	}
	if r := s.reigns[q.Term-1]; q.Term > 0 && r == nil && s.nodes[q.from].votes[q.Term-1] == q.from {
		s.tap.reach("election lost and tried again")
	}
}

// voted takes the answer to a request for a vote.
func (s *shard) voted(q *request, a *reply) {
	n := s.node(q.to)
	claim := position{q.LastLogIndex, q.LastLogTerm}
	if !a.Granted {
		s.tap.reach("vote denied")
		switch mine := n.surely(0); {
		case a.Term > q.Term:
			s.tap.reach("candidate of an old term denied")
		case n.votes[q.Term] != "" && n.votes[q.Term] != q.from:
			s.tap.reach("vote denied because it was given to another")
		case !claim.upToDate(mine):
			s.tap.reach("candidate lost a vote to a stale log")
		case a.Term < q.Term:
			s.tap.reach("vote denied for a leader that is known")
		}
		return
	}
	s.tap.reach("vote granted")
	s.tap.message(VoteGranted, q.to, q.from)
	if a.Term != q.Term {
		s.fail("raft-reply", "vote granted with term %d to %s", a.Term, q)
	}
	if r := s.reigns[q.Term]; r != nil && r.leader != q.from {
		s.tap.reach("vote granted to another than the term's leader")
	}
	s.vote(n, q.Term, q.from, q)
	if mine := n.surely(q.Term); !claim.upToDate(mine) {
		s.fail("raft-vote-stale", "granted by a node that had acknowledged entries up to %d (term %d): %s", mine.index, mine.term, q)
	}
	if s.leads(q.from, q.Term) && s.votesFor(q.from, q.Term) > s.quorum() {
		s.tap.reach("vote granted after the election was won")
	}
	s.tap.acknowledged(s, q.to)
}

// divided: has a voter granted its vote of the term to another than its leader, and than itself? It takes four of them.
func (s *shard) divided(r *reign) bool {
	for b := range s.ballots {
		if b.term == r.term && b.candidate != r.leader && b.candidate != b.voter {
			return true
		}
	}
	return false
}

// votesFor counts the voters whose vote of the term the candidate has, as far as they said so. A vote counts on when its voter's
// disk is lost before the leader speaks.
func (s *shard) votesFor(candidate string, term uint64) (votes int) {
	for _, v := range s.voters {
		if s.ballots[ballot{term, v, candidate}] {
			votes++
		}
	}
	return votes
}

func (s *shard) preVoted(q *request, a *reply) {
	if a.Granted {
		s.tap.reach("pre-vote granted")
		return
	}
	s.tap.reach("pre-vote denied")
	if !(position{q.LastLogIndex, q.LastLogTerm}).upToDate(s.node(q.to).surely(0)) {
		s.tap.reach("pre-vote denied to a stale log")
	}
}

// install checks what a leader says of the snapshot that it sends.
func (s *shard) install(q *request) {
	r := s.reignOf(q)
	s.tap.reach("InstallSnapshot sent")
	if q.LastLogIndex > s.commit && q.LastLogIndex > 1 {
		s.fail("raft-snapshot", "only entries up to %d are committed: %s", s.commit, q)
	} else if d, ok := s.committed[q.LastLogIndex]; ok && d.term != q.LastLogTerm {
		s.fail("raft-snapshot", "entry %d was committed with term %d: %s", q.LastLogIndex, d.term, q)
	}
	s.stated(r, q, q.LastLogIndex, q.LastLogTerm)
	if q.LastLogIndex <= s.node(q.to).last() {
		s.tap.reach("late InstallSnapshot: the follower has more")
	}
}

// Snapshot is one that was sent as a whole. Compare Digest with that of the entries up to Index.
type Snapshot struct {
	Index, Term uint64
	Digest      string // of the machine in it, as package store has it
}

// snapshotSent reads the snapshot as the unmodified machine would.
func (s *shard) snapshotSent(in *incoming) {
	s.tap.reach("snapshot sent as a whole")
	m := store.New()
	if err := m.Restore(bytes.NewReader(in.data)); err != nil {
		s.fail("raft-snapshot", "its content cannot be restored: %v: %s", err, in.q)
		return
	}
	if m.View().Index() > in.q.LastLogIndex {
		s.fail("raft-snapshot", "its machine stands at entry %d: %s", m.View().Index(), in.q)
	}
	s.snapshots = append(s.snapshots, Snapshot{in.q.LastLogIndex, in.q.LastLogTerm, m.View().Digest().String()})
}

// Snapshots that were sent as a whole, in that order.
func (t *Tap) Snapshots(shard uint32) []Snapshot { return t.shard(shard).snapshots }
