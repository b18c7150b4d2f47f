package controller

import (
	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// Node is this node's id.
func (c *Controller) Node() string { return c.cfg.Node }

// Shard is the number of the shard that this node is a replica of.
func (c *Controller) Shard() uint32 { return c.cfg.Shard }

// NotReady tells why this node should get no requests; empty when it is ready. The loss of a leader does not count: an
// election would empty every load balancer's pool.
func (c *Controller) NotReady() []string {
	var reasons []string
	if err := c.failed(); err != nil {
		reasons = append(reasons, "failed: "+err.Error())
	}
	switch {
	case c.group.Load() == nil && c.caughtUp.Load():
		reasons = append(reasons, "its raft instance is being replaced")
	case c.group.Load() == nil:
		reasons = append(reasons, c.notFormedDetail())
	case !c.caughtUp.Load():
		reasons = append(reasons, "has not caught up since its start")
	}
	if s := c.disk.state(); s != diskOK {
		reasons = append(reasons, "disk "+s.String())
	}
	if c.draining.Load() {
		reasons = append(reasons, "draining")
	}
	return reasons
}

// Status is what this replica says of itself. Version and APIAddress are the owner's to fill in.
func (c *Controller) Status() wire.NodeStatus {
	v := c.View()
	reasons := c.NotReady()
	s := wire.NodeStatus{
		Node: c.cfg.Node, Cluster: c.cfg.Cluster, Shard: c.cfg.Shard, Role: "stopped",
		AppliedIndex: v.Index(), Epoch: uint64(v.Epoch()), Keys: v.Keys(), Bytes: v.Bytes(), Quota: c.cfg.MemoryQuota, Digest: v.Digest().String(),
		Ready: len(reasons) == 0, NotReady: reasons, Disk: c.disk.state().String(), Started: c.started, Members: c.cfg.Members,
	}
	if r := c.raft(); r != nil {
		s.Role = roleName(r.State())
		s.Leader = c.Leader()
		s.Term, s.CommitIndex, s.LastLogIndex = r.CurrentTerm(), r.CommitIndex(), r.LastIndex()
		if list, err := c.stores.snapshots.List(); err == nil && len(list) > 0 {
			s.SnapshotIndex = list[0].Index
		}
	}
	return s
}

func roleName(s raft.RaftState) string {
	switch s {
	case raft.Leader:
		return "leader"
	case raft.Follower:
		return "follower"
	case raft.Candidate:
		return "candidate"
	default:
		return "stopped"
	}
}
