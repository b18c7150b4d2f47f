package main

import (
	"os"
	"path/filepath"
	"testing"

	lin "github.com/kvorum/kvorum/linearizability"
)

// outage is how long the strikes of one nemesis left their shard without service, by the clients' way.
type outage struct {
	Nemesis, Role string
	Strikes       int
	Ways          map[string]struct{ Median, Worst float64 }
}

// What any machine manages, and no run in which nothing is measured.
const (
	leastBeats  = 1.0 // acknowledged probes a second in each shard on each way, of 20 that are aimed at
	leastOutage = 0.2 // seconds without a leader: followers wait longer than that before they look for another
	calmAtFirst = 2.0 // seconds before the first strike
)

// ways on which a run measures, and the first letter of its probes' keys.
func (l *line) ways() map[string]byte {
	ways := map[string]byte{"nodes": 'n'}
	if l.Through == "haproxy" {
		ways["haproxy"] = 'h'
	}
	return ways
}

// wantCounts counts the history afresh: what the last line says is there, and in each shard the probes of each way have beaten.
func wantCounts(t *testing.T, l line, out string) {
	t.Helper()
	f, err := os.Open(filepath.Join(out, "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	operations, err := lin.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	type series struct {
		letter byte
		shard  uint32
	}
	outcomes, beats, reads, writes := map[string]int{}, map[series]int{}, 0, 0
	for i := range operations {
		o := &operations[i]
		outcomes[string(o.Outcome)]++
		switch {
		case o.Outcome != lin.Applied:
		case o.Kind == lin.Get || o.Kind == lin.List:
			reads++
		case o.Key[0] == 'n' || o.Key[0] == 'h':
			beats[series{o.Key[0], o.Receipt.Shard}]++
		default:
			writes++
		}
	}
	for _, outcome := range []lin.Outcome{lin.Applied, lin.NotApplied, lin.Unknown} {
		if said, is := l.Operations[string(outcome)], outcomes[string(outcome)]; said != is {
			t.Errorf("%d operations %s, the history has %d", said, outcome, is)
		}
	}
	if writes != l.Writes || reads == 0 {
		t.Errorf("%d writes acknowledged, the history has %d that are no probes, and %d reads", l.Writes, writes, reads)
	}
	for way, letter := range l.ways() {
		for shard := range uint32(shards) {
			if n := beats[series{letter, shard}]; float64(n) < leastBeats*l.Seconds {
				t.Errorf("%d probes of shard %d were acknowledged through %s in %.1f s", n, shard, way, l.Seconds)
			}
		}
	}
}

// wantOutages: strikes at a leader cost its shard an election, on every way, and service came back while clients were there to see it.
func wantOutages(t *testing.T, l line) {
	t.Helper()
	leaders := 0
	for _, o := range l.Outages {
		if o.Role != "leader" {
			continue
		}
		leaders += o.Strikes
		for way := range l.ways() {
			if s, measured := o.Ways[way]; !measured || s.Median < leastOutage || s.Median > s.Worst || s.Worst >= l.Seconds-calmAtFirst-1 {
				t.Errorf("%s at a leader, through %s: %+v of %.1f s", o.Nemesis, way, s, l.Seconds)
			}
		}
	}
	if leaders == 0 {
		t.Errorf("no strike at a leader was measured: %+v", l.Outages)
	}
}
