package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// checksumBytes trail the Extensions of every stored log entry: a CRC-32C over index, term, type, data and extensions.
const checksumBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errChecksum means that the disk gave back something else than was written.
var errChecksum = errors.New("log entry fails its checksum")

// logStore is raft's log on disk: raft-boltdb, with a checksum per entry, every write timed and watched by the disk
// watchdog, and the newest entries kept in memory for replication (bounded in bytes, unlike raft.LogCache).
type logStore struct {
	raft.LogStore // raft-boltdb
	disk          *diskWatch
	cache         *logCache
	observe       func(took time.Duration, entries, bytes int)
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
	err := s.disk.watch(func() error { return s.LogStore.StoreLogs(sealed) })
	s.observe(time.Since(start), len(logs), bytes)
	if err != nil {
		s.cache.clear() // what is on disk is uncertain now; never serve what may not be stored (hashicorp/raft#429)
		return err
	}
	s.cache.add(logs)
	return nil
}

// StoreLog implements raft.LogStore.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// GetLog implements raft.LogStore. Not found is exactly raft.ErrLogNotFound: raft compares with ==.
func (s *logStore) GetLog(index uint64, out *raft.Log) error {
	if s.cache.get(index, out) {
		return nil
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
	last, err := s.LogStore.LastIndex()
	if err != nil {
		return err
	}
	if high < last {
		high--
	}
	if high < low {
		return nil
	}
	return s.disk.watch(func() error { return s.LogStore.DeleteRange(low, high) })
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
