package controller

import (
	"time"

	"github.com/hashicorp/raft"
)

// refusePreVote is part of guard G7. A pre-vote says "you would have my vote": a node that could not store a vote must not say
// so, or the candidate spends its own vote of the term for nothing, and whoever could have won in it has to wait for the next.
func (t *raftTransport) refusePreVote(rpc raft.RPC) bool {
	if _, ok := rpc.Command.(*raft.RequestPreVoteRequest); !ok || t.g.c.disk.storesVotes() {
		return false
	}
	rpc.Respond(nil, errSilenced)
	return true
}

// RequestVote implements raft.Transport.
func (t *raftTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.canvass(func() error { return t.NetworkTransport.RequestVote(id, target, args, resp) })
}

// RequestPreVote implements raft.WithPreVote.
func (t *raftTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.canvass(func() error { return t.NetworkTransport.RequestPreVote(id, target, args, resp) })
}

// canvass asks for a vote, unless this node is silent.
func (t *raftTransport) canvass(ask func() error) error {
	return askAgain(t.g.c.cfg.Tuning.HeartbeatTimeout/apart, func() error {
		if err := t.silenced(); err != nil {
			return err
		}
		return ask()
	})
}

// askAgain asks again when the answer was a quick failure: elections rarely go over the connections that are kept for them, one
// that has died since shows it only now, and a vote that is lost costs an election timeout or two. To be asked again changes
// nothing: a voter gives the same candidate the same vote of a term.
func askAgain(within time.Duration, ask func() error) error {
	for began, tries := time.Now(), 1; ; tries++ {
		err := ask()
		if err == nil || tries > keptConnections || time.Since(began) > within {
			return err
		}
	}
}
