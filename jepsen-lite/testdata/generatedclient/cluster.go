package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"generatedclient/kvorum"
)

// operations: a write under an Idempotency-Key, its repeat, its misuse, and what became of it.
func (d *driver) operations() {
	once := kvorum.PutKeyParams{IdempotencyKey: to("generated-once")}
	etag := d.put("once:a", "v", once, want{status: 201})
	r, err := d.c.PutKeyWithBodyWithResponse(d.ctx, "once:a", &once, octets, strings.NewReader("v"))
	d.got("putKey", r, err, want{status: 201, check: func() error {
		if r.Headers201.KvorumReplayed == nil {
			return errors.New("the repeat is not marked as one")
		}
		return equal("the repeat's ETag", r.Headers201.ETag, etag)
	}})
	d.put("once:a", "other", once, want{status: 422, code: kvorum.ProblemCodeIdempotencyKeyReused})
	d.delete("once:a", kvorum.DeleteKeyParams{IdempotencyKey: once.IdempotencyKey}, want{status: 422, code: kvorum.ProblemCodeIdempotencyKeyReused})
	o, err := d.c.GetOperationWithResponse(d.ctx, "generated-once", &kvorum.GetOperationParams{})
	d.got("getOperation", o, err, want{status: 200, check: func() error {
		have := fmt.Sprint(o.JSON200.IdempotencyKey, o.JSON200.Outcome, o.JSON200.Status, o.JSON200.Revision, o.JSON200.Shard, o.JSON200.Slot)
		return errors.Join(strict(o.Body, new(kvorum.Operation)), equal("the operation", have, fmt.Sprint("generated-once", kvorum.OutcomeApplied, 201, revision(etag), 1, int('a'))))
	}})
	h, err := d.c.HeadOperationWithResponse(d.ctx, "generated-once")
	d.got("headOperation", h, err, want{status: 200})
	d.put("once:b", "v", once, want{status: 201})
	o, err = d.c.GetOperationWithResponse(d.ctx, "generated-once", &kvorum.GetOperationParams{})
	d.got("getOperation", o, err, want{status: 409, code: kvorum.ProblemCodeConflict})
	o, err = d.c.GetOperationWithResponse(d.ctx, "generated-once", &kvorum.GetOperationParams{Slot: to(int('b'))})
	d.got("getOperation", o, err, want{status: 200})
	o, err = d.c.GetOperationWithResponse(d.ctx, "generated-once", &kvorum.GetOperationParams{Slot: to(999)})
	d.got("getOperation", o, err, want{status: 400, code: kvorum.ProblemCodeInvalidRequest})
	o, err = d.c.GetOperationWithResponse(d.ctx, "never-used", &kvorum.GetOperationParams{})
	d.got("getOperation", o, err, want{status: 404, code: kvorum.ProblemCodeNoSuchOperation, outcome: kvorum.OutcomeUnknown})
	h, err = d.c.HeadOperationWithResponse(d.ctx, "never-used")
	d.got("headOperation", h, err, want{status: 404, outcome: kvorum.OutcomeUnknown})
}

// cluster: the table, all replicas' word, a leadership handed over, a snapshot.
func (d *driver) cluster() {
	t, err := d.c.GetTableWithResponse(d.ctx, &kvorum.GetTableParams{})
	d.got("getTable", t, err, want{status: 200, check: func() error {
		return errors.Join(strict(t.Body, new(kvorum.Table)), equal("the table", []int{t.JSON200.ShardCount, len(t.JSON200.Slots), len(t.JSON200.Shards)}, []int{3, 256, 3}))
	}})
	var leader, other string
	s, err := d.c.GetClusterWithResponse(d.ctx, &kvorum.GetClusterParams{})
	d.got("getCluster", s, err, want{status: 200, check: func() error {
		for _, shard := range s.JSON200.Shards {
			for _, r := range shard.Replicas {
				if r.Status == nil || r.Status.Node != r.Id {
					return fmt.Errorf("replica %s says nothing of itself", r.Id)
				}
				if shard.Shard == 1 && r.Status.Role == kvorum.NodeStatusRoleFollower {
					other = r.Id
				}
			}
			if shard.Shard == 1 && shard.Leader != nil {
				leader = *shard.Leader
			}
		}
		if leader == "" || other == "" {
			return errors.New("shard 1 has no leader or no follower")
		}
		return strict(s.Body, new(kvorum.ClusterStatus))
	}})
	hand := func(shard int, to *string, w want) {
		r, err := d.c.TransferLeaderWithResponse(d.ctx, shard, &kvorum.TransferLeaderParams{}, kvorum.TransferRequest{To: to})
		if w.status == 200 {
			w.check = func() error {
				return errors.Join(strict(r.Body, new(kvorum.TransferReply)), equal("who leads", *r.JSON200, kvorum.TransferReply{Shard: shard, From: leader, Leader: *to}))
			}
		}
		d.got("transferLeader", r, err, w)
	}
	hand(1, &other, want{status: 200})
	hand(7, nil, want{status: 404, code: kvorum.ProblemCodeNoSuchShard})
	hand(1, to("nobody"), want{status: 409, code: kvorum.ProblemCodeConflict})
	r, err := d.c.TransferLeaderWithBodyWithResponse(d.ctx, 1, &kvorum.TransferLeaderParams{}, "application/json", strings.NewReader(`{"to":`))
	d.got("transferLeader", r, err, want{status: 400, code: kvorum.ProblemCodeInvalidRequest})
	n, err := d.c.TakeSnapshotWithResponse(d.ctx, 1, &kvorum.TakeSnapshotParams{})
	d.got("takeSnapshot", n, err, want{status: 200, check: func() error {
		return errors.Join(strict(n.Body, new(kvorum.SnapshotReply)), equal("the number of snapshots", len(n.JSON200.Replicas), 3))
	}})
	n, err = d.c.TakeSnapshotWithResponse(d.ctx, 7, &kvorum.TakeSnapshotParams{})
	d.got("takeSnapshot", n, err, want{status: 404, code: kvorum.ProblemCodeNoSuchShard})
	hc, err := d.c.HeadClusterWithResponse(d.ctx)
	d.got("headCluster", hc, err, want{status: 200})
	ht, err := d.c.HeadTableWithResponse(d.ctx)
	d.got("headTable", ht, err, want{status: 200})
}

