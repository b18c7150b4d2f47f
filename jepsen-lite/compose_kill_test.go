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

const (
	killGoal = 3 * time.Second        // from the kill of a leader to the next write
	hurried  = 700 * time.Millisecond // no election is over so soon: with --heartbeat-timeout=1s the first begins after a second
)

// writesAfterKills kills each shard's leader and writes again at once, through HAProxy: one plain request, as curl sends it
// without --retry. It waits at another replica for the election.
func writesAfterKills(ctx context.Context, t *testing.T, d *deployed) {
	inTime := 0
	for shard := range uint32(3) {
		leader := d.leader(ctx, t, shard)
		id, err := d.Container(ctx, leader)
		check(t, err)
		_, err = d.Docker(ctx, "kill", "-s", "KILL", id)
		check(t, err)
		start := time.Now()
		status, outcome, node, body := d.plainPut(ctx, t, string(rune('`'+shard)))
		took := time.Since(start)
		t.Logf("shard %d: leader %s killed, a plain PUT: %d %s by %q after %s", shard, leader, status, outcome, node, took.Round(time.Millisecond))
		switch {
		case outcome == wire.Applied && node != leader:
			if took <= killGoal {
				inTime++
			}
		case outcome == wire.Applied:
			t.Errorf("%s was killed and yet wrote", leader)
		case !outcome.Valid():
			t.Errorf("%d without an outcome: %s", status, body)
		case took < hurried:
			t.Errorf("the PUT did not wait for the election: %s", body)
		}
		_, err = d.Docker(ctx, "start", id)
		check(t, err)
		d.ready(ctx, t)
	}
	if inTime < 2 { // one may be a split vote
		t.Errorf("only %d of 3 plain PUTs after a kill were applied within %s", inTime, killGoal)
	}
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
