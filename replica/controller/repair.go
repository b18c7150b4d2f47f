package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// repair is guard G8: three states that raft does not leave by itself are ended by replacing the raft instance on the same
// stores. The machine stays as it is; raft restores a snapshot that the machine already holds, which changes nothing.
func (c *Controller) repair() {
	if c.transferStuck() {
		// hashicorp/raft#696: leadership lost during a transfer leaves a flag behind, and the node, elected again, would
		// refuse every write for ever.
		c.replaceRaft("a leadership transfer does not end", nil)
		c.transferring.since.Store(0)
		return
	}
	if c.halfTruncated() {
		// A TODO in raft's appendEntries: it dropped entries that contradict the leader's, could not store the leader's, and
		// still believes in the dropped ones. It looks for them with every later message and refuses all of them for ever.
		c.replaceRaft("raft believes in log entries that are gone", nil)
		c.shortSince = time.Time{}
		return
	}
	if restores := c.restores.Load(); restores != c.restoresChecked {
		c.restoresChecked = restores
		if conflict, err := c.snapshotConflict(); err != nil {
			c.log.Warn("log could not be compared with the newest snapshot", "error", err)
		} else if conflict {
			// hashicorp/raft#697: the snapshot's last entry stands in the log with another term, so the leader's next
			// message is refused and answered by the same snapshot, for ever. What stands there conflicts with a committed
			// entry, so neither it nor anything behind it was ever committed, and what is before it is in the snapshot.
			c.replaceRaft("the log contradicts the snapshot that was installed", c.dropLog)
		}
	}
}

// transferRefusals remembers, in nanoseconds since the start, since when and when last raft refused an entry because of a
// leadership transfer, without taking one in between; 0 = it does not.
type transferRefusals struct{ since, last atomic.Int64 }

// noteApply watches for a transfer that does not end.
func (c *Controller) noteApply(err error) {
	if !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		c.transferring.since.Store(0)
		return
	}
	now := max(int64(time.Since(c.started)), 1)
	c.transferring.last.Store(now)
	c.transferring.since.CompareAndSwap(0, now)
}

// transferStuck reports whether this node leads and has for long, and until just now, refused every entry because of a
// transfer. Raft ends a transfer by itself within an election timeout. Refusals of an earlier leadership don't count: that
// transfer succeeded. A leader that is stuck from the start of its term is seen too, as it tries to start its term.
func (c *Controller) transferStuck() bool {
	r := c.raft()
	if r == nil || r.State() != raft.Leader {
		c.transferring.since.Store(0)
		return false
	}
	since, now := c.transferring.since.Load(), int64(time.Since(c.started))
	timeout := int64(c.cfg.Tuning.ElectionTimeout)
	return since != 0 && now-since > 3*timeout && now-c.transferring.last.Load() < timeout
}

// halfTruncated reports whether raft has believed in entries that the log does not hold for longer than the writes of a
// truncation may take.
func (c *Controller) halfTruncated() bool {
	r := c.raft()
	if r == nil {
		return false
	}
	believed := r.LastIndex() // read first: an append is stored before raft believes in it
	stored, err := c.stores.log.LastIndex()
	if err != nil || stored >= believed || c.snapshotReaches(believed) {
		c.shortSince = time.Time{}
		return false
	}
	if c.shortSince.IsZero() {
		c.shortSince = time.Now()
	}
	return time.Since(c.shortSince) > 2*c.cfg.Tuning.DiskStallTimeout
}

// snapshotReaches reports whether the newest snapshot ends at the index or later; also when that can't be told.
func (c *Controller) snapshotReaches(index uint64) bool {
	list, err := c.stores.snapshots.List()
	return err != nil || (len(list) > 0 && list[0].Index >= index)
}

// snapshotted is the same for who must be sure of it.
func (c *Controller) snapshotted(index uint64) bool {
	list, err := c.stores.snapshots.List()
	return err == nil && len(list) > 0 && list[0].Index >= index
}

// snapshotConflict reports whether the log holds the newest snapshot's last entry with another term.
func (c *Controller) snapshotConflict() (bool, error) {
	list, err := c.stores.snapshots.List()
	if err != nil || len(list) == 0 {
		return false, err
	}
	var entry raft.Log
	switch err := c.stores.log.GetLog(list[0].Index, &entry); {
	case err == raft.ErrLogNotFound:
		return false, nil
	case err != nil:
		return false, err
	}
	return entry.Term != list[0].Term, nil
}

func (c *Controller) dropLog() error {
	first, err := c.stores.log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := c.stores.log.LastIndex()
	if err != nil || last == 0 {
		return err
	}
	return c.stores.log.DeleteRange(first, last)
}

// replaceRaft ends the raft instance, lets mend work on the stores, and starts a new instance.
func (c *Controller) replaceRaft(reason string, mend func() error) {
	c.log.Warn("replacing the raft instance", "reason", reason)
	c.metrics.repairs.Inc()
	old := c.group.Swap(nil)
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	defer cancel()
	err := old.close(ctx)
	if err != nil && c.ctx.Err() != nil {
		c.group.Store(old) // closing: Close waits for it
		return
	}
	if err == nil && mend != nil {
		err = mend()
	}
	var g *group
	if err == nil {
		g, err = c.startGroup(c.stores)
	}
	if err != nil {
		c.fail(fmt.Errorf("raft could not be replaced (%s): %w; restart the node", reason, err))
		return
	}
	c.group.Store(g)
}
