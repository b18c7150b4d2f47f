package replica

import (
	"context"
	"net/http"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// Status is what this replica says of itself.
func (r *Replica) Status() wire.NodeStatus {
	status := r.controller.Status()
	status.Version, status.APIAddress = r.opt.Version, r.opt.APIAddress
	return status
}

func (r *Replica) serveStatus(w http.ResponseWriter, _ *http.Request) error {
	return WriteJSON(w, r.Status())
}

// leaderPollInterval is how often a handed-over leadership is looked for: raft announces it nowhere.
const leaderPollInterval = 5 * time.Millisecond

// Transfer hands leadership of this shard over to a member, any if to is empty, and returns who leads then. This replica
// must lead, unless to leads already.
func (r *Replica) Transfer(ctx context.Context, to string) (wire.TransferReply, error) {
	from := r.controller.Leader()
	if err := r.controller.TransferLeadership(ctx, to); err != nil {
		return wire.TransferReply{}, err
	}
	if to == "" {
		to = r.awaitSuccessor(ctx, from)
	}
	return wire.TransferReply{Shard: uint32(r.shard), From: from, Leader: to}, nil
}

// awaitSuccessor waits until this replica has heard of another leader; "" when that takes too long.
func (r *Replica) awaitSuccessor(ctx context.Context, from string) string {
	tick := time.NewTicker(leaderPollInterval)
	defer tick.Stop()
	for {
		if leader := r.controller.Leader(); leader != "" && leader != from {
			return leader
		}
		select {
		case <-ctx.Done():
			return ""
		case <-tick.C:
		}
	}
}

func (r *Replica) serveTransfer(w http.ResponseWriter, req *http.Request) error {
	var body wire.TransferRequest
	if err := ReadJSON(w, req, &body); err != nil {
		return err
	}
	ctx, cancel := r.bounded(req)
	defer cancel()
	reply, err := r.Transfer(ctx, body.To)
	if err != nil {
		return err
	}
	return WriteJSON(w, reply)
}

// SnapshotIndex is the reply of PathSnapshot: the log index that this replica's snapshot stands at.
type SnapshotIndex struct {
	Index uint64 `json:"index"`
}

// Snapshot takes a snapshot of this replica.
func (r *Replica) Snapshot(ctx context.Context) (SnapshotIndex, error) {
	index, err := r.controller.Snapshot(ctx)
	return SnapshotIndex{index}, err
}

func (r *Replica) serveSnapshot(w http.ResponseWriter, req *http.Request) error {
	ctx, cancel := r.bounded(req)
	defer cancel()
	reply, err := r.Snapshot(ctx)
	if err != nil {
		return err
	}
	return WriteJSON(w, reply)
}
