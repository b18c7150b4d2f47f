package tap_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"testing"

	"github.com/kvorum/kvorum/sim/commits"
	"github.com/kvorum/kvorum/sim/tap"
)

// record is one event of a recorded run: a letter (N: a node starts; O, S, A, C: opened, sent, arrived, closed), the
// connection, whether it is the listener's side, and bytes.
type record struct {
	event  byte
	number uint64
	back   bool
	bytes  []byte
}

// recorded is 14 s of three real nodes in a world: snapshots every 20 entries, one node cut off for 7 s so that it needs
// one, then the leader killed.
func recorded(t testing.TB) (list []record) {
	t.Helper()
	f, err := os.Open("testdata/run.tap.gz")
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	r := bufio.NewReader(z)
	for {
		event, err := r.ReadByte()
		if err == io.EOF {
			return list
		}
		must(t, err)
		e := record{event: event}
		e.number, err = binary.ReadUvarint(r)
		must(t, err)
		side, err := r.ReadByte()
		must(t, err)
		e.back = side == 1
		size, err := binary.ReadUvarint(r)
		must(t, err)
		e.bytes = make([]byte, size)
		_, err = io.ReadFull(r, e.bytes)
		must(t, err)
		list = append(list, e)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func watch(list []record, fail func(oracle, detail string)) *tap.Tap {
	w := tap.New(tap.Config{Fail: fail, Voters: map[uint32][]string{0: {"s0n0", "s0n1", "s0n2"}}})
	for _, e := range list {
		switch e.event {
		case 'N':
			w.Started(0, string(e.bytes))
		case 'O':
			w.Opened(e.number, nil, nil, 7080, 0)
		case 'S':
			w.Sent(e.number, e.back, e.bytes, 0)
		case 'A':
			n, _ := binary.Uvarint(e.bytes)
			w.Arrived(e.number, e.back, make([]byte, n), 0)
		case 'C':
			w.Closed(e.number, 0)
		}
	}
	return w
}

// TestRealNodes: real nodes do nothing wrong, all that they say is understood, and the snapshot that one sent another is
// what the entries up to there make.
func TestRealNodes(t *testing.T) {
	w := watch(recorded(t), func(oracle, detail string) { t.Errorf("%s: %s", oracle, detail) })
	for _, probe := range []string{"leader elected", "vote granted", "one entry sent", "pipelined request", "InstallSnapshot sent", "snapshot sent as a whole", "leader restarted", "pre-vote denied to a stale log"} {
		if w.Reach()[probe] == 0 {
			t.Errorf("never seen: %s", probe)
		}
	}
	entries := w.Committed(0)
	if last := w.CommitIndex(0); last < 100 || uint64(len(entries)) != last-1 || entries[0].Index != 2 {
		t.Fatalf("%d entries committed, up to %d", len(entries), last)
	}
	replay, err := commits.Commits(0, entries)
	must(t, err)
	if len(replay.Commits) < 90 {
		t.Errorf("%d commits", len(replay.Commits))
	}
	for _, s := range w.Snapshots(0) {
		if want := replay.DigestAt(s.Index); s.Digest != want {
			t.Errorf("the snapshot up to %d has digest %s, its entries make %s", s.Index, s.Digest, want)
		}
	}
	if len(w.Snapshots(0)) == 0 {
		t.Error("no snapshot was read")
	}
}

// TestRealNodesTamperedWith: one byte of an entry that is sent to one follower.
func TestRealNodesTamperedWith(t *testing.T) {
	list := recorded(t)
	seen := map[string]int{}
	for i := range list {
		e := &list[i]
		if at := bytes.Index(e.bytes, []byte("Data")); e.event == 'S' && !e.back && e.bytes[0] == 0 && at > 0 && e.bytes[at+len("Data")] != 0xc0 { // not nil
			e.bytes[at+len("Data")+8]++
			break
		}
	}
	watch(list, func(oracle, _ string) { seen[oracle]++ })
	if seen["raft-log-matching"] == 0 {
		t.Errorf("nobody noticed: %v", seen)
	}
}

func BenchmarkTap(b *testing.B) {
	list := recorded(b)
	size := 0
	for _, e := range list {
		if e.event == 'S' {
			size += len(e.bytes)
		}
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		watch(list, func(string, string) {})
	}
}
