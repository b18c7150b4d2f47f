package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// checksumBytes trail the Extensions of every stored log entry: a CRC-32C over index, term, type, data and extensions.
const checksumBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errChecksum means that the disk gave back something else than was written.
var errChecksum = errors.New("log entry fails its checksum")

// errGone is what raft meets that would store entries behind others that it dropped and still believes in (see halfTruncated).
var errGone = errors.New("the entries before these were dropped")

// logStore is raft's log on disk: raft-boltdb, with a checksum per entry, every write timed and watched by the disk
// watchdog, and the newest entries kept in memory for replication (bounded in bytes, unlike raft.LogCache).
//
// A write that failed may have been carried out all the same: bbolt's last one is the page that makes the rest valid, and the disk
// may have taken enough of it. Then entries stand behind those that raft knows of. They are no part of the log (strays), nor is it
// known that they would survive a power cut: no method tells of them, and the next write takes them away.
type logStore struct {
	raft.LogStore // raft-boltdb
	disk          *diskWatch
	cache         *logCache
	observe       func(took time.Duration, entries, bytes int)
	snapshotted   func(index uint64) bool // a snapshot holds all entries up to the index

	writing sync.Mutex    // compaction goes on beside raft's main loop
	doubt   bool          // under writing: since a write failed or entries were dropped nothing was stored
	end     atomic.Uint64 // the last entry that was stored, as raft was told; in doubt there may be fewer
}

func newLogStore(b raft.LogStore, disk *diskWatch, cacheBytes uint64) (*logStore, error) {
	last, err := b.LastIndex()
	if err != nil {
		return nil, err
	}
	s := &logStore{LogStore: b, disk: disk, cache: newLogCache(cacheBytes), observe: func(time.Duration, int, int) {}, snapshotted: func(uint64) bool { return false }}
	s.end.Store(last)
	return s, nil
}

// StoreLogs implements raft.LogStore: durable and atomic on return.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	if err := s.disk.refusal(); err != nil {
		return err
	}
	sealed := make([]*raft.Log, len(logs))
	bytes := 0
	for i, l := range logs {
		sealed[i] = seal(l)
		bytes += len(l.Data)
	}
	start := time.Now()
	isGone := false
	err := s.disk.watch(func() error { // from here: waiting for another write is waiting for the disk
		s.writing.Lock()
		defer s.writing.Unlock()
		err := s.append(sealed)
		if isGone = err == errGone; isGone { // no failure of the disk's
			return nil
		}
		return err
	})
	s.observe(time.Since(start), len(logs), bytes)
	if isGone {
		return errGone
	}
	if err != nil {
		s.cache.clear() // what is on disk is uncertain now; never serve what may not be stored (hashicorp/raft#429)
		return err
	}
	s.cache.add(logs)
	return nil
}

func (s *logStore) append(sealed []*raft.Log) error {
	if err := s.disk.refusal(); err != nil { // the write that we waited for may have failed
		return err
	}
	if s.doubt {
		if err := s.makeRoom(sealed[0].Index); err != nil {
			return err
		}
	}
	err := s.LogStore.StoreLogs(sealed)
	if s.doubt = err != nil; err == nil {
		s.end.Store(sealed[len(sealed)-1].Index)
	}
	return err
}

// makeRoom takes strays away before an entry is stored at the index. They were never acknowledged; if some stayed behind a shorter
// write, a restarted node would take them for the log's end and vote by them.
func (s *logStore) makeRoom(index uint64) error {
	last, err := s.settle()
	switch end := s.end.Load(); {
	case err != nil:
		return err
	case end+1 < index && !s.snapshotted(index-1):
		return errGone
	case last > end:
		return s.LogStore.DeleteRange(end+1, last)
	}
	return nil
}

// settle looks where the log file ends, and so where the log does if a truncation failed and was carried out.
func (s *logStore) settle() (last uint64, err error) {
	last, err = s.LogStore.LastIndex()
	if err == nil {
		s.end.Store(min(s.end.Load(), last))
	}
	return last, err
}

// LastIndex implements raft.LogStore.
func (s *logStore) LastIndex() (uint64, error) {
	last, err := s.LogStore.LastIndex()
	return min(last, s.end.Load()), err
}

// StoreLog implements raft.LogStore.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// GetLog implements raft.LogStore. Not found is exactly raft.ErrLogNotFound: raft compares with ==.
func (s *logStore) GetLog(index uint64, out *raft.Log) error {
	if s.cache.get(index, out) {
		return nil
	}
	if index > s.end.Load() {
		return raft.ErrLogNotFound
	}
	if err := s.LogStore.GetLog(index, out); err != nil {
		return err
	}
	return unseal(out)
}

// DeleteRange implements raft.LogStore. When the log's beginning goes, its last entry stays: after a snapshot was installed
// that is the snapshot's own, without which raft refuses what follows, and repair could not tell whether the rest belongs to
// it (hashicorp/raft#697). Raft asks for the first index, so one entry more does not disturb it.
func (s *logStore) DeleteRange(low, high uint64) error {
	s.cache.clear()
	return s.disk.watch(func() error {
		s.writing.Lock()
		defer s.writing.Unlock()
		return s.remove(low, high)
	})
}

func (s *logStore) remove(low, high uint64) error {
	last, err := s.settle()
	if err != nil {
		return err
	}
	if high < s.end.Load() {
		high--
	} else { // to the end of the log, and so of the file
		high, s.doubt = max(high, last), true
	}
	if high < low {
		return nil
	}
	if err := s.LogStore.DeleteRange(low, high); err != nil {
		return err
	}
	_, err = s.settle()
	return err
}

// seal returns a copy of l with its checksum.
func seal(l *raft.Log) *raft.Log {
	c := *l
	c.Extensions = binary.BigEndian.AppendUint32(append(make([]byte, 0, len(l.Extensions)+checksumBytes), l.Extensions...), checksum(l))
	return &c
}

// unseal checks and removes the checksum.
func unseal(l *raft.Log) error {
	n := len(l.Extensions) - checksumBytes
	if n < 0 {
		return fmt.Errorf("entry %d: %w", l.Index, errChecksum)
	}
	want := binary.BigEndian.Uint32(l.Extensions[n:])
	if l.Extensions = l.Extensions[:n]; n == 0 {
		l.Extensions = nil
	}
	if checksum(l) != want {
		return fmt.Errorf("entry %d: %w", l.Index, errChecksum)
	}
	return nil
}

func checksum(l *raft.Log) uint32 {
	var head [17]byte
	binary.BigEndian.PutUint64(head[0:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	sum := crc32.Update(0, castagnoli, head[:])
	sum = crc32.Update(sum, castagnoli, l.Data)
	return crc32.Update(sum, castagnoli, l.Extensions)
}
