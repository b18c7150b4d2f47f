package tap

import (
	"cmp"
	"slices"
)

// node is what a node said, and so must remember.
type node struct {
	name    string
	term    uint64            // highest named
	before  uint64            // of that, in earlier lives
	replies uint64            // highest term in a reply of this life
	votes   map[uint64]string // term -> candidate, itself included
	voted   uint64            // highest of these terms
	stood   map[uint64]bool   // terms in which it asked for votes
	aspired map[uint64]bool   // terms in which it would have, had its pre-vote been won
	called  bool              // was told once to stand at once, without a pre-vote
	told    uint64            // highest commit index that a leader told it
	lives   int
	outcast bool // its disk is not the one that it joined with

	// log is a lower bound of the node's log, by index.
	log   map[uint64]held
	order []uint64 // its indexes, ascending; there may be gaps
	// previous is the term of the entry before that of an index and term, as the shard has seen it.
	previous func(index, term uint64) (uint64, bool)

	asked   []*request // sent to it and not answered: may be worked on
	orphans []*request // the same, and the connection is gone
}

// held is an entry that a node holds, since a message of the term since.
type held struct{ term, since uint64 }

// position is the end of a log.
type position struct{ index, term uint64 }

// upToDate compares as raft does for votes.
func (p position) upToDate(with position) bool {
	return cmp.Or(cmp.Compare(p.term, with.term), cmp.Compare(p.index, with.index)) >= 0
}

// newNode makes a node that holds nothing. previous tells the term of the entry before one.
func newNode(name string, previous func(index, term uint64) (uint64, bool)) *node {
	return &node{name: name, previous: previous, votes: map[uint64]string{}, stood: map[uint64]bool{}, aspired: map[uint64]bool{}, log: map[uint64]held{}}
}

// started: leads tells whether the node led in a term. The vote of a candidate for itself, stored while it already asks the
// others, may be lost in a crash if nothing came of it.
func (n *node) started(leads func(term uint64) bool) {
	n.lives++
	if n.votes[n.voted] == n.name && !leads(n.voted) {
		delete(n.votes, n.voted)
		n.voted = 0
		for term := range n.votes {
			n.voted = max(n.voted, term)
		}
	}
	n.before, n.replies = n.term, 0
	for _, q := range append(n.asked, n.orphans...) {
		n.mayTruncate(q)
	}
	n.asked, n.orphans = nil, nil
}

// forget: what the node asked others for has happened all the same, and a disk may still show it.
func (n *node) forget() {
	fresh := newNode(n.name, n.previous)
	fresh.lives, fresh.outcast = n.lives, n.outcast
	fresh.stood, fresh.aspired, fresh.called = n.stood, n.aspired, n.called
	*n = *fresh
}

func (n *node) answered(q *request) {
	n.asked = slices.DeleteFunc(n.asked, func(a *request) bool { return a == q })
}

func (n *node) orphan(q *request) {
	n.answered(q)
	if q.Term < n.replies {
		n.mayTruncate(q)
		return
	}
	n.orphans = append(n.orphans, q)
}

// outgrew: the node has replied with the term, so what was asked in lower ones is done or refused.
func (n *node) outgrew(term uint64) {
	if term <= n.replies {
		return
	}
	n.replies = term
	kept := n.orphans[:0]
	for _, q := range n.orphans {
		if q.Term < term {
			n.mayTruncate(q)
		} else {
			kept = append(kept, q)
		}
	}
	n.orphans = kept
	for _, q := range n.asked {
		if q.Term < term {
			n.mayTruncate(q)
		}
	}
}

// mayTruncate takes out what the request contradicts: the node may have taken it out.
func (n *node) mayTruncate(q *request) {
	if from := n.conflict(q); from > 0 {
		n.cut(from)
	}
}

// conflict is the first index at which the request contradicts what the node holds, 0 if it does not.
func (n *node) conflict(q *request) uint64 {
	switch q.kind {
	case appendEntries:
		for _, e := range q.Entries {
			if term, ok := n.at(e.Index); ok && term != e.Term {
				return e.Index
			}
		}
	case installSnapshot:
		if h, ok := n.log[q.LastLogIndex]; n.last() >= q.LastLogIndex && (!ok || h.term != q.LastLogTerm) {
			return q.LastLogIndex // the node drops a log that contradicts the snapshot
		}
	}
	return 0
}

// longestGap bounds the walk from an entry that the node holds to those before it.
const longestGap = 1000

// at is the term of the node's entry at the index: one that it holds, or one that must lie before it, by the log matching property.
func (n *node) at(index uint64) (term uint64, known bool) {
	at, _ := slices.BinarySearch(n.order, index)
	if at == len(n.order) || n.order[at] > index+longestGap {
		return 0, false
	}
	next := n.order[at]
	term = n.log[next].term
	for ; next > index; next-- {
		if term, known = n.previous(next, term); !known {
			return 0, false
		}
	}
	return term, true
}

// cut takes out what is at the index and behind it.
func (n *node) cut(from uint64) {
	for len(n.order) > 0 && n.last() >= from {
		delete(n.log, n.last())
		n.order = n.order[:len(n.order)-1]
	}
}

// hold: the node has the entry since a message of the term.
func (n *node) hold(index, term, since uint64) {
	if h, ok := n.log[index]; ok {
		if h.term == term {
			return
		}
		n.cut(index)
	}
	n.log[index] = held{term, since}
	at, _ := slices.BinarySearch(n.order, index)
	n.order = slices.Insert(n.order, at, index)
}

// last index held, 0 if there is none.
func (n *node) last() uint64 {
	if len(n.order) == 0 {
		return 0
	}
	return n.order[len(n.order)-1]
}

// sure are the indexes, ascending, of what the node certainly holds, whatever comes of the messages on their way.
func (n *node) sure() []uint64 {
	order := n.order
	for _, list := range [][]*request{n.asked, n.orphans} {
		for _, q := range list {
			if from := n.conflict(q); from > 0 {
				at, _ := slices.BinarySearch(order, from)
				order = order[:at]
			}
		}
	}
	return order
}

// surely is the end of the part of the log that the node certainly had when it entered the term (0: has now).
func (n *node) surely(term uint64) position {
	for _, index := range slices.Backward(n.sure()) {
		if h := n.log[index]; term == 0 || h.since < term {
			return position{index, h.term}
		}
	}
	return position{}
}
