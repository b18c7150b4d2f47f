package audit

import (
	"bytes"
	"encoding/json"
	"hash/crc64"
	"slices"
	"strings"
)

// readSnapshots lists the finished snapshots. One without a readable meta.json is passed over, as raft does.
func (m *Image) readSnapshots(files map[string][]byte) {
	for name, b := range files {
		parts := strings.Split(name, "/")
		if len(parts) != 3 || parts[0] != snapshotsDir || parts[2] != "meta.json" || strings.HasSuffix(parts[1], ".tmp") {
			continue
		}
		var meta struct {
			ID          string
			Index, Term uint64
			CRC         []byte // CRC-64 (ECMA) of state.bin
		}
		if json.Unmarshal(b, &meta) != nil {
			continue
		}
		state := files[snapshotsDir+"/"+parts[1]+"/state.bin"]
		sum := crc64.New(crc64.MakeTable(crc64.ECMA))
		sum.Write(state)
		m.Snapshots = append(m.Snapshots, Snapshot{ID: parts[1], Index: meta.Index, Term: meta.Term, Good: bytes.Equal(sum.Sum(nil), meta.CRC), State: state})
	}
	slices.SortFunc(m.Snapshots, rank)
	if n := len(m.Snapshots); n > 0 && !m.Snapshots[n-1].Good {
		s := m.Snapshots[n-1]
		m.problem("disk-snapshot", "the newest snapshot, %s up to entry %d (term %d), fails its checksum", s.ID, s.Index, s.Term)
	}
}
