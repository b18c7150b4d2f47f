package controller

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// hardState is what node 0 has stored.
func (s *testShard) hardState() hardState {
	v := s.nodes[0].stores.votes
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stored
}

// stoppedWithVote is a stopped node that has voted and stored entries, and what it had stored of that.
func stoppedWithVote(t *testing.T) (*testShard, hardState) {
	s := newTestShard(t, 1, nil)
	s.leader()
	s.mustPut("k", "v")
	h := s.hardState()
	s.stop(0)
	return s, h
}

func removeKey(t *testing.T, file string, key []byte) {
	t.Helper()
	db, err := bolt.Open(file, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("conf")).Delete(key) }))
	must(t, db.Close())
}

// TestHardStateRoundTrip: a record is read as what was written, and with any single bit of it wrong, or cut short, as nothing.
func TestHardStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := hardState{term: rapid.Uint64().Draw(t, "term"), voteTerm: rapid.Uint64().Draw(t, "vote term")}
		if name := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "candidate"); len(name) > 0 {
			h.candidate = name
		}
		record := h.encode()
		if read, err := decodeHardState(record); err != nil || !reflect.DeepEqual(read, h) {
			t.Fatalf("%+v was read as %+v, %v", h, read, err)
		}
		for bit := range 8 * len(record) {
			bad := bytes.Clone(record)
			bad[bit/8] ^= 1 << (bit % 8)
			if read, err := decodeHardState(bad); err == nil {
				t.Fatalf("with bit %d wrong, %+v was read as %+v", bit, h, read)
			}
		}
		for n := range record {
			if read, err := decodeHardState(record[:n]); err == nil && !bytes.Equal(record[:n], read.encode()) {
				t.Fatalf("of %d bytes, %d were read as %+v", len(record), n, read)
			}
		}
	})
}

func FuzzDecodeHardState(f *testing.F) {
	f.Add(hardState{}.encode())
	f.Add(hardState{term: 7, voteTerm: 5, candidate: []byte("n1")}.encode())
	f.Fuzz(func(t *testing.T, record []byte) {
		if h, err := decodeHardState(record); err == nil && !bytes.Equal(h.encode(), record) {
			t.Errorf("%x was read as %+v", record, h)
		}
	})
}

// TestFlippedBitOfHardState: a node whose stored term or vote has a wrong bit, in its key or in its value, refuses to start. Before
// the record had a checksum such a node went on with a term or a vote that never was.
func TestFlippedBitOfHardState(t *testing.T) {
	s, h := stoppedWithVote(t)
	file := filepath.Join(s.folders[0], logFile)
	whole, err := os.ReadFile(file)
	must(t, err)
	record := append(bytes.Clone(keyHardState), h.encode()...)
	places := bytes.Count(whole, record)
	if places == 0 {
		t.Fatalf("the record %x is not in the file", record)
	}
	for _, at := range []int{0, len(keyHardState) - 1, len(keyHardState) + 7, len(keyHardState) + 15, len(record) - 1} {
		bad := bytes.Clone(record)
		bad[at] ^= 1
		must(t, os.WriteFile(file, bytes.ReplaceAll(whole, record, bad), 0o600))
		s.mustRefuse(0, "damaged", howToReplace)
	}
	must(t, os.WriteFile(file, whole, 0o600))
	s.start(0)
	s.leader()
}

// TestLostHardState: a log whose term is gone, or is older than its entries, is refused.
func TestLostHardState(t *testing.T) {
	for name, h := range map[string]struct {
		state hardState
		want  string
	}{
		"older than an entry": {hardState{term: 1}, "an entry of term"},
		"older than the vote": {hardState{term: 50, voteTerm: 51, candidate: []byte("n0")}, "a vote of term 51"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := stoppedWithVote(t)
			b, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(s.folders[0], logFile)})
			must(t, err)
			must(t, b.Set(keyHardState, h.state.encode()))
			must(t, b.Close())
			s.mustRefuse(0, "damaged", h.want, howToReplace)
		})
	}
}

