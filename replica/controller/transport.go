package controller

import (
	"errors"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// errSilenced is what raft's outgoing messages meet while the disk is not ok (guard G7).
var errSilenced = errors.New("this node's disk is not ok: its raft messages are held back")

var errLaterTerm = errors.New("a message of a term carries what came of a later one: its sender leads no more")

var errNotLeader = errors.New("only the leader that a node follows may tell it to stand for election")

// raftTransport is raft's NetworkTransport with four guards:
//   - G1: it takes no heartbeat handler, so heartbeats go through raft's main loop like everything else. The fast path
//     changes the term beside the main loop and can make replicas diverge (hashicorp/raft#695).
//   - G5: a snapshot that ends at or before what is committed here is answered "installed" without being installed: a late
//     InstallSnapshot can't roll the machine back.
//   - G7: while the disk is full or stalled nothing goes out, so that the others elect a leader, but a leader's word to one of
//     them to do so at once (see successor.go), which nobody else may say; and no pre-vote is granted on a disk that would not
//     take the vote.
//   - G15: entries and snapshots of a later term than their message are refused.
//
// And one mend: raft backs off from a follower that is unreachable or can't store by up to 10 s, without interruption, and
// goes on waiting after the follower is well again. Here a replication message is tried again as long as this node leads, so raft sees no failures.
type raftTransport struct {
	*raft.NetworkTransport
	g        *group
	inbound  chan raft.RPC
	contacts *contacts
}

const replicateRetry = 50 * time.Millisecond

func newRaftTransport(g *group, inner *raft.NetworkTransport) *raftTransport {
	return &raftTransport{NetworkTransport: inner, g: g, inbound: make(chan raft.RPC), contacts: newContacts(g.c.cfg.Tuning.HeartbeatTimeout)}
}

// SetHeartbeatHandler is guard G1.
func (t *raftTransport) SetHeartbeatHandler(func(raft.RPC)) {}

// Consumer implements raft.Transport: what came in, less what relay answered itself.
func (t *raftTransport) Consumer() <-chan raft.RPC { return t.inbound }

// relay hands messages to raft until stop is closed. Owner: group; joined by its close.
func (t *raftTransport) relay(stop <-chan struct{}) {
	inner := t.NetworkTransport.Consumer()
	for {
		select {
		case <-stop:
			return
		case rpc := <-inner:
			if t.answerLateSnapshot(rpc) || t.refusePreVote(rpc) || t.disobeys(rpc) || refuseLaterTerm(rpc) {
				continue
			}
			if _, ok := rpc.Command.(*raft.InstallSnapshotRequest); ok {
				rpc.Reader = snapshotReader{rpc.Reader, t.g.stream, t.g.c.cfg.Tuning.RPCTimeout}
			}
			select {
			case t.inbound <- rpc:
			case <-stop:
				return
			}
		}
	}
}

// answerLateSnapshot is guard G5. All entries up to our commit index, or applied here (after a restart raft's commit index is
// 0 for a while), are in our log or machine, so it is true to say that we hold what the snapshot holds. A stale leader is told
// the newer term.
func (t *raftTransport) answerLateSnapshot(rpc raft.RPC) bool {
	request, ok := rpc.Command.(*raft.InstallSnapshotRequest)
	if !ok {
		return false
	}
	r := t.g.raft()
	if r == nil {
		return false
	}
	if have := max(r.CommitIndex(), t.g.c.View().Index()); have == 0 || request.LastLogIndex > have {
		return false
	}
	term := r.CurrentTerm()
	answerUnread(rpc, &raft.InstallSnapshotResponse{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: term, Success: request.Term >= term}, nil)
	t.g.c.metrics.lateSnapshots.Inc()
	t.g.c.log.Info("refused a late snapshot", "snapshot_index", request.LastLogIndex, "commit_index", r.CommitIndex())
	return true
}

// refuseLaterTerm is guard G15. It turns away entries, or a snapshot, of a later term than the message. A deposed leader's
// replicator may send them: it reads log and snapshots beside raft's main loop, and with them what the next leader made of them.
// Raft would store them before it has heard of their term, and no restart could tell that from a term that was lost (see
// hardState.check).
func refuseLaterTerm(rpc raft.RPC) bool {
	switch request := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		if n := len(request.Entries); n == 0 || request.Entries[n-1].Term <= request.Term { // terms only grow
			return false
		}
		rpc.Respond(nil, errLaterTerm)
	case *raft.InstallSnapshotRequest:
		if request.LastLogTerm <= request.Term {
			return false
		}
		answerUnread(rpc, nil, errLaterTerm)
	default:
		return false
	}
	return true
}

// answerUnread answers a message with a snapshot that nobody reads, once the stream has ended: it must be drained whatever the
// answer, and its end is the sender's business.
func answerUnread(rpc raft.RPC, response any, err error) {
	go func() { // one for each such connection; ends with it
		_, _ = io.Copy(io.Discard, rpc.Reader)
		rpc.Respond(response, err)
	}()
}

func (t *raftTransport) silenced() error {
	if t.g.c.disk.state() != diskOK {
		return errSilenced
	}
	return nil
}

// AppendEntries implements raft.Transport.
func (t *raftTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	for {
		err := t.silenced()
		if err == nil && isHeartbeat(args) && t.contacts.recent(id, args.Term) {
			*resp = raft.AppendEntriesResponse{Term: args.Term} // no success: it confirms nothing to VerifyLeader (guard G2)
			return nil
		}
		if err == nil {
			*resp = raft.AppendEntriesResponse{}
			sent := time.Now()
			err = t.NetworkTransport.AppendEntries(id, target, args, resp)
			if err == nil && resp.Success && !isHeartbeat(args) {
				t.contacts.answered(id, args.Term, sent)
			}
			if err == nil && !storageRefused(args, resp) {
				return nil
			}
		}
		if isHeartbeat(args) || !t.g.stillReplicates(args.Term, id) {
			return err
		}
		select {
		case <-t.g.stop:
			return err
		case <-time.After(replicateRetry):
		}
	}
}

// storageRefused reports an answer that raft gives when a follower could not store entries that fit its log, and that it
// backs off from like from an unreachable one.
func storageRefused(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) bool {
	return !resp.Success && !resp.NoRetryBackoff && resp.Term == args.Term
}

func isHeartbeat(args *raft.AppendEntriesRequest) bool {
	return args.PrevLogEntry == 0 && args.PrevLogTerm == 0 && len(args.Entries) == 0 && args.LeaderCommitIndex == 0
}

// AppendEntriesPipeline implements raft.Transport.
func (t *raftTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	if err := t.silenced(); err != nil {
		return nil, err
	}
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	return newRaftPipeline(t, id, inner), nil
}

// InstallSnapshot implements raft.Transport.
func (t *raftTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if err := t.silenced(); err != nil {
		return err
	}
	return t.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
}
