package tap

import (
	"slices"

	"github.com/kvorum/kvorum/sim/audit"
)

// audit compares a disk with what its node told others.
func (s *shard) audit(name string, image audit.Image) {
	n := s.node(name)
	if image.Term < n.term {
		s.fail("durable-promise", "%s named term %d, and its disk has term %d", name, n.term, image.Term)
	}
	s.auditVote(n, image)
	if image.Term > n.term {
		s.tap.reach("disk has a term that the node has not named yet")
	}
	for _, i := range slices.Backward(n.sure()) {
		if i <= image.SnapshotIndex() {
			break
		}
		h := n.log[i]
		if have, there := image.EntryTerm(i); !there || have != h.term {
			s.fail("durable-promise", "%s acknowledged entry %d (term %d), and its disk has term %d there (0: none; log %d to %d, snapshot %d)",
				name, i, h.term, have, image.First, image.Last, image.SnapshotIndex())
			return
		}
	}
}

// outcast is which of the request's sides has another disk than it joined with, "" if none has.
func (s *shard) outcast(q *request) string {
	for _, name := range []string{q.from, q.to} {
		if s.node(name).outcast {
			return name
		}
	}
	return ""
}

func (s *shard) auditVote(n *node, image audit.Image) {
	switch candidate := n.votes[n.voted]; {
	case image.VoteTerm > n.voted: // stored and not yet told, or never given: half of a record (hashicorp/raft#661)
		if image.Vote == n.name && s.mayStand(n, image.VoteTerm) {
			return // it stores its own vote while it asks the others
		}
		if image.Vote == n.name || !s.node(image.Vote).stood[image.VoteTerm] {
			s.fail("durable-promise", "the disk of %s has a vote for %q in term %d, who never asked for it", n.name, image.Vote, image.VoteTerm)
		}
	case n.voted == 0:
	case candidate == n.name && !s.leads(n.name, n.voted): // it asks the others before it stores its own vote
	case image.VoteTerm < n.voted:
		s.fail("durable-promise", "%s voted for %s in term %d, and the vote on its disk is of term %d", n.name, candidate, n.voted, image.VoteTerm)
	case image.Vote != candidate:
		s.fail("durable-promise", "%s voted for %s in term %d, and on its disk for %q", n.name, candidate, n.voted, image.Vote)
	}
}

// mayStand: a node asks for pre-votes of a term before it asks for votes, unless it is alone or was told to stand at once.
func (s *shard) mayStand(n *node, term uint64) bool {
	return n.aspired[term] || n.stood[term] || n.called || len(s.voters) == 1
}

// leads: did the node speak as the term's leader.
func (s *shard) leads(name string, term uint64) bool {
	r := s.reigns[term]
	return r != nil && r.leader == name
}
