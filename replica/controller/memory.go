package controller

import (
	"sync/atomic"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// memoryUsed is what the quota is compared with, in bytes: rows, idempotency rows, the log cache, a snapshot being restored
// aside, and what admitted writes may still add to these. The reservations are read first: a write that ends meanwhile has
// been published before, and is counted twice, not never.
func (c *Controller) memoryUsed() uint64 {
	return c.writes.reserved.Load() + c.memoryHeld()
}

// memoryHeld is memoryUsed without the writes under way.
func (c *Controller) memoryHeld() uint64 {
	return c.View().Bytes() + c.stores.log.cache.size() + c.fsm.machine.Restoring()
}

// reservations are the memory of writes from their admission until they have ended: waiting, in flight, in raft.
type reservations struct{ reserved atomic.Uint64 }

// footprint is by how much a write lets memoryHeld grow at most, in bytes: its part of an entry in the log cache, and rows.
func footprint(command *store.Command, encoded int) uint64 {
	n := encoded + logEntryOverhead
	if command.Kind == store.CommandPut {
		n += len(command.Key) + len(command.Value) + store.RowOverhead
	}
	if command.IdempotencyKey != "" {
		n += len(command.IdempotencyKey) + store.OperationOverhead
	}
	return uint64(n)
}

// reserve counts a write in; release must follow. A put that does not fit is refused, and nothing reserved: adding and
// comparing are one step, so writers that come together can't all take the same room. Deletes pass, or nobody could make
// room.
func (c *Controller) reserve(p *Proposal) *Error {
	n := footprint(&p.command, p.size)
	reserved := c.writes.reserved.Add(n)
	if p.command.Kind == store.CommandPut {
		if held := c.memoryHeld(); held+reserved > c.cfg.MemoryQuota {
			c.writes.reserved.Add(-n)
			if held+n <= c.cfg.MemoryQuota {
				c.metrics.refused.Inc()
				return newError(wire.CodeOverloaded, "writes under way need what is left of the memory quota: slow down and try again")
			}
			return newError(wire.CodeMemoryQuota, "the memory quota is used up: delete keys, raise --memory-quota, or add a shard; deletes and reads go on")
		}
	}
	p.reserved = n
	return nil
}

// release ends a write's reservation. It may be called again.
func (c *Controller) release(p *Proposal) {
	c.writes.reserved.Add(-p.reserved)
	p.reserved = 0
}
