package controller

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// contacts remembers, for each follower, the newest replication message that it answered. A heartbeat to a follower that has
// just answered one tells it nothing: any message of the leader's keeps it from an election. It is not sent then, which
// halves the messages of an idle shard and keeps heartbeats out of the main loops of a busy one (they pass there, guard G1).
// A follower that answers nothing, because its disk is slow or there is nothing to replicate, gets every heartbeat.
type contacts struct {
	enough time.Duration // how long ago may a message have been sent

	mu   sync.Mutex
	last map[raft.ServerID]contact
}

// contact is one answered message: of which term, and when it was sent.
type contact struct {
	term uint64
	sent time.Time
}

// newContacts: raft sends a heartbeat every 1/10 to 2/10 of the timeout. Leaving out those that are due within 2/10 of an
// answered message makes 4/10 the longest that a follower hears nothing, of at least 10/10 that it waits; and a leader that is
// cut off counts a follower for at most 2/10 longer.
func newContacts(heartbeatTimeout time.Duration) *contacts {
	return &contacts{enough: heartbeatTimeout / 5, last: map[raft.ServerID]contact{}}
}

// answered takes down a message that the follower accepted as one of the leader of its term.
func (c *contacts) answered(id raft.ServerID, term uint64, sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.last[id]; term > before.term || (term == before.term && sent.After(before.sent)) {
		c.last[id] = contact{term, sent}
	}
}

// recent reports whether a heartbeat of this term can be left out.
func (c *contacts) recent(id raft.ServerID, term uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last[id]
	return last.term == term && time.Since(last.sent) < c.enough
}
