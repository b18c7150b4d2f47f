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
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// howToReplace ends every message about a damaged folder. Nothing here ever writes to one.
const howToReplace = "this replica can't be trusted any more: keep the folder for inspection, and replace the replica by one with a new id and an empty folder (its data is on the shard's other members)"

// checkLogFile looks at the bolt file before bolt maps it into memory: a truncated file would end the process by a signal.
// The file is made, durably, before the shard is formed: one that is gone afterwards took votes and acknowledged entries
// with it, like a wiped disk (guard G11).
func (c *Controller) checkLogFile(path string) error {
	f, err := os.Open(path)
	formed := c.folder.identity().Formed
	if errors.Is(err, fs.ErrNotExist) {
		if formed {
			return fmt.Errorf("%s is gone; bring it back, or else %s", path, howToReplace)
		}
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
	if info.Size() == 0 && !formed {
		return nil // a crash before bolt wrote anything: bolt makes it anew, and nothing was promised yet
	}
	meta, err := readBoltMeta(f, info.Size())
	if err != nil {
		return fmt.Errorf("%s is corrupt (%w); %s", path, err, howToReplace)
	}
	if need := int64(meta.pages) * meta.pageSize; info.Size() < need {
		return fmt.Errorf("%s is truncated: it has %d bytes and needs %d; %s", path, info.Size(), need, howToReplace)
	}
	return checkBoltPages(path, f, info.Size(), formed)
}

// Layout of a bbolt meta page: a 16-byte page header, then magic, version, page size, flags (4 bytes each), root bucket
// (16), free list page, high-water page, transaction (8 each), FNV-1a checksum of all that.
const (
	boltMagic      = 0xED0CDAED
	boltMetaOffset = 16
	boltMetaBytes  = 64
)

// boltMeta is what the newest valid meta page says.
type boltMeta struct {
	pageSize    int64
	root, pages uint64
	transaction uint64
}

// readBoltMeta finds the newest valid meta page: a crash can leave one of the two invalid, half old and half new. One that a single
// wrong bit makes invalid was whole once, and bbolt would go back by a transaction, and with it by entries and votes.
func readBoltMeta(f io.ReaderAt, size int64) (boltMeta, error) {
	var newest, spoiled boltMeta
	for _, pageSize := range []int64{4096, 8192, 16384, 32768, 65536, 1024, 2048} {
		for page := int64(0); page < 2; page++ {
			var b [boltMetaBytes]byte
			if n, err := f.ReadAt(b[:], page*pageSize+boltMetaOffset); n < len(b) {
				if err != nil && !errors.Is(err, io.EOF) {
					return boltMeta{}, err
				}
				continue
			}
			if m, ok := parseBoltMeta(b[:], pageSize); !ok {
				spoiled = newerMeta(spoiled, unspoil(b[:], pageSize))
			} else {
				newest = newerMeta(newest, m)
			}
		}
		switch {
		case newest.pages > 0 && spoiled.transaction > newest.transaction:
			return boltMeta{}, errors.New("the newer of its two meta pages has a wrong bit")
		case newest.pages > 0:
			return newest, nil
		}
	}
	if size < 4*1024 {
		return boltMeta{}, errors.New("it is too short for a log")
	}
	return boltMeta{}, errors.New("neither of its two meta pages is valid")
}

func parseBoltMeta(b []byte, pageSize int64) (m boltMeta, ok bool) {
	sum := fnv.New64a()
	sum.Write(b[:56])
	if binary.LittleEndian.Uint32(b[0:]) != boltMagic || binary.LittleEndian.Uint64(b[56:]) != sum.Sum64() || int64(binary.LittleEndian.Uint32(b[8:])) != pageSize {
		return boltMeta{}, false
	}
	return boltMeta{pageSize: pageSize, root: binary.LittleEndian.Uint64(b[16:]), pages: binary.LittleEndian.Uint64(b[40:]), transaction: binary.LittleEndian.Uint64(b[48:])}, true
}

func newerMeta(a, b boltMeta) boltMeta {
	if a.pages == 0 || b.pages > 0 && b.transaction > a.transaction {
		return b
	}
	return a
}

// unspoil gives the meta page that b would be with one bit changed; the zero value if there is none. b is as it was afterwards.
func unspoil(b []byte, pageSize int64) boltMeta {
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		m, ok := parseBoltMeta(b, pageSize)
		b[bit/8] ^= 1 << (bit % 8)
		if ok {
			return m
		}
	}
	return boltMeta{}
}

