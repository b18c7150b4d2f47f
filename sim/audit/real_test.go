package audit

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"testing"
)

// TestRealNode reads what a node in a world left on its platter.
func TestRealNode(t *testing.T) {
	f, err := os.Open("testdata/node.json.gz")
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	var files map[string][]byte
	must(t, json.NewDecoder(z).Decode(&files))
	m, err := Read(files)
	must(t, err)
	if len(m.Problems) > 0 || m.Identity.Node != "s0n0" || !m.Identity.Formed || m.Term < 2 || m.Vote == "" || m.SnapshotIndex() < 20 || m.Last <= m.First || m.Last < m.SnapshotIndex() {
		t.Errorf("node %+v, term %d, vote for %q, log %d to %d, snapshot %d, %v", m.Identity, m.Term, m.Vote, m.First, m.Last, m.SnapshotIndex(), m.Problems)
	}
	if again := Check(m, m); len(again) > 0 {
		t.Errorf("against itself: %v", again)
	}
}

func BenchmarkRead(b *testing.B) {
	f := good()
	files := f.files(b)
	for b.Loop() {
		if _, err := Read(files); err != nil {
			b.Fatal(err)
		}
	}
}
