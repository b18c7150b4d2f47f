package controller

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// A leader whose disk fails or stalls is silent (guard G7), and the others would elect another one after --heartbeat-timeout. They
// need not wait: a last word tells the fittest of them to stand for election now. It is raft's own TimeoutNow, sent past raft
// itself, whose leadership transfer needs the main loop, which hangs in the write, and replicates first, which a silent node
// can't. It can do no harm to the data, as the others still judge the candidate's log; but it could depose a leader that is well,
// or one after the other while all disks are slow. Therefore
//   - it is said once a term, and only by a leader that has got an entry of its term applied: each term brings something on;
//   - before a write has ended in an error, only by one that has led for 2 x DiskStallTimeout;
//   - only a voter of the same term is told, none if one is of a later: a leader that was paused in a write knows of no later one;
//   - who follows a leader obeys no other, see disobeys.
// If the word is lost, or its receiver loses, the silence does the rest.

// summonSuccessor begins to tell another voter to take over, if this node leads. It returns at once. Its goroutine ends within
// HeartbeatTimeout/4 and two RPCTimeouts; Close does not wait for it.
func (c *Controller) summonSuccessor() {
	g := c.group.Load()
	if g == nil {
		return
	}
	r, term := g.raft(), c.readyTerm.Load()
	if r == nil || !c.Leading() {
		return
	}
	for last := c.summonedIn.Load(); ; last = c.summonedIn.Load() {
		if last >= term {
			return
		}
		if c.summonedIn.CompareAndSwap(last, term) {
			break
		}
	}
	go c.summon(g, r, term)
}

func (c *Controller) summon(g *group, r *raft.Raft, term uint64) {
	start := time.Now()
	soon := c.cfg.Tuning.HeartbeatTimeout / apart // later the first of the others is about to look by itself
	ctx, cancel := context.WithTimeout(c.ctx, soon)
	defer cancel()
	to, err := c.fittest(ctx, r, term)
	if err == nil {
		self := raft.ServerID(c.cfg.Node)
		word := raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(self), Addr: g.transport.EncodePeer(self, g.transport.LocalAddr()),
		}}
		err = askAgain(soon, func() error {
			return g.transport.TimeoutNow(raft.ServerID(to), raft.ServerAddress(to), &word, &raft.TimeoutNowResponse{})
		})
	}
	if err != nil {
		c.log.Warn("this leader's disk is not ok, and no other node could be told to take over: they have to find out by its silence", "term", term, "error", err)
		return
	}
	c.log.Info("this leader's disk is not ok: another node was told to take over", "term", term, "to", to, "took", time.Since(start))
}

// disobeys refuses a TimeoutNow from another than the leader that this node follows, or is: raft would obey anybody, and a word
// that comes late would depose the successor.
func (t *raftTransport) disobeys(rpc raft.RPC) bool {
	word, ok := rpc.Command.(*raft.TimeoutNowRequest)
	r := t.g.raft()
	if !ok || r == nil {
		return false
	}
	_, leader := r.LeaderWithID()
	if leader == "" || leader == raft.ServerID(word.ID) {
		return false
	}
	t.g.c.log.Info("told to stand for election by another than the leader: does not", "by", string(word.ID), "leader", string(leader))
	rpc.Respond(nil, errNotLeader)
	return true
}
