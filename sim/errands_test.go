package sim_test

import (
	"bytes"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// TestErrands: what an operator asks for at 4 s the nodes do, as their own logs say, and not before: another one leads, each replica
// takes a snapshot.
func TestErrands(t *testing.T) {
	l := openLab(t)
	second := schedule.Duration(1e9)
	for id, word := range map[string]string{"transfer-leader": "entering leader state", "snapshot": "snapshot complete up to"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			r := l.Run(t.Context(), &schedule.Schedule{Version: 1, Seed: 1, Shards: 1, Replicas: 3, Duration: 8 * second,
				Crowd: schedule.Crowd{Clients: 3, Keys: 4, Rate: 20, ValueBytes: 64}, Flags: []string{"--snapshot-interval=1h", "--snapshot-threshold=1000000"},
				Faults: []schedule.Fault{{ID: id, At: 4 * second, For: 3 * second, Mode: "0"}}}, sim.Options{Log: &log})
			if r.Fired[id] != 1 || len(r.Failures) > 0 {
				t.Errorf("fired %v, failures %v", r.Fired, r.Failures)
			}
			asked, ended := false, false
			who := map[bool]map[string]int{true: {}, false: {}} // by whether they were asked, how many lines of which node
			line := regexp.MustCompile(`^\s*[0-9.]+ (\w+)\s`)
			for text := range strings.Lines(log.String()) {
				asked = asked || strings.Contains(text, "fault "+id)
				ended = ended || strings.Contains(text, "fault "+id+" ends")
				if m := line.FindStringSubmatch(text); m != nil && strings.Contains(text, word) && !ended {
					who[asked][m[1]]++
				}
			}
			before, after := who[false], who[true]
			if want := map[string][2]int{"transfer-leader": {1, 1}, "snapshot": {0, 3}}[id]; len(before) != want[0] || len(after) != want[1] {
				t.Errorf("%q is said by %v after it was asked for, and by %v before, want %d nodes", word, after, before, want)
			}
			if id == "transfer-leader" && maps.Equal(before, after) {
				t.Errorf("%v leads before and after", before)
			}
		})
	}
}