// checkBoltPages walks all pages. bolt panics on some kinds of damage; that is an error here like any other. The file of
// a formed shard has both of raft-boltdb's buckets.
func checkBoltPages(path string, f io.ReaderAt, size int64, formed bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s is corrupt (%v); %s", path, p, howToReplace)
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, ReadOnly: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("%s is in use by another process: stop that kvorum, or give another folder with --data", path)
	}
	if err != nil {
		return fmt.Errorf("%s is corrupt (%w); %s", path, err, howToReplace)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	meta, err := readBoltMeta(f, size) // again: now we hold the file's lock
	if err == nil {
		err = checkBoltTree(f, meta)
	}
	if err != nil {
		return fmt.Errorf("%s is corrupt (%w); %s", path, err, howToReplace)
	}
	return db.View(func(tx *bolt.Tx) error {
		var first error
		for e := range tx.Check() { // drained: the checker blocks otherwise
			if first == nil {
				first = fmt.Errorf("%s is corrupt (%w); %s", path, e, howToReplace)
			}
		}
		for _, name := range []string{"logs", "conf"} {
			if first == nil && formed && tx.Bucket([]byte(name)) == nil {
				first = fmt.Errorf("%s is corrupt (its part %q is gone); %s", path, name, howToReplace)
			}
		}
		return first
	})
}

// openSnapshots opens the snapshot store, without what a crash left half done. It writes to the folder: all checks go before.
func (c *Controller) openSnapshots() (*snapshotStore, error) {
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
	inner, err := raft.NewFileSnapshotStoreWithLogger(c.cfg.DataDir, c.cfg.Tuning.SnapshotRetain, newRaftLogger(c.log).Named("snapshot"))
	if err != nil {
		return nil, err
	}
	return &snapshotStore{inner, folder}, nil
}

// checkLog refuses a log that raft would only find damaged while serving: an entry with a wrong checksum, a gap, or a log
// that does not reach down to the newest snapshot; and a term and a vote that are none, or are gone. It only reads.
func (c *Controller) checkLog(path string) error {
	snapshot, term, err := newestSnapshot(filepath.Join(c.cfg.DataDir, snapshotFolder))
	if err != nil {
		return fmt.Errorf("data folder %s: the newest snapshot is corrupt (%w); %s", c.cfg.DataDir, err, howToReplace)
	}
	if !c.folder.identity().Formed {
		return nil // raft has not run yet; the file may be missing or half made
	}
	b, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bolt.Options{Timeout: time.Second, ReadOnly: true}})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	log, err := newLogStore(b, nil, 0)
	if err == nil {
		err = c.checkEntries(log, snapshot)
	}
	if err == nil {
		err = c.checkHardState(b, log, term)
	}
	return errors.Join(err, b.Close())
}

// checkHardState checks the term and the vote; snapshot is the term of the newest snapshot.
func (c *Controller) checkHardState(store raft.StableStore, log *logStore, snapshot uint64) error {
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	var entry raft.Log
	if last > 0 {
		if err := log.GetLog(last, &entry); err != nil {
			return err
		}
	}
	h, err := readHardState(store, c.folder.identity().Version < identityHardState)
	if err == nil {
		err = h.check(max(entry.Term, snapshot))
	}
	if err != nil {
		return fmt.Errorf("data folder %s: %s is damaged (%w); %s", c.cfg.DataDir, logFile, err, howToReplace)
	}
	return nil
}

func (c *Controller) checkEntries(log *logStore, snapshot uint64) error {
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	if first > snapshot+1 {
		return fmt.Errorf("data folder %s: the log begins at entry %d, but the newest snapshot ends at %d; %s", c.cfg.DataDir, first, snapshot, howToReplace)
	}
	var entry raft.Log
	for i := first; i <= last && i > 0; i++ {
		err := log.GetLog(i, &entry)
		if err == raft.ErrLogNotFound && i <= snapshot {
			continue // an installed snapshot leaves old entries behind it and a gap up to it: nobody needs either
		}
		if err != nil {
			return fmt.Errorf("data folder %s: log entry %d is damaged (%w); %s", c.cfg.DataDir, i, err, howToReplace)
		}
		if entry.Index != i {
			return fmt.Errorf("data folder %s: log entry %d says it is entry %d; %s", c.cfg.DataDir, i, entry.Index, howToReplace)
		}
	}
	return nil
}
