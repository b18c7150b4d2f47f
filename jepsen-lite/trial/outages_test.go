package trial

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/internal/rig"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	lin "github.com/kvorum/kvorum/linearizability"
)

// put is a write of a client, acknowledged by a shard after so many seconds.
func put(client int, shard uint32, seconds float64) lin.Operation {
	return lin.Operation{Client: client, Kind: lin.Put, Outcome: lin.Applied, Return: int64(seconds * 1e9), Receipt: &lin.Receipt{Shard: shard}}
}

func struck(name string, role nemesis.Role, shard int, from, to float64) Struck {
	return Struck{Planned: nemesis.Planned{Nemesis: name, Shard: shard}, Role: role, Began: from, Ended: to, from: int64(from * 1e9), to: int64(to * 1e9)}
}

// measured is a result of 20 s of two shards, whose clients went through HAProxy; client 7 probed the nodes.
func measured(operations []lin.Operation, strikes ...Struck) *Result {
	config := Config{Shards: 2, Through: ThroughHAProxy}
	r := newResult(config)
	r.to, r.strikes = 20e9, strikes
	r.measure(config, lin.History{Operations: operations}, &crowd{probes: map[int]string{7: ThroughNodes}})
	return r
}

// TestTimesWithoutService: each strike counts with the time without service of its own shard, not of another that was struck
// too, and each way with what was acknowledged there, unless it may have been the doing of a strike at HAProxy.
func TestTimesWithoutService(t *testing.T) {
	r := measured([]lin.Operation{
		put(1, 0, 1), put(1, 0, 2), put(1, 0, 10), put(1, 0, 14), put(1, 0, 15), put(1, 0, 16), put(1, 0, 20),
		put(1, 1, 0.5), put(1, 1, 3.5), put(1, 1, 20),
		put(7, 0, 5), put(7, 0, 11.5), put(7, 1, 2), put(7, 1, 2.5),
	},
		struck("a", nemesis.Leader, 0, 1, 3), struck("a", nemesis.Leader, 0, 10.5, 12), struck("a", nemesis.Leader, 0, 15.2, 15.8),
		struck("a", nemesis.Follower, 0, 15.85, 15.9), struck("b", nemesis.Leader, 1, 1, 3), struck("c", nemesis.Either, -1, 16.5, 17), struck("c", nemesis.Either, -1, 2, 2.2),
		struck("d", nemesis.Leader, 1, 4, 5),
	)
	spread := func(n, nWorst, h, hWorst float64) map[string]Spread {
		return map[string]Spread{ThroughNodes: {n, nWorst}, ThroughHAProxy: {h, hWorst}}
	}
	want := []Outages{
		// The first: on the way through HAProxy that was struck by c meanwhile. The second: no node had served again when the third
		// struck. The third: not either way when the follower was struck. b: not when d was.
		{"a", nemesis.Leader, 2, spread(4, 4, 3.5, 3.5)},
		{"a", nemesis.Follower, 1, spread(4.15, 4.15, 0.15, 0.15)},
		{"c", nemesis.Either, 1, spread(3.5, 3.5, 3.5, 3.5)},                // during the other one a and b were under way
		{"d", nemesis.Leader, 1, map[string]Spread{ThroughNodes: {16, 16}}}, // when HAProxy was struck, it was not served again yet
	}
	if !reflect.DeepEqual(r.Outages, want) {
		t.Errorf("%+v\nwant %+v", r.Outages, want)
	}
	if r.Longest != (Gap{16.5, 1, 3.5}) || r.Writes != 10 {
		t.Errorf("longest %+v, %d writes: probes are not counted", r.Longest, r.Writes)
	}
}

// TestStrikesWithoutProofSayNothing of how long they left anything without service.
func TestStrikesWithoutProofSayNothing(t *testing.T) {
	idle := struck("a", nemesis.Leader, 0, 1, 3)
	idle.NotProved = "it runs"
	if r := measured(nil, idle); len(r.Outages) != 0 || !strings.Contains(r.besides(), "a: ; it runs") || strings.Contains(r.besides(), "without service") {
		t.Errorf("%+v", r.Outages)
	}
}

// TestResultFileIsRead: what a trial writes is what the summary of several reads.
func TestResultFileIsRead(t *testing.T) {
	r := measured([]lin.Operation{put(1, 0, 1), put(7, 0, 5)}, struck("a", nemesis.Leader, 0, 1, 3), struck("c", nemesis.Either, -1, 16.5, 17))
	folder := t.TempDir()
	if _, err := Load(folder); err == nil {
		t.Error("a folder without a result was read")
	}
	r.Report.Verdict = lin.Linearizable
	r.judge(Config{})
	if err := rig.WriteFile(filepath.Join(folder, ResultFile), r.write); err != nil {
		t.Fatal(err)
	}
	f, err := Load(folder)
	if err != nil || f.Verdict != r.Verdict || !reflect.DeepEqual(TimesWithoutService(f.Strikes), r.Outages) {
		t.Errorf("%v: %+v", err, f)
	}
}

// TestReportSaysWhatTheRunIs, where the verdict on the history alone would say too much, and shows the table.
func TestReportSaysWhatTheRunIs(t *testing.T) {
	r := measured([]lin.Operation{put(1, 0, 1), put(7, 0, 5)}, struck("a", nemesis.Leader, 0, 1, 3))
	r.Report.Verdict, r.Verdict = lin.Linearizable, Linearizable
	if r.says() != "" {
		t.Errorf("a good run: %q", r.says())
	}
	if text := r.besides(); !strings.Contains(text, "| a                    | leader   |       1 |    4.00 s |") {
		t.Errorf("table:\n%s", text)
	}
	r.Verdict, r.Doubts = Vacuous, []string{"only 2 writes"}
	if r.says() != "vacuous: only 2 writes" {
		t.Errorf("a vacuous run: %q", r.says())
	}
	r.Verdict, r.Report.Verdict, r.Findings = Violation, lin.Violation, []string{"s0n0 ended unasked"}
	if r.says() != "violation: s0n0 ended unasked; only 2 writes" {
		t.Errorf("a run with a finding: %q", r.says())
	}
}
