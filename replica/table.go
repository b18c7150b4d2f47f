package replica

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Registration is the body of PathRegister: where the replicas of a shard are.
type Registration struct {
	Shard   uint32        `json:"shard"`
	Members []wire.Member `json:"members"`
}

// maxTableWait bounds a long poll, so that a lost one is noticed.
const maxTableWait = time.Minute

// Table waits until this replica of shard 0 has applied a table newer than version after, and at most wait; then it
// returns what it has. The table is a hint to whoever asks: each shard's machine knows what it owns.
func (r *Replica) Table(ctx context.Context, after uint64, wait time.Duration) (wire.Table, error) {
	if r.shard != 0 {
		return wire.Table{}, Failure(wire.CodeMisdirected, "this is a replica of shard %d: only those of shard 0 hold the table", r.shard)
	}
	waiting, cancel := context.WithTimeout(ctx, min(wait, maxTableWait))
	defer cancel()
	view, err := r.controller.WaitView(waiting, func(v *store.View) bool {
		table, known := v.Table()
		return known && table.Version > after
	})
	if err != nil {
		view = r.controller.View()
	}
	table, known := view.Table()
	if !known {
		return wire.Table{}, Failure(wire.CodeNotReady, "shard 0 is being set up: try again")
	}
	identity, _ := view.Identity()
	return tableBody(identity, table), nil
}

func tableBody(identity store.Identity, table store.Table) wire.Table {
	body := wire.Table{
		Cluster: identity.Cluster, Epoch: uint64(table.Epoch), Version: table.Version,
		SlotFunction: identity.SlotFunction.String(), ShardCount: identity.ShardCount,
		Slots: make([]uint32, store.SlotCount), Shards: make(map[uint32][]wire.Member, len(table.Shards)),
	}
	for slot, shard := range table.Slots {
		body.Slots[slot] = uint32(shard)
	}
	for shard, members := range table.Shards {
		list := make([]wire.Member, len(members))
		for i, m := range members {
			list[i] = wire.Member(m)
		}
		body.Shards[uint32(shard)] = list
	}
	return body
}

func (r *Replica) serveTable(w http.ResponseWriter, req *http.Request) error {
	after, wait, err := ParsePollQuery(req, "the table")
	if err != nil {
		return err
	}
	table, err := r.Table(req.Context(), after, wait)
	if err != nil {
		return err
	}
	return WriteJSON(w, table)
}

// ParsePollQuery reads the parameters of a long poll: after, a version or term, and wait, a duration.
func ParsePollQuery(req *http.Request, what string) (after uint64, wait time.Duration, err error) {
	values, err := ParseQuery(req.URL.RawQuery, what, "after", "wait")
	if err != nil {
		return 0, 0, err
	}
	if text := values.Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, Invalid("after %s is not a number", quote(text))
		}
	}
	if text := values.Get("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			return 0, 0, Invalid("wait %s is not a duration such as 20s", quote(text))
		}
	}
	return after, wait, nil
}

// Register replaces the member list of a shard in the table. This replica must lead shard 0.
func (r *Replica) Register(ctx context.Context, registration Registration) error {
	members := make([]store.Member, len(registration.Members))
	for i, m := range registration.Members {
		members[i] = store.Member(m)
	}
	applied, err := r.controller.Propose(ctx, store.Command{Kind: store.CommandRegisterShard, Shard: store.Shard(registration.Shard), Members: members})
	if err != nil {
		return err
	}
	return registered(applied, registration.Shard)
}

func registered(applied controller.Applied, shard uint32) error {
	switch applied.Result.Code {
	case store.OK:
		return nil
	case store.NotOwner:
		return Failure(wire.CodeMisdirected, "only shard 0 holds the table")
	case store.Uninitialised:
		return Failure(wire.CodeNotReady, "shard 0 is being set up: try again")
	default:
		return Failure(wire.CodeConflict, "shard %d can't register (%s): check --shard and --shard-count", shard, applied.Result.Code)
	}
}

func (r *Replica) serveRegister(w http.ResponseWriter, req *http.Request) error {
	var registration Registration
	if err := ReadJSON(w, req, &registration); err != nil {
		return err
	}
	if len(registration.Members) == 0 {
		return Invalid("the member list of shard %d is empty", registration.Shard)
	}
	ctx, cancel := r.bounded(req)
	defer cancel()
	if err := r.Register(ctx, registration); err != nil {
		return err
	}
	return WriteJSON(w, registration)
}