// health, the description itself and the metrics. The node asked is the leader of shard 0 or not: both answers are described.
func (d *driver) health() {
	named := func(body []byte, status kvorum.HealthStatus) func() error {
		return func() error {
			var h kvorum.Health
			return errors.Join(strict(body, &h), equal("the status", h.Status, status))
		}
	}
	live, err := d.c.LiveWithResponse(d.ctx)
	d.got("live", live, err, want{status: 200, check: named(live.GetBody(), kvorum.HealthStatusLive)})
	ready, err := d.c.ReadyWithResponse(d.ctx)
	d.got("ready", ready, err, want{status: 200, check: named(ready.GetBody(), kvorum.HealthStatusReady)})
	leads, err := d.c.LeaderWithResponse(d.ctx)
	w := want{status: 200, check: named(leads.GetBody(), kvorum.HealthStatusLeader)}
	if err == nil && leads.StatusCode() != 200 {
		w = want{status: 503, code: kvorum.ProblemCodeNotReady}
	}
	d.got("leader", leads, err, w)
	hl, err := d.c.HeadLiveWithResponse(d.ctx)
	d.got("headLive", hl, err, want{status: 200})
	hr, err := d.c.HeadReadyWithResponse(d.ctx)
	d.got("headReady", hr, err, want{status: 200})
	hw, err := d.c.HeadLeaderWithResponse(d.ctx)
	d.got("headLeader", hw, err, want{status: w.status})
	o, err := d.c.OpenapiWithResponse(d.ctx)
	d.got("openapi", o, err, want{status: 200, check: func() error { return equal("its beginning", bytes.HasPrefix(o.Body, []byte("openapi: 3.")), true) }})
	ho, err := d.c.HeadOpenapiWithResponse(d.ctx)
	d.got("headOpenapi", ho, err, want{status: 200})
	m, err := d.c.MetricsWithResponse(d.ctx)
	d.got("metrics", m, err, want{status: 200, check: func() error { return equal("a metric", bytes.Contains(m.Body, []byte("\nkvorum_")), true) }})
	hm, err := d.c.HeadMetricsWithResponse(d.ctx)
	d.got("headMetrics", hm, err, want{status: 200})
}

// noQuorum: shard 1 has a leader that has just lost its followers. The first write is proposed and its end unknown; what comes after
// the leader has given up is refused.
func (d *driver) noQuorum() {
	d.put("lost:a", "v", kvorum.PutKeyParams{}, want{status: 504, code: kvorum.ProblemCodeOutcomeUnknown, outcome: kvorum.OutcomeUnknown})
	d.put("lost:a", "w", kvorum.PutKeyParams{}, want{status: 503, code: kvorum.ProblemCodeNoLeader})
	r, err := d.c.GetKeyWithResponse(d.ctx, "lost:a", &kvorum.GetKeyParams{})
	d.got("getKey", r, err, want{status: 503, code: kvorum.ProblemCodeNoLeader})
	l, err := d.c.ListKeysWithResponse(d.ctx, &kvorum.ListKeysParams{})
	d.got("listKeys", l, err, want{status: 503, code: kvorum.ProblemCodeNoLeader})
	o, err := d.c.GetOperationWithResponse(d.ctx, "never-used", &kvorum.GetOperationParams{})
	d.got("getOperation", o, err, want{status: 503, code: kvorum.ProblemCodeNoLeader})
	d.put("other:b", "v", kvorum.PutKeyParams{}, want{status: 201}) // of another shard
}
