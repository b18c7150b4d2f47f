package client

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// refreshPause is the least time between two fetches of the slot table.
const refreshPause = time.Second

// routes is the hint by which direct routing goes: the slot table and who was seen to lead.
type routes struct {
	table   atomic.Pointer[wire.Table]
	stale   atomic.Bool // something did not go by the table: fetch it again
	mu      sync.Mutex  // held while fetching
	fetched time.Time   // guarded by mu: last try
	leaders sync.Map    // shard uint32 -> node id string
}

// candidates lists where to send r, best first. It is never empty.
func (c *Client) candidates(ctx context.Context, r *request) []*url.URL {
	var list []*url.URL
	if c.config.DirectRouting && r.receipted {
		list = c.directCandidates(ctx, r)
	}
	preferred := int(c.preferred.Load())
	for i := range c.endpoints {
		list = append(list, c.endpoints[(preferred+i)%len(c.endpoints)])
	}
	return list
}

// directCandidates lists the members of the key's shard, who led last in front.
func (c *Client) directCandidates(ctx context.Context, r *request) []*url.URL {
	table := c.freshTable(ctx)
	slot, ok := slotOf(table, r.key)
	if !ok {
		return nil
	}
	shard := table.Slots[slot]
	leader, _ := c.routes.leaders.Load(shard)
	var list []*url.URL
	for _, member := range table.Shards[shard] {
		if member.APIAddress == "" {
			continue
		}
		u := &url.URL{Scheme: "http", Host: member.APIAddress}
		if member.ID == leader && len(list) > 0 {
			list = append([]*url.URL{u}, list...)
			continue
		}
		list = append(list, u)
	}
	return list
}

// slotOf computes the slot of key by the table's slot function; ok is false without a usable table.
func slotOf(table *wire.Table, key string) (slot int, ok bool) {
	if table == nil || len(table.Slots) != 256 || key == "" {
		return 0, false
	}
	switch table.SlotFunction {
	case "last-byte":
		return int(key[len(key)-1]), true
	case "hash":
		sum := sha256.Sum256([]byte(key))
		return int(sum[0]), true
	}
	return 0, false
}

// freshTable gives the table, fetched again if it was found stale. While one caller fetches, the others use the old one.
func (c *Client) freshTable(ctx context.Context) *wire.Table {
	table := c.routes.table.Load()
	if table != nil && !c.routes.stale.Load() {
		return table
	}
	if table != nil && !c.routes.mu.TryLock() {
		return table
	} else if table == nil {
		c.routes.mu.Lock()
	}
	defer c.routes.mu.Unlock()
	if time.Since(c.routes.fetched) < refreshPause {
		return c.routes.table.Load()
	}
	c.routes.fetched = time.Now()
	c.routes.stale.Store(false)
	fetched, err := c.fetchTable(ctx)
	if err != nil { // a hint: without it the endpoints forward
		c.routes.stale.Store(true)
		return c.routes.table.Load()
	}
	c.routes.table.Store(fetched)
	return fetched
}

func (c *Client) fetchTable(ctx context.Context) (*wire.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	reply, failure := c.doUnbounded(ctx, &request{operation: "fetch the slot table", method: http.MethodGet, path: "/v1/cluster/table"})
	if failure != nil {
		return nil, failure
	}
	table := new(wire.Table)
	return table, json.Unmarshal(reply.body, table)
}

// answered learns from a reply.
func (c *Client) answered(r *request, endpoint *url.URL, receipt Receipt) {
	for i, e := range c.endpoints {
		if e == endpoint {
			c.preferred.Store(uint32(i))
		}
	}
	if !c.config.DirectRouting || receipt.Node == "" {
		return
	}
	if r.write || strings.HasSuffix(receipt.Consistency, "; leader") {
		c.routes.leaders.Store(receipt.Shard, receipt.Node)
	}
	if table := c.routes.table.Load(); table != nil && receipt.Epoch > table.Epoch {
		c.routes.stale.Store(true)
	}
}

// failed learns from an attempt that got no useful reply.
func (c *Client) failed(e *Error) {
	if e.notConnected || e.Code == wire.CodeNoLeader || e.Code == wire.CodeMisdirected {
		c.routes.stale.Store(true)
	}
}
