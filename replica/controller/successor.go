package controller

import (
	"time"

	"github.com/hashicorp/raft"
)

// A leader whose disk fails or stalls is silent (guard G7), and the others would elect another one after --heartbeat-timeout. They
// need not wait: the leader's last word tells the fittest of them to stand for election now. It is raft's own TimeoutNow, sent
// past raft itself, whose leadership transfer needs the main loop, which hangs in a stalled write, and replicates first, which
// a silent node can't. To be told to stand is safe at any time: the others still judge the candidate's log. It is said once a
// term: a leader that hangs in a write goes on taking itself for one, and would depose its successors. If the word is lost, or its
// receiver loses, the silence does the rest.

// summonSuccessor begins to tell another voter to take over, if this node leads and has not done so in its term. It returns at
// once. The goroutine ends within ConfirmTimeout and RPCTimeout, or when raft's transport closes.
func (c *Controller) summonSuccessor() {
	g := c.group.Load()
	if g == nil {
		return
	}
	r := g.raft()
	if r == nil || r.State() != raft.Leader {
		return
	}
	term := r.CurrentTerm()
	if c.summonedIn.Swap(term) == term {
		return
	}
	go c.summon(g, r)
}

func (c *Controller) summon(g *group, r *raft.Raft) {
	start := time.Now()
	to, err := c.fittest(c.ctx, r)
	if err == nil {
		self := raft.ServerID(c.cfg.Node)
		header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(self), Addr: g.transport.EncodePeer(self, g.transport.LocalAddr())}
		err = g.transport.TimeoutNow(raft.ServerID(to), raft.ServerAddress(to), &raft.TimeoutNowRequest{RPCHeader: header}, &raft.TimeoutNowResponse{})
	}
	if err != nil {
		c.log.Warn("this leader's disk is not ok, and no other node could be told to take over: they find out by its silence", "error", err)
		return
	}
	c.log.Info("this leader's disk is not ok: another node was told to take over", "node", to, "took", time.Since(start))
}
