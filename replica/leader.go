package replica

import (
	"context"
	"net/http"
	"time"
)

// Leadership is the reply of PathLeader: whom a replica takes for its shard's leader, and the term of the last entry that it
// has applied. It is a hint to whoever asks.
type Leadership struct {
	Node   string `json:"node"` // who says so
	Shard  uint32 `json:"shard"`
	Leader string `json:"leader"` // "": nothing new until the wait was over
	Term   uint64 `json:"term"`
}

// WaitLeader waits until this replica has applied an entry of a later term than after and knows who leads, at most wait.
// On the leader itself that is the moment from which it answers as one: nobody can know earlier.
func (r *Replica) WaitLeader(ctx context.Context, after uint64, wait time.Duration) Leadership {
	waiting, cancel := context.WithTimeout(ctx, min(wait, maxTableWait))
	defer cancel()
	leader, term, err := r.controller.WaitLeader(waiting, after)
	if err != nil {
		leader, term = "", after
	}
	return Leadership{Node: r.controller.Node(), Shard: uint32(r.shard), Leader: leader, Term: term}
}

func (r *Replica) serveLeader(w http.ResponseWriter, req *http.Request) error {
	after, wait, err := ParsePollQuery(req, "the leader")
	if err != nil {
		return err
	}
	return WriteJSON(w, r.WaitLeader(req.Context(), after, wait))
}
