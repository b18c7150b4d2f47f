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
// without --retry. It waits at another replica for the election.
func writesAfterKills(ctx context.Context, t *testing.T, d *deployed) {
	pushes := d.inStep(ctx, t, 0)
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
		case outcome == wire.Applied && node == leader:
			t.Errorf("%s was killed and yet wrote", leader)
		case outcome != wire.Applied || took > killGoal:
			t.Errorf("the PUT was not applied within %s: %s", killGoal, body)
		}
		if next := d.leader(ctx, t, shard, leader); outcome == wire.Applied && next != node {
			t.Errorf("%s leads, and %s wrote", next, node)
		}
		pushes = d.inStep(ctx, t, pushes) // while the killed one is down
		_, err = d.Docker(ctx, "start", id)
		check(t, err)
		d.ready(ctx, t)
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
