package controller

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// logEntryOverhead is charged per cached entry on top of its data.
const logEntryOverhead = 128

// logCache keeps the newest stored entries, contiguous by index, within a bound in bytes. raft.LogCache bounds entries,
// which with entries between 100 bytes and a megabyte bounds nothing.
type logCache struct {
	limit uint64

	mu struct {
		sync.RWMutex
		entries []*raft.Log // entries[head+i].Index == entries[head].Index + i; nil before head
		head    int
	}
	bytes atomic.Uint64 // of the entries; changed under mu
}

func newLogCache(limit uint64) *logCache { return &logCache{limit: limit} }

// add takes entries that are durable. Entries that don't follow on replace what is there.
func (c *logCache) add(logs []*raft.Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range logs {
		if n := len(c.mu.entries); n > c.mu.head && c.mu.entries[n-1].Index+1 != l.Index {
			c.reset()
		}
		c.mu.entries = append(c.mu.entries, l)
		c.bytes.Add(cost(l))
	}
	for c.bytes.Load() > c.limit && c.mu.head < len(c.mu.entries) {
		c.bytes.Add(-cost(c.mu.entries[c.mu.head]))
		c.mu.entries[c.mu.head] = nil
		c.mu.head++
	}
	if c.mu.head > len(c.mu.entries)/2 { // amortised: each entry is moved at most once
		n := copy(c.mu.entries, c.mu.entries[c.mu.head:])
		clear(c.mu.entries[n:])
		c.mu.entries, c.mu.head = c.mu.entries[:n], 0
	}
}

func (c *logCache) get(index uint64, out *raft.Log) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	live := c.mu.entries[c.mu.head:]
	if len(live) == 0 || index < live[0].Index || index > live[len(live)-1].Index {
		return false
	}
	*out = *live[index-live[0].Index]
	return true
}

func (c *logCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset()
}

func (c *logCache) reset() { c.mu.entries, c.mu.head = nil, 0; c.bytes.Store(0) }

func (c *logCache) size() uint64 { return c.bytes.Load() }

func cost(l *raft.Log) uint64 { return uint64(len(l.Data)+len(l.Extensions)) + logEntryOverhead }
