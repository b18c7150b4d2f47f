//go:build deploy

package jepsenlite

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

const killGoal = 3 * time.Second // from the kill of a leader to the next write

// writesAfterKills kills each shard's leader and writes again at once, through HAProxy: one plain request, as curl sends it
// without --retry. It waits at another replica for the election, and is applied within the goal, each time. Only when the two
// that are left vote each for itself, which the term tells, may one kill be done again: Raft then waits for another timeout.
func writesAfterKills(ctx context.Context, t *testing.T, d *deployed) {
	mayRepeat := true
	for shard := uint32(0); shard < 3; {
		terms, err := d.writeAfterKill(ctx, t, shard)
		if err != nil && terms > 1 && mayRepeat {
			t.Logf("shard %d: %v; the vote was split (%d terms), once more", shard, err, terms)
			mayRepeat = false
			continue
		}
		if err != nil {
			t.Errorf("shard %d: %v", shard, err)
		}
		shard++
	}
}

// writeAfterKill also says how many terms the election took.
func (d *deployed) writeAfterKill(ctx context.Context, t *testing.T, shard uint32) (terms uint64, late error) {
	t.Helper()
	pushes := d.inStep(ctx, t, 0)
	leader, before := d.leader(ctx, t, shard), d.term(ctx, t, shard)
	id, err := d.Container(ctx, leader)
	check(t, err)
	_, err = d.Docker(ctx, "kill", "-s", "KILL", id)
	check(t, err)
	start := time.Now()
	status, outcome, node, body := d.plainPut(ctx, t, string(rune('`'+shard)))
	took := time.Since(start)
	next := d.leader(ctx, t, shard, leader)
	t.Logf("shard %d: leader %s killed, a plain PUT: %d %s by %q after %s", shard, leader, status, outcome, node, took.Round(time.Millisecond))
	switch {
	case !outcome.Valid():
		t.Errorf("%d without an outcome: %s", status, body)
	case outcome == wire.Applied && node != next:
		t.Errorf("%s wrote, and after the kill of %s %s leads", node, leader, next)
	case outcome != wire.Applied || took > killGoal:
		late = fmt.Errorf("not applied within %s: %s", killGoal, body)
	}
	terms = d.term(ctx, t, shard) - before
	d.inStep(ctx, t, pushes) // while the killed one is down
	_, err = d.Docker(ctx, "start", id)
	check(t, err)
	d.ready(ctx, t)
	return terms, late
}

// term is the highest that a replica of the shard tells.
func (d *deployed) term(ctx context.Context, t *testing.T, shard uint32) (highest uint64) {
	t.Helper()
	status, err := d.kv.ClusterStatus(ctx)
	check(t, err)
	for _, replica := range status.Shards[shard].Replicas {
		if replica.Status != nil {
			highest = max(highest, replica.Status.Term)
		}
	}
	return highest
}

// plainPut sends one PUT, once, on a connection of its own.
func (d *deployed) plainPut(ctx context.Context, t *testing.T, key string) (status int, outcome wire.Outcome, node, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("http://%s/v1/kv/%s", d.API, key), strings.NewReader("after the kill"))
	check(t, err)
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	response, err := plain.Do(request)
	check(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	return response.StatusCode, wire.Outcome(response.Header.Get(wire.HeaderOutcome)), response.Header.Get(wire.HeaderNode), string(text)
}