// TestHardStateOfOlderPrograms: term and vote that were stored apart are read, and written anew as one record, once; from then on
// nothing else is believed.
func TestHardStateOfOlderPrograms(t *testing.T) {
	s, h := stoppedWithVote(t)
	identity, file := filepath.Join(s.folders[0], identityFile), filepath.Join(s.folders[0], logFile)
	makeOlder(t, identity)
	b, err := raftboltdb.New(raftboltdb.Options{Path: file})
	must(t, err)
	must(t, b.SetUint64(keyTerm, h.term))
	must(t, b.Set(keyVoteUnchecked, append(binary.BigEndian.AppendUint64(nil, h.voteTerm), h.candidate...)))
	must(t, b.Close())
	removeKey(t, file, keyHardState)

	// Where the new version can't be written down, raft does not run: an earlier program would find what raft has left behind by then.
	inTheWay := filepath.Join(identity+".tmp", "in the way")
	must(t, os.MkdirAll(inTheWay, 0o700))
	l := s.listen("127.0.0.1:0")
	if c, err := Open(s.config(0), l); err == nil || !strings.Contains(err.Error(), identityFile) {
		s.nodes[0] = c
		t.Fatalf("opened: %v", err)
	}
	must(t, l.Close())
	must(t, os.RemoveAll(identity+".tmp"))

	s.start(0)
	s.leader()
	s.mustPut("k", "w")
	if got := s.hardState(); got.term <= h.term || got.voteTerm <= h.voteTerm {
		t.Errorf("after terms %+v came %+v", h, got)
	}
	s.stop(0)
	if raw, err := os.ReadFile(identity); err != nil || !strings.Contains(string(raw), `"version": 3`) {
		t.Errorf("identity is %s, %v", raw, err)
	}
	removeKey(t, file, keyHardState)
	s.mustRefuse(0, "the stored term is 0", howToReplace)
}

// makeOlder makes an identity file one of version 2.
func makeOlder(t *testing.T, identity string) {
	t.Helper()
	raw, err := os.ReadFile(identity)
	must(t, err)
	var id folderIdentity
	must(t, json.Unmarshal(raw, &id))
	id.Version = identityChecked
	id.Checksum, err = id.sum()
	must(t, err)
	raw, err = json.Marshal(id)
	must(t, err)
	must(t, os.WriteFile(identity, raw, 0o600))
}

// TestHardStateOfTwoPrograms: until the folder is of the new version, an older program may go on with it in between.
func TestHardStateOfTwoPrograms(t *testing.T) {
	at := func(term, voteTerm uint64, candidate string) hardState {
		return hardState{term: term, voteTerm: voteTerm, candidate: []byte(candidate)}
	}
	for name, c := range map[string]struct{ record, apart, want hardState }{
		"older went on":        {at(7, 7, "A"), at(9, 9, "B"), at(9, 9, "B")},
		"older heard a term":   {at(7, 7, "A"), at(9, 7, "A"), at(9, 7, "A")},
		"newer went on":        {at(9, 9, "B"), at(7, 7, "A"), at(9, 9, "B")},
		"newer heard a term":   {at(9, 7, "A"), at(7, 7, "A"), at(9, 7, "A")},
		"older voted in newer": {at(9, 7, "A"), at(9, 9, "B"), at(9, 9, "B")},
	} {
		b, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(t.TempDir(), logFile)})
		must(t, err)
		must(t, b.Set(keyHardState, c.record.encode()))
		must(t, b.SetUint64(keyTerm, c.apart.term))
		must(t, b.Set(keyVoteUnchecked, append(binary.BigEndian.AppendUint64(nil, c.apart.voteTerm), c.apart.candidate...)))
		for older, want := range map[bool]hardState{true: c.want, false: c.record} {
			if got, err := readHardState(b, older); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, older %t: %+v, %v, want %+v", name, older, got, err, want)
			}
		}
		must(t, b.Close())
	}
}

// TestBootstrapCutShort: a crash, or a full disk, between the first term and the first entry; the node must still come to know the
// shard's members.
func TestBootstrapCutShort(t *testing.T) {
	s := newTestShard(t, 1, nil)
	s.leader()
	s.stop(0)
	file := filepath.Join(s.folders[0], logFile)
	db, err := bolt.Open(file, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		if err := tx.DeleteBucket([]byte("logs")); err != nil {
			return err
		}
		if _, err := tx.CreateBucket([]byte("logs")); err != nil {
			return err
		}
		return tx.Bucket([]byte("conf")).Put(keyHardState, hardState{term: 1}.encode())
	}))
	must(t, db.Close())
	s.start(0)
	s.leader()
	s.mustPut("k", "v")
}
