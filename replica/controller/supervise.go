package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// supervise forms the shard, starts raft, and then keeps four loops going until the controller closes: leadership, a
// leader's silence, catching up, and health. Owner: Controller; joined by Close.
func (c *Controller) supervise() {
	err := c.form()
	if err == nil {
		var g *group
		if g, err = c.startGroup(c.stores); err == nil {
			c.group.Store(g)
		}
	}
	if err != nil {
		if err != errClosing {
			c.fail(err)
		}
		return
	}
	var loops sync.WaitGroup
	for _, loop := range []func(){c.superviseLeadership, c.superviseSilence, c.catchUp, c.superviseHealth} {
		loops.Add(1)
		go func() {
			defer loops.Done()
			loop()
		}()
	}
	loops.Wait()
}

// tick is how often the loops look at what raft announces nowhere.
func (c *Controller) tick() time.Duration {
	return min(max(c.cfg.Tuning.HeartbeatTimeout/5, 10*time.Millisecond), 200*time.Millisecond)
}

// superviseLeadership starts each term that this node leads. It goes by raft's state and term, not by edges: LeaderCh, which
// keeps only the newest, just wakes it early. Only a term that is still to be started, or a raft instance that may have been
// replaced, needs it to look again.
func (c *Controller) superviseLeadership() {
	for {
		var changed <-chan bool
		again := c.tick()
		if r := c.raft(); r != nil {
			c.startTerm(r)
			changed = r.LeaderCh()
			if r.State() != raft.Leader || c.Leading() {
				again *= 5
			}
		}
		select {
		case <-changed:
		case <-time.After(again):
		case <-c.closed:
			return
		}
	}
}

// catchUp makes the node ready: it has then applied everything that was committed at some moment after its start.
func (c *Controller) catchUp() {
	for {
		ctx, cancel := context.WithTimeout(c.ctx, 2*c.cfg.Tuning.ElectionTimeout)
		_, receipt, err := c.Read(ctx, ReadOptions{Consistency: wire.Linearizable})
		cancel()
		if err == nil {
			c.caughtUp.Store(true)
			c.log.Info("caught up", "index", receipt.Index, "took", time.Since(c.started))
			return
		}
		select {
		case <-c.closed:
			return
		case <-time.After(c.tick()):
		}
	}
}

// superviseHealth looks after the disk, the log's size, and the two states that raft does not leave by itself.
func (c *Controller) superviseHealth() {
	probed := time.Now()
	for {
		select {
		case <-time.After(c.disk.untilLate(c.tick())):
		case <-c.closed:
			return
		}
		if time.Since(probed) >= c.cfg.Tuning.DiskProbeInterval {
			c.disk.probe()
			probed = time.Now()
		}
		switch c.disk.state() {
		case diskOK:
			c.repair()
			c.snapshotIfLarge()
			if c.disk.hangs() && c.ledFor() > 2*c.cfg.Tuning.DiskStallTimeout {
				c.summonSuccessor()
			}
		case diskStalled:
			c.stalled.fire()
		}
	}
}

// snapshotIfLarge bounds the log in bytes; raft itself only counts entries.
func (c *Controller) snapshotIfLarge() {
	if c.logged.bytes.Load() < c.cfg.Tuning.SnapshotBytes || !c.logged.snapshotting.CompareAndSwap(false, true) {
		return
	}
	go func() { // one at a time; bounded by Snapshot's own deadline
		defer c.logged.snapshotting.Store(false)
		ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
		defer cancel()
		c.limitTrailing()
		if _, err := c.Snapshot(ctx); err != nil {
			c.log.Debug("snapshot by log size not taken", "error", err)
			return
		}
		c.logged.bytes.Store(0)
		c.logged.entries.Store(0)
	}()
}

// logSize counts what was written to the log since the last snapshot by size.
type logSize struct {
	bytes, entries atomic.Uint64
	snapshotting   atomic.Bool
}

// limitTrailing lowers raft's TrailingLogs, which counts entries, to what TrailingBytes allows for entries of the present
// mean size. It never raises it above the flag.
func (c *Controller) limitTrailing() {
	r := c.raft()
	entries := c.logged.entries.Load()
	if r == nil || entries == 0 {
		return
	}
	t := c.cfg.Tuning
	mean := max(c.logged.bytes.Load()/entries, 1)
	c.reload(r, "limit trailing logs", func(config *raft.ReloadableConfig) {
		config.TrailingLogs = max(min(t.TrailingLogs, t.TrailingBytes/mean), 1)
	})
}

func (c *Controller) observeLogWrite(took time.Duration, entries, bytes int) {
	c.metrics.logWrite.Observe(took.Seconds())
	c.logged.bytes.Add(uint64(bytes))
	c.logged.entries.Add(uint64(entries))
}

// Snapshot makes this replica take a snapshot now and returns its index. With nothing new it returns the newest one's.
func (c *Controller) Snapshot(ctx context.Context) (uint64, error) {
	r := c.raft()
	if r == nil {
		return 0, newError(wire.CodeNotReady, c.notFormedDetail())
	}
	timeout := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	future := r.Snapshot()
	if err := c.await(future, timeout); err != nil && err != raft.ErrNothingNewToSnapshot {
		return 0, newError(wire.CodeConflict, "no snapshot could be taken: "+err.Error())
	}
	list, err := c.stores.snapshots.List()
	if err != nil {
		return 0, newError(wire.CodeInternal, "snapshots cannot be listed: "+err.Error())
	}
	if len(list) == 0 {
		return 0, nil
	}
	return list[0].Index, nil
}
