package shardrouter

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/mux"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// statusTimeout bounds how long GET /v1/cluster waits for any one replica.
const statusTimeout = time.Second

// serveCluster shows the table and what every replica says of itself, or why it could not be asked.
func (r *Router) serveCluster(w http.ResponseWriter, req *http.Request) error {
	if _, err := replica.ParseQuery(req.URL.RawQuery, "the cluster's status"); err != nil {
		return err
	}
	h := r.now()
	shards := h.shards()
	status := wire.ClusterStatus{Table: h.table, Shards: make([]wire.ShardStatus, len(shards))}
	ctx, cancel := context.WithTimeout(req.Context(), statusTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for i, shard := range shards {
		asking.Go(func() { status.Shards[i] = r.shardStatus(ctx, shard) })
	}
	asking.Wait()
	return replica.WriteJSON(w, status)
}

// shardStatus asks all replicas of a shard at once. The leader is that of the highest term that was heard.
func (r *Router) shardStatus(ctx context.Context, shard uint32) wire.ShardStatus {
	h := r.now()
	members := h.members[shard]
	status := wire.ShardStatus{Shard: shard, Replicas: make([]wire.ReplicaStatus, len(members))}
	for _, owner := range h.table.Slots {
		if owner == shard {
			status.Slots++
		}
	}
	var asking sync.WaitGroup
	for i, member := range members {
		asking.Go(func() {
			status.Replicas[i].Member = member
			said, err := r.statusOf(ctx, r.targetFor(shard, member))
			if err != nil {
				status.Replicas[i].Error = err.Error()
				return
			}
			status.Replicas[i].Status = said
		})
	}
	asking.Wait()
	var term uint64
	for _, said := range status.Replicas {
		if said.Status != nil && said.Status.Role == "leader" && said.Status.Term >= term {
			status.Leader, term = said.Status.Node, said.Status.Term
		}
	}
	return status
}

// serveTable shows the table that this node goes by.
func (r *Router) serveTable(w http.ResponseWriter, req *http.Request) error {
	if _, err := replica.ParseQuery(req.URL.RawQuery, "the slot table"); err != nil {
		return err
	}
	return replica.WriteJSON(w, r.now().table)
}

// shardOfPath reads the shard that a path names.
func (r *Router) shardOfPath(req *http.Request) (uint32, error) {
	text := mux.Vars(req)["shard"]
	shard, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, replica.Invalid("shard %q is not the number of one, such as 0", text)
	}
	if h := r.now(); !h.has(uint32(shard)) {
		return 0, replica.Failure(wire.CodeNoSuchShard, "there is no shard %d: the shards are %s", shard, numbered(h.shards()))
	}
	return uint32(shard), nil
}

// numbered lists the shards' numbers, shortened where they are many.
func numbered(shards []uint32) string {
	const most = 10
	text := strings.Trim(strings.ReplaceAll(fmt.Sprint(shards[:min(most, len(shards))]), " ", ", "), "[]")
	if n := len(shards); n > most {
		text += fmt.Sprintf(" and so on up to %d", shards[n-1])
	}
	return text
}

// serveTransfer hands a shard's leadership over.
func (r *Router) serveTransfer(w http.ResponseWriter, req *http.Request) error {
	if _, err := replica.ParseQuery(req.URL.RawQuery, "a transfer of leadership"); err != nil {
		return err
	}
	shard, err := r.shardOfPath(req)
	if err != nil {
		return err
	}
	var body wire.TransferRequest
	if err := replica.ReadJSON(w, req, &body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(req.Context(), r.cfg.RequestTimeout)
	defer cancel()
	var reply wire.TransferReply
	err = r.write(ctx, shard, func(ctx context.Context, to target) (err error) {
		if to.local {
			reply, err = r.local.Transfer(ctx, body.To)
			return err
		}
		return r.ask(ctx, to, http.MethodPost, replica.PathTransfer, body, &reply)
	})
	if err != nil {
		if failed := replica.AsError(err); failed.Code == wire.CodeUnknownOutcome {
			return replica.Failure(wire.CodeUnknownOutcome, "leadership of shard %d may or may not be handed over (%s): GET %s shows who leads", shard, failed.Detail, pathCluster)
		}
		return err
	}
	r.leaders.learn(shard, reply.Leader)
	return replica.WriteJSON(w, reply)
}

// serveSnapshot makes every replica of a shard take a snapshot. It succeeds if any did.
func (r *Router) serveSnapshot(w http.ResponseWriter, req *http.Request) error {
	if _, err := replica.ParseQuery(req.URL.RawQuery, "a snapshot"); err != nil {
		return err
	}
	shard, err := r.shardOfPath(req)
	if err != nil {
		return err
	}
	if err := replica.ReadJSON(w, req, &struct{}{}); err != nil {
		return err
	}
	targets := r.targets(shard)
	if len(targets) == 0 {
		return replica.Failure(wire.CodeNotReady, "the replicas of shard %d are not known yet: try again", shard)
	}
	ctx, cancel := context.WithTimeout(req.Context(), r.cfg.RequestTimeout)
	defer cancel()
	indexes, errs := make([]uint64, len(targets)), make([]error, len(targets))
	var taking sync.WaitGroup
	for i, to := range targets {
		taking.Go(func() { indexes[i], errs[i] = r.snapshot(ctx, to) })
	}
	taking.Wait()
	reply := wire.SnapshotReply{Shard: shard, Replicas: map[string]uint64{}, Errors: map[string]string{}}
	for i, to := range targets {
		if errs[i] != nil {
			reply.Errors[to.node] = errs[i].Error()
		} else {
			reply.Replicas[to.node] = indexes[i]
		}
	}
	if len(reply.Replicas) == 0 {
		return noSnapshot(shard, errs)
	}
	return replica.WriteJSON(w, reply)
}

// noSnapshot is the answer when no replica said that it took one. That none did is certain only if each of them said so or
// was not sent the request.
func noSnapshot(shard uint32, errs []error) error {
	for _, err := range errs {
		if replica.AsError(final(err)).Outcome() == wire.Unknown {
			return replica.Failure(wire.CodeUnknownOutcome, "no replica of shard %d is known to have taken a snapshot, but some may yet (%v): GET %s shows their snapshot_index", shard, err, pathCluster)
		}
	}
	return replica.Failure(wire.CodeUnreachable, "no replica of shard %d took a snapshot: %v", shard, errs[0])
}

func (r *Router) snapshot(ctx context.Context, to target) (uint64, error) {
	var taken replica.SnapshotIndex
	var err error
	if to.local {
		taken, err = r.local.Snapshot(ctx)
	} else {
		err = r.ask(ctx, to, http.MethodPost, replica.PathSnapshot, nil, &taken)
	}
	return taken.Index, err
}
