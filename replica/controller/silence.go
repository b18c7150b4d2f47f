package controller

import (
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// raft notices that its leader is silent only when a timer goes off that it draws anew each time, between one and two heartbeat
// timeouts: between one and three of them after the leader's last word. And a follower that has not noticed yet refuses its vote
// to one that has, so that an election waits for the slower of two followers, 2.06 timeouts in the median. silence makes each
// of them look when --heartbeat-timeout says. It only wakes raft's own check, which decides by raft's own clock; a follower that
// is wrong asks for pre-votes, which those who hear the leader refuse.

// slack makes the timeout that raft has longer than ours: lowering it wakes the check, and raft accepts no timeout below the
// leader's lease.
const slack = time.Nanosecond

// apart is by how much each replica waits longer than the one before it, as a part of the heartbeat timeout. Two that look at the
// same moment win each other's pre-vote and lose each other's vote, and the next try comes one to two election timeouts later. A
// pre-vote over a new connection and a vote on a busy disk were seen to take more than a tenth of a second together.
const apart = 4

// superviseSilence looks after a leader that says nothing.
func (c *Controller) superviseSilence() {
	rank := slices.IndexFunc(c.cfg.Members, func(m wire.Member) bool { return m.ID == c.cfg.Node })
	timeout := c.cfg.Tuning.HeartbeatTimeout
	patience := timeout + time.Duration(max(rank, 0))*timeout/apart
	for {
		// Who has no leader, or leads, has one for this long before it can be missed.
		again := timeout
		if r := c.raft(); r != nil && hasLeader(r) {
			if left := patience + slack - time.Since(r.LastContact()); left > 0 {
				again = left
			} else {
				c.lookNow(r)
			}
		}
		select {
		case <-time.After(again):
		case <-c.closed:
			return
		}
	}
}

func hasLeader(r *raft.Raft) bool {
	leader, _ := r.LeaderWithID()
	return leader != "" && r.State() == raft.Follower
}

// lookNow makes raft look whether its leader is silent.
func (c *Controller) lookNow(r *raft.Raft) {
	timeout := c.cfg.Tuning.HeartbeatTimeout
	for _, t := range []time.Duration{timeout, timeout + slack} {
		c.reload(r, "look for the leader", func(config *raft.ReloadableConfig) { config.HeartbeatTimeout = t })
	}
}

// reload changes what raft lets be changed while it runs.
func (c *Controller) reload(r *raft.Raft, what string, change func(*raft.ReloadableConfig)) {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	config := r.ReloadableConfig()
	change(&config)
	if err := r.ReloadConfig(config); err != nil {
		c.log.Warn("raft's configuration not changed", "to", what, "error", err)
	}
}
