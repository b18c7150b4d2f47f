package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// howToReplace ends every message about a damaged folder. Nothing here ever writes to one.
const howToReplace = "this replica can't be trusted any more: keep the folder for inspection, and replace the replica by one with a new id and an empty folder (its data is on the shard's other members)"

// checkLogFile looks at the bolt file before bolt maps it into memory: a truncated file would end the process by a signal.
func checkLogFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w; check its owner and mode", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return nil // a crash before bolt wrote anything: bolt makes it anew, and nothing was promised yet
	}
	need, err := boltHighWater(f, info.Size())
	if err != nil {
		return fmt.Errorf("%s is corrupt (%w); %s", path, err, howToReplace)
	}
	if info.Size() < need {
		return fmt.Errorf("%s is truncated: it has %d bytes and needs %d; %s", path, info.Size(), need, howToReplace)
	}
	return checkBoltPages(path)
}

// Layout of a bbolt meta page: a 16-byte page header, then magic, version, page size, flags (4 bytes each), root bucket
// (16), free list page, high-water page, transaction (8 each), FNV-1a checksum of all that.
const (
	boltMagic      = 0xED0CDAED
	boltMetaOffset = 16
	boltMetaBytes  = 64
)

// boltHighWater returns how long the file must be by its newest valid meta page.
func boltHighWater(f io.ReaderAt, size int64) (int64, error) {
	var need, transaction int64 = 0, -1
	for _, pageSize := range []int64{4096, 8192, 16384, 32768, 65536, 1024, 2048} {
		for page := int64(0); page < 2; page++ {
			var b [boltMetaBytes]byte
			if n, err := f.ReadAt(b[:], page*pageSize+boltMetaOffset); n < len(b) {
				if err != nil && !errors.Is(err, io.EOF) {
					return 0, err
				}
				continue
			}
			sum := fnv.New64a()
			sum.Write(b[:56])
			if binary.LittleEndian.Uint32(b[0:]) != boltMagic || binary.LittleEndian.Uint64(b[56:]) != sum.Sum64() || int64(binary.LittleEndian.Uint32(b[8:])) != pageSize {
				continue
			}
			if tx := int64(binary.LittleEndian.Uint64(b[48:])); tx > transaction {
				transaction, need = tx, int64(binary.LittleEndian.Uint64(b[40:]))*pageSize
			}
		}
		if transaction >= 0 {
			return need, nil
		}
	}
	if size < 4*1024 {
		return 0, errors.New("it is too short for a log")
	}
	return 0, errors.New("neither of its two meta pages is valid")
}

// checkBoltPages walks all pages. bolt panics on some kinds of damage; that is an error here like any other.
func checkBoltPages(path string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s is corrupt (%v); %s", path, p, howToReplace)
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("%s is in use by another process: stop that kvorum, or give another folder with --data", path)
	}
	if err != nil {
		return fmt.Errorf("%s is corrupt (%w); %s", path, err, howToReplace)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bolt.Tx) error {
		var first error
		for e := range tx.Check() { // drained: the checker blocks otherwise
			if first == nil {
				first = fmt.Errorf("%s is corrupt (%w); %s", path, e, howToReplace)
			}
		}
		return first
	})
}

// openSnapshots opens the snapshot store, without what a crash left half done.
func (c *Controller) openSnapshots() (*raft.FileSnapshotStore, error) {
	folder := filepath.Join(c.cfg.DataDir, snapshotFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s cannot be read: %w", folder, err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return raft.NewFileSnapshotStoreWithLogger(c.cfg.DataDir, c.cfg.Tuning.SnapshotRetain, newRaftLogger(c.log).Named("snapshot"))
}

// checkLog refuses a log that raft would only find damaged while serving: an entry with a wrong checksum, a gap, or a log
// that does not reach down to the newest snapshot.
func (c *Controller) checkLog(s *stores) error {
	snapshot, err := newestSnapshot(s.snapshots)
	if err != nil {
		return fmt.Errorf("data folder %s: the newest snapshot is corrupt (%w); %s", c.cfg.DataDir, err, howToReplace)
	}
	first, err := s.log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.log.LastIndex()
	if err != nil {
		return err
	}
	if first > snapshot+1 {
		return fmt.Errorf("data folder %s: the log begins at entry %d, but the newest snapshot ends at %d; %s", c.cfg.DataDir, first, snapshot, howToReplace)
	}
	var entry raft.Log
	for i := first; i <= last && i > 0; i++ {
		if err := s.log.GetLog(i, &entry); err != nil {
			return fmt.Errorf("data folder %s: log entry %d is damaged (%w); %s", c.cfg.DataDir, i, err, howToReplace)
		}
		if entry.Index != i {
			return fmt.Errorf("data folder %s: log entry %d says it is entry %d; %s", c.cfg.DataDir, i, entry.Index, howToReplace)
		}
	}
	return nil
}

// newestSnapshot reads the newest snapshot through its checksum and returns its index, 0 if there is none.
func newestSnapshot(s *raft.FileSnapshotStore) (uint64, error) {
	list, err := s.List()
	if err != nil || len(list) == 0 {
		return 0, err
	}
	_, content, err := s.Open(list[0].ID) // checks the CRC over the whole file
	if err != nil {
		return 0, err
	}
	return list[0].Index, content.Close()
}
