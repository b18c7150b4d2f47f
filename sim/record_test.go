//go:build record

package sim

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
	"github.com/kvorum/kvorum/sim/timeline"
	"github.com/kvorum/kvorum/sim/vnet"
)

// TestRecord writes sim/tap/testdata/run.tap.gz anew: go test -tags record -run TestRecord ./sim
// It is needed when what nodes say to each other changes.
func TestRecord(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	built, err := build.All(t.Context(), build.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := machine.NewWazero(t.Context(), machine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(t.Context())
	programs, err := Load(t.Context(), engine, built)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create("tap/testdata/run.tap.gz")
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(file)
	text := bufio.NewWriter(packed)
	second := schedule.Duration(time.Second)
	w := newWorld(&schedule.Schedule{Version: 1, Seed: 1, Shards: 1, Replicas: 3, Duration: 14 * second,
		Crowd: schedule.Crowd{Clients: 3, Keys: 8, Pause: 60 * second / 1000, ValueBytes: 64},
		Flags: []string{"--snapshot-threshold=20", "--snapshot-interval=500ms", "--trailing-logs=4", "--heartbeat-timeout=500ms", "--election-timeout=500ms", "--leader-lease-timeout=300ms"},
		Faults: []schedule.Fault{
			{ID: "isolate", At: 3 * second, For: 7 * second, Nodes: []string{"follower:0"}, Mode: "both"},
			{ID: "kill", At: 11 * second, For: second / 10, Nodes: []string{"leader:0"}},
		}}, Options{Programs: programs})
	r := &recorder{tap: w.network.Tap, w: text, ports: map[uint64]bool{}}
	w.network.Tap = r
	w.watch.lives = func(node string) { r.put('N', 0, false, []byte(node)) }
	w.live()
	w.end()
	for _, err := range []error{text.Flush(), packed.Close(), file.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

type recorder struct {
	tap   vnet.Tap
	w     *bufio.Writer
	ports map[uint64]bool
}

func (r *recorder) put(event byte, number uint64, back bool, b []byte) {
	side := byte(0)
	if back {
		side = 1
	}
	head := binary.AppendUvarint([]byte{event}, number)
	head = binary.AppendUvarint(append(head, side), uint64(len(b)))
	_, _ = r.w.Write(append(head, b...)) // Flush tells
}

func (r *recorder) Opened(number uint64, from, to *vnet.Host, port int, at timeline.Time) {
	r.tap.Opened(number, from, to, port, at)
	if port == peerPort {
		r.ports[number] = true
		r.put('O', number, false, nil)
	}
}

func (r *recorder) Sent(number uint64, back bool, b []byte, at timeline.Time) {
	r.tap.Sent(number, back, b, at)
	if r.ports[number] {
		r.put('S', number, back, b)
	}
}

func (r *recorder) Arrived(number uint64, back bool, b []byte, at timeline.Time) {
	r.tap.Arrived(number, back, b, at)
	if r.ports[number] {
		r.put('A', number, back, binary.AppendUvarint(nil, uint64(len(b))))
	}
}

func (r *recorder) Closed(number uint64, at timeline.Time) {
	r.tap.Closed(number, at)
	if r.ports[number] {
		r.put('C', number, false, nil)
	}
}
