package controller

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft"
)

// storedSnapshot is the meta.json of a snapshot.
type storedSnapshot struct {
	raft.SnapshotMeta
	CRC []byte // CRC-64 (ECMA) of the whole state.bin
}

// newestSnapshot reads the newest snapshot in folder through its checksum and returns its index, 0 if there is none. It
// takes the same one as raft's own store; that store can't be asked, because it writes to the folder when it is opened, and
// a folder that is refused must stay as it is.
func newestSnapshot(folder string) (index, term uint64, err error) {
	list, err := listSnapshots(folder)
	if err != nil || len(list) == 0 {
		return 0, 0, err
	}
	newest := slices.MaxFunc(list, func(a, b storedSnapshot) int {
		return cmp.Or(cmp.Compare(a.Term, b.Term), cmp.Compare(a.Index, b.Index), cmp.Compare(a.ID, b.ID))
	})
	f, err := os.Open(filepath.Join(folder, newest.ID, "state.bin"))
	if err != nil {
		return 0, 0, err
	}
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	_, err = io.Copy(sum, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, 0, err
	}
	if !bytes.Equal(sum.Sum(nil), newest.CRC) {
		return 0, 0, fmt.Errorf("snapshot %s: its checksum is wrong", newest.ID)
	}
	if err := checkSize(filepath.Join(folder, newest.ID), &newest.SnapshotMeta); err != nil {
		return 0, 0, fmt.Errorf("snapshot %s: %w", newest.ID, err)
	}
	return newest.Index, newest.Term, nil
}

// listSnapshots gives the finished snapshots. One whose meta.json is damaged is passed over, as raft does: without it the
// log shows a gap. One that raft would take for another is an error.
func listSnapshots(folder string) ([]storedSnapshot, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []storedSnapshot
	for _, e := range entries {
		if !e.IsDir() || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(folder, e.Name(), "meta.json"))
		if err != nil {
			continue
		}
		var s storedSnapshot
		if json.NewDecoder(bytes.NewReader(raw)).Decode(&s) != nil || s.Version < raft.SnapshotVersionMin || s.Version > raft.SnapshotVersionMax {
			continue
		}
		err = s.contradicts(e.Name(), raw)
		if err == nil {
			err = checkMetaSum(filepath.Join(folder, e.Name()), &s.SnapshotMeta)
		}
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: its meta.json is damaged: %w", e.Name(), err)
		}
		list = append(list, s)
	}
	return list, nil
}

// contradicts finds damage that still decodes, also in a snapshot of a kvorum that wrote no checksum. raft believes what
// meta.json says: with one bit of the name "Term" flipped a snapshot is of term 0, the whole log seems to contradict it, and
// would be dropped with all that was acknowledged. The name of the folder, made by raft, is term-index-milliseconds.
func (s *storedSnapshot) contradicts(folder string, raw []byte) error {
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(new(storedSnapshot)); err != nil {
		return err
	}
	return misnamed(folder, &s.SnapshotMeta)
}

// misnamed compares a description with the name of the folder that it lies in.
func misnamed(folder string, m *raft.SnapshotMeta) error {
	if m.ID != folder || !strings.HasPrefix(folder, fmt.Sprintf("%d-%d-", m.Term, m.Index)) {
		return fmt.Errorf("it says snapshot %s, term %d, index %d", m.ID, m.Term, m.Index)
	}
	return nil
}

// metaSumFile lies beside meta.json, which has no checksum of its own.
const metaSumFile = "meta.sum"

// metaSum is the checksum of what a node takes from a snapshot's description, the state's size and checksum left out: those are
// compared with the state, and are not known when the snapshot is begun. SHA-256, in hexadecimal.
func metaSum(m *raft.SnapshotMeta) []byte {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %q %d %d %d\n", m.Version, m.ID, m.Index, m.Term, m.ConfigurationIndex)
	for _, server := range m.Configuration.Servers {
		fmt.Fprintf(sum, "%d %q %q\n", server.Suffrage, server.ID, server.Address)
	}
	return fmt.Appendf(nil, "%x\n", sum.Sum(nil))
}

// checkMetaSum compares a description with the checksum beside it. A snapshot of a kvorum that wrote none has none.
func checkMetaSum(folder string, m *raft.SnapshotMeta) error {
	stored, err := os.ReadFile(filepath.Join(folder, metaSumFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, metaSum(m)) {
		return fmt.Errorf("it does not match the checksum in %s", metaSumFile)
	}
	return nil
}

// checkSize compares a description's size with its state's: so many bytes a leader would promise a follower.
func checkSize(folder string, m *raft.SnapshotMeta) error {
	state, err := os.Stat(filepath.Join(folder, "state.bin"))
	if err != nil {
		return err
	}
	if state.Size() != m.Size {
		return fmt.Errorf("its meta.json says %d bytes, and its state has %d", m.Size, state.Size())
	}
	return nil
}
