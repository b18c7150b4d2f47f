package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/hashicorp/go-msgpack/v2/codec"
	bolt "go.etcd.io/bbolt"
)

// Buckets and keys of raft-boltdb and of the node.
const (
	bucketLogs = "logs"
	bucketConf = "conf"
	// 8 bytes of term, 8 of the vote's term, CRC-32C of all the rest, candidate.
	keyHardState = "kvorum/hard-state"
	// Where raft itself keeps them, the vote in two records that a crash can tear apart. A node without guard G3 would.
	keyTerm          = "CurrentTerm"
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

// readLog opens the file with bbolt.
func (m *Image) readLog(b []byte) (err error) {
	if err := checkPages(b); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bbolt panics: %v", p)
		}
	}()
	f, err := os.CreateTemp("", "kvorum-audit-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(f.Name(), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(m.readBuckets)
}

func (m *Image) readBuckets(tx *bolt.Tx) error {
	var first error
	for e := range tx.Check() { // drained: the checker blocks otherwise
		if first == nil {
			first = e
		}
	}
	if first != nil {
		return fmt.Errorf("bbolt's check: %w", first)
	}
	if conf := tx.Bucket([]byte(bucketConf)); conf != nil {
		m.readConf(conf.Get)
	}
	logs := tx.Bucket([]byte(bucketLogs))
	if logs == nil {
		return nil
	}
	err := logs.ForEach(m.readEntry)
	if n := len(m.Entries); n > 0 {
		m.First, m.Last = m.Entries[0].Index, m.Entries[n-1].Index
	}
	return err
}

func (m *Image) readConf(get func([]byte) []byte) {
	if v := get([]byte(keyHardState)); v != nil {
		m.readHardState(v)
		return
	}
	if v := get([]byte(keyTerm)); len(v) == 8 {
		m.Term = binary.BigEndian.Uint64(v)
	}
	if v := get([]byte(keyVoteTerm)); len(v) == 8 {
		m.VoteTerm, m.Vote = binary.BigEndian.Uint64(v), string(get([]byte(keyVoteCandidate)))
	}
}

func (m *Image) readHardState(v []byte) {
	if len(v) < 20 {
		m.problem("disk-checksum", "term and vote are %d bytes", len(v))
		return
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	if crc32.Update(crc32.Checksum(v[:16], table), table, v[20:]) != binary.BigEndian.Uint32(v[16:]) {
		m.problem("disk-checksum", "term and vote fail their checksum")
	}
	m.Term, m.VoteTerm, m.Vote = binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]), string(v[20:])
}

// readEntry reads one key of the log. An entry that can't be read is a problem and stands in the image without content.
func (m *Image) readEntry(key, value []byte) error {
	if len(key) != 8 {
		return fmt.Errorf("a log key of %d bytes", len(key))
	}
	index := binary.BigEndian.Uint64(key)
	stored := struct {
		Index, Term      uint64
		Type             uint8
		Data, Extensions []byte
		AppendedAt       []byte
	}{}
	var h codec.MsgpackHandle
	h.TimeNotBuiltin = true
	if err := codec.NewDecoderBytes(value, &h).Decode(&stored); err != nil {
		m.problem("disk-checksum", "entry %d cannot be decoded: %v", index, err)
		m.Entries = append(m.Entries, Entry{Index: index})
		return nil
	}
	e := Entry{Index: index, Term: stored.Term, Type: stored.Type, Data: stored.Data}
	if stored.Index != index {
		m.problem("disk-checksum", "under index %d stands entry %d", index, stored.Index)
	}
	n := len(stored.Extensions) - 4
	if n < 0 || checksum(&e, stored.Extensions[:n]) != binary.BigEndian.Uint32(stored.Extensions[n:]) {
		m.problem("disk-checksum", "entry %d (term %d) fails its checksum", index, e.Term)
	} else if n > 0 {
		e.Extensions = stored.Extensions[:n]
	}
	m.Entries = append(m.Entries, e)
	return nil
}

// checksum is the node's: CRC-32C over index, term, type, data and extensions.
func checksum(e *Entry, extensions []byte) uint32 {
	head := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, e.Index), e.Term)
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, append(head, e.Type))
	sum = crc32.Update(sum, table, e.Data)
	return crc32.Update(sum, table, extensions)
}
