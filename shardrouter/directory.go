package shardrouter

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// hint is what the router goes by: immutable, replaced as a whole.
type hint struct {
	table    wire.Table // as shard 0 published it; Version 0: derived from the flags
	function store.SlotFunction
	members  map[uint32][]wire.Member // where to reach each shard
}

// shardOf is the shard that owns the key, as far as the hint knows.
func (h *hint) shardOf(key []byte) (uint32, error) {
	if len(h.table.Slots) != store.SlotCount {
		return 0, errNoTable
	}
	return h.table.Slots[h.function.Slot(key)], nil
}

// shards are all that own a slot or have registered, ascending.
func (h *hint) shards() []uint32 {
	seen := map[uint32]struct{}{}
	for _, shard := range h.table.Slots {
		seen[shard] = struct{}{}
	}
	for shard := range h.table.Shards {
		seen[shard] = struct{}{}
	}
	return slices.Sorted(maps.Keys(seen))
}

// has reports whether a shard owns a slot or has registered.
func (h *hint) has(shard uint32) bool {
	_, registered := h.table.Shards[shard]
	return registered || slices.Contains(h.table.Slots, shard)
}

// checkSession refuses a token that names a shard which does not exist. The marks themselves are for the shards to judge.
func (r *Router) checkSession(session replica.Session) error {
	h := r.now()
	if len(h.table.Slots) == 0 {
		return nil // a shard is asked for, too, which fails by itself
	}
	for _, mark := range session {
		if !h.has(uint32(mark.Shard)) {
			r.suspect() // should it be new, the table is out of date
			return replica.Failure(wire.CodeSessionUnknown, "Kvorum-Session names shard %d, which this cluster does not have: the token is of another cluster, or was changed; leave it out and start a new one", mark.Shard)
		}
	}
	return nil
}

// sessionOf reads and checks the token that a request carries, if any.
func (r *Router) sessionOf(h http.Header) (replica.Session, error) {
	session, err := replica.SessionOf(h)
	if err != nil {
		return nil, err
	}
	return session, r.checkSession(session)
}

// directory keeps the hint and the three sources of where a shard's replicas are. For the local shard the flags count;
// for others what a node said of its shard directly, until the table changes for that shard; else the table.
type directory struct {
	flags   map[uint32][]wire.Member // read only after init
	current atomic.Pointer[hint]
	changed chan struct{} // one token: the hint may be out of date, look now

	mu struct {
		sync.Mutex
		heard map[uint32][]wire.Member // by shard, from status replies
		news  chan struct{}            // closed when a newer table is there; nil: nobody waits
	}
}

func (d *directory) init(cfg Config) {
	d.flags = map[uint32][]wire.Member{}
	if len(cfg.Members) > 0 {
		d.flags[cfg.Self.Shard] = cfg.Members
	}
	d.changed = make(chan struct{}, 1)
	d.mu.heard = map[uint32][]wire.Member{}
	h := &hint{table: derivedTable(cfg), function: cfg.SlotFunction}
	h.members = d.merge(h.table)
	d.current.Store(h)
}

// derivedTable is the table as it must have been at the cluster's creation.
func derivedTable(cfg Config) wire.Table {
	t := wire.Table{Cluster: cfg.Self.Cluster, SlotFunction: cfg.SlotFunction.String(), ShardCount: cfg.ShardCount, Slots: []uint32{}, Shards: map[uint32][]wire.Member{}}
	if cfg.ShardCount == 0 {
		return t
	}
	t.Slots = make([]uint32, store.SlotCount)
	for slot := range t.Slots {
		t.Slots[slot] = uint32(slot) % cfg.ShardCount
	}
	return t
}

// now is the present hint.
func (d *directory) now() *hint { return d.current.Load() }

// take installs a newer table and reports whether it was newer.
func (d *directory) take(table wire.Table) bool {
	function, err := store.ParseSlotFunction(table.SlotFunction)
	if err != nil || len(table.Slots) != store.SlotCount {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.now()
	if table.Version <= old.table.Version || table.Cluster != old.table.Cluster {
		return false
	}
	for shard, members := range table.Shards {
		if old.table.Version > 0 && !slices.Equal(members, old.table.Shards[shard]) {
			delete(d.mu.heard, shard)
		}
	}
	h := &hint{table: table, function: function}
	h.members = d.merge(table)
	d.current.Store(h)
	if d.mu.news != nil {
		close(d.mu.news)
		d.mu.news = nil
	}
	return true
}

// news is closed at the next newer table.
func (d *directory) news() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.news == nil {
		d.mu.news = make(chan struct{})
	}
	return d.mu.news
}

// hear takes in what a node says of its own shard.
func (d *directory) hear(status wire.NodeStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.now()
	if status.Cluster != old.table.Cluster || len(status.Members) == 0 || slices.Equal(status.Members, d.mu.heard[status.Shard]) {
		return
	}
	d.mu.heard[status.Shard] = status.Members
	h := &hint{table: old.table, function: old.function}
	h.members = d.merge(old.table)
	d.current.Store(h)
}

// merge needs mu, except in init.
func (d *directory) merge(table wire.Table) map[uint32][]wire.Member {
	members := maps.Clone(table.Shards)
	if members == nil {
		members = map[uint32][]wire.Member{}
	}
	maps.Copy(members, d.mu.heard)
	maps.Copy(members, d.flags)
	return members
}

// suspect asks for a look at the table: something did not fit it.
func (d *directory) suspect() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// noteEpoch compares the epoch of a reply with the hint's.
func (d *directory) noteEpoch(epoch uint64) {
	if h := d.now(); h.table.Version > 0 && epoch > h.table.Epoch {
		d.suspect()
	}
}

var errNoTable = replica.Failure(wire.CodeNotReady, "the slot table is not known yet: is a node among --seeds up?")
