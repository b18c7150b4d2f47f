package audit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
)

// Names of a node's files, in its data folder.
const (
	logName      = "raft.db"
	identityName = "identity.json"
	snapshotsDir = "snapshots"
)

// Image is what a node's disk holds.
type Image struct {
	Identity  *Identity // nil: there is none yet
	HasLog    bool      // the log file is there and not empty
	Term      uint64
	VoteTerm  uint64 // 0: no vote
	Vote      string // candidate
	First     uint64 // of Entries; 0: none
	Last      uint64
	Entries   []Entry    // by index
	Snapshots []Snapshot // finished ones, best last, as raft ranks them
	Problems  []Problem  // what is wrong with it, whatever was there before
}

// Identity is identity.json.
type Identity struct {
	Cluster string            `json:"cluster"`
	Shard   uint32            `json:"shard"`
	Node    string            `json:"node"`
	Disk    string            `json:"disk"`
	Peers   map[string]string `json:"peers"`
	Formed  bool              `json:"formed"`
}

// Entry is an entry of the log.
type Entry struct {
	Index, Term uint64
	Type        uint8
	Data        []byte
	Extensions  []byte // without the node's checksum
}

// Snapshot is a finished snapshot.
type Snapshot struct {
	ID          string
	Index, Term uint64
	Good        bool   // its content has the checksum that its meta.json says
	State       []byte // content
}

// Problem is what an oracle found.
type Problem struct{ Oracle, Detail string }

// Corrupt is the error of Read: the node must refuse such a folder, or mend it.
type Corrupt struct{ File, Detail string }

func (c *Corrupt) Error() string { return c.File + ": " + c.Detail }

// Read takes a folder apart. files are by path relative to the folder ("raft.db"); Folder cuts one out of a disk. The error
// is a *Corrupt when the log file or the identity can't be read: what was read until then is returned with it. A snapshot
// that is damaged is listed, not Good.
func Read(files map[string][]byte) (Image, error) {
	var image Image
	if err := image.readIdentity(files[identityName]); err != nil {
		return image, err
	}
	image.readSnapshots(files)
	log := files[logName]
	if len(log) == 0 {
		return image, nil
	}
	if err := image.readLog(log); err != nil {
		return image, &Corrupt{logName, err.Error()}
	}
	image.HasLog = true
	image.checkLog()
	return image, nil
}

// Folder cuts the files of one folder out of a disk's, as disk.Durable returns them.
func Folder(files map[string][]byte, folder string) map[string][]byte {
	cut := map[string][]byte{}
	for name, b := range files {
		if rest, ok := bytes.CutPrefix([]byte(name), []byte(folder+"/")); ok {
			cut[string(rest)] = b
		}
	}
	return cut
}

func (m *Image) readIdentity(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var id Identity
	if err := json.Unmarshal(b, &id); err != nil {
		return &Corrupt{identityName, err.Error()}
	}
	m.Identity = &id
	return nil
}

// Entry returns the entry at the index.
func (m *Image) Entry(index uint64) (Entry, bool) {
	i := sort.Search(len(m.Entries), func(i int) bool { return m.Entries[i].Index >= index })
	if i == len(m.Entries) || m.Entries[i].Index != index {
		return Entry{}, false
	}
	return m.Entries[i], true
}

// EntryTerm returns the term of the entry at the index, or of a good snapshot that ends there.
func (m *Image) EntryTerm(index uint64) (uint64, bool) {
	if e, ok := m.Entry(index); ok {
		return e.Term, true
	}
	for _, s := range m.Snapshots {
		if s.Good && s.Index == index {
			return s.Term, true
		}
	}
	return 0, false
}

// SnapshotIndex is where the best good snapshot ends, 0 without one.
func (m *Image) SnapshotIndex() uint64 {
	for _, s := range slices.Backward(m.Snapshots) {
		if s.Good {
			return s.Index
		}
	}
	return 0
}

func (m *Image) problem(oracle, format string, a ...any) {
	m.Problems = append(m.Problems, Problem{oracle, fmt.Sprintf(format, a...)})
}

// checkLog looks for what no order of crashes may leave.
func (m *Image) checkLog() {
	if m.VoteTerm > m.Term {
		m.problem("disk-vote", "a vote of term %d for %s, and the current term is %d", m.VoteTerm, m.Vote, m.Term)
	}
	covered := m.SnapshotIndex()
	if m.First > covered+1 {
		m.problem("disk-hole", "the log begins at entry %d, and the best snapshot ends at %d", m.First, covered)
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Term > m.Term {
			m.problem("disk-term", "entry %d is of term %d, and the current term is %d", e.Index, e.Term, m.Term)
		}
		if i == 0 {
			continue
		}
		before := &m.Entries[i-1]
		switch {
		case e.Term < before.Term && e.Term != 0: // 0: it could not be read, and is a problem already
			m.problem("disk-term", "entry %d of term %d follows entry %d of term %d", e.Index, e.Term, before.Index, before.Term)
		case e.Index == before.Index+1:
		case e.Index <= covered+1: // the snapshot has them: an installed one leaves old entries behind it
		default:
			m.problem("disk-hole", "entries %d to %d are missing", before.Index+1, e.Index-1)
		}
	}
}

func rank(a, b Snapshot) int {
	return cmp.Or(cmp.Compare(a.Term, b.Term), cmp.Compare(a.Index, b.Index), cmp.Compare(a.ID, b.ID))
}
