package controller

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

func newTestLogStore(t *testing.T, inner raft.LogStore, cacheBytes uint64) *logStore {
	t.Helper()
	disk := newDiskWatch(t.TempDir(), fastTuning(), make(chan struct{}), func(error) {})
	s, err := newLogStore(inner, disk, cacheBytes)
	must(t, err)
	return s
}

// TestLogCacheIsAWindow compares the cache with a map of what was added: what it gives is right, it holds the newest
// entries without a gap, and it keeps its bound in bytes.
func TestLogCacheIsAWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := uint64(rapid.IntRange(0, 2000).Draw(t, "limit"))
		c := newLogCache(limit)
		model := map[uint64]*raft.Log{}
		last := uint64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				c.clear()
				clear(model)
			case 1: // as after a truncation: from an earlier index on
				if back := uint64(rapid.IntRange(0, int(last)).Draw(t, "back to")); back < last {
					last = back
					clear(model)
				}
				fallthrough
			default:
				var logs []*raft.Log
				for range rapid.IntRange(1, 8).Draw(t, "entries") {
					last++
					l := &raft.Log{Index: last, Data: make([]byte, rapid.IntRange(0, 300).Draw(t, "size"))}
					logs = append(logs, l)
					model[last] = l
				}
				c.add(logs)
			}
			var held uint64
			gap := false
			for i := last; i > 0; i-- {
				var got raft.Log
				if !c.get(i, &got) {
					gap = true
					continue
				}
				if want := model[i]; want == nil || got.Index != i || len(got.Data) != len(want.Data) {
					t.Fatalf("entry %d: got %d with %d bytes, never added so", i, got.Index, len(got.Data))
				}
				if gap {
					t.Fatalf("entry %d is cached, a later one is not", i)
				}
				held += cost(&got)
			}
			if c.size() != held || held > limit {
				t.Fatalf("says %d bytes, holds %d, limit %d", c.size(), held, limit)
			}
		}
	})
}

// failingLog is a log whose disk fails after n stores, with the entries half there.
type failingLog struct {
	*raft.InmemStore
	err error
}

func (f *failingLog) StoreLogs(logs []*raft.Log) error {
	if f.err != nil {
		return f.err
	}
	return f.InmemStore.StoreLogs(logs)
}

// TestCacheServesOnlyWhatIsStored: after a failed write nothing of it is served from memory (hashicorp/raft#429).
func TestCacheServesOnlyWhatIsStored(t *testing.T) {
	inner := &failingLog{InmemStore: raft.NewInmemStore()}
	s := newTestLogStore(t, inner, 1<<20)
	must(t, s.StoreLog(&raft.Log{Index: 1, Term: 1, Data: []byte("stored")}))
	inner.err = errors.New("no")
	if err := s.StoreLog(&raft.Log{Index: 2, Term: 1, Data: []byte("not stored")}); err == nil {
		t.Fatal("no error")
	}
	var l raft.Log
	if err := s.GetLog(2, &l); err != raft.ErrLogNotFound {
		t.Fatalf("entry 2: %q, %v", l.Data, err)
	}
	must(t, s.GetLog(1, &l))
	if string(l.Data) != "stored" || l.Extensions != nil {
		t.Fatalf("entry 1: %+v", l)
	}
}

// TestSealRoundTrip: the checksum covers everything that matters, and unseal gives back what was sealed.
func TestSealRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &raft.Log{Index: rapid.Uint64().Draw(t, "index"), Term: rapid.Uint64().Draw(t, "term"), Type: raft.LogType(rapid.IntRange(0, 5).Draw(t, "type")),
			Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"), Extensions: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "extensions")}
		s := seal(l)
		back := *s
		if err := unseal(&back); err != nil || !bytes.Equal(back.Extensions, l.Extensions) {
			t.Fatalf("%v %v", err, back.Extensions)
		}
		broken := *s
		broken.Data, broken.Extensions = bytes.Clone(s.Data), bytes.Clone(s.Extensions)
		switch where := rapid.IntRange(0, 4).Draw(t, "where"); {
		case where == 0:
			broken.Index ^= 1
		case where == 1:
			broken.Term ^= 1 << 40
		case where == 2:
			broken.Type ^= 1
		case where == 3 && len(broken.Data) > 0:
			broken.Data[rapid.IntRange(0, len(broken.Data)-1).Draw(t, "at")] ^= 4
		default:
			broken.Extensions[rapid.IntRange(0, len(broken.Extensions)-1).Draw(t, "at")] ^= 4
		}
		if err := unseal(&broken); !errors.Is(err, errChecksum) {
			t.Fatalf("damage not seen: %v", err)
		}
	})
}

// TestDeleteRangeKeepsTheBoundary: a prefix loses all but its last entry, a suffix and a whole log lose everything.
func TestDeleteRangeKeepsTheBoundary(t *testing.T) {
	for _, row := range []struct{ low, high, first, last uint64 }{
		{1, 5, 5, 10}, {1, 1, 1, 10}, {6, 10, 1, 5}, {1, 10, 0, 0}, {10, 10, 1, 9},
	} {
		s := newTestLogStore(t, raft.NewInmemStore(), 1<<20)
		for i := range uint64(10) {
			must(t, s.StoreLog(&raft.Log{Index: i + 1, Term: 1}))
		}
		must(t, s.DeleteRange(row.low, row.high))
		first, err := s.FirstIndex()
		must(t, err)
		last, err := s.LastIndex()
		must(t, err)
		if row.first > 0 && (first != row.first || last != row.last) || row.first == 0 && last >= first && last > 0 {
			t.Errorf("after DeleteRange(%d, %d): %d to %d, want %d to %d", row.low, row.high, first, last, row.first, row.last)
		}
		var l raft.Log
		if row.high == 10 && s.GetLog(10, &l) != raft.ErrLogNotFound {
			t.Errorf("after DeleteRange(%d, %d): entry 10 is still served", row.low, row.high)
		}
	}
}

// TestDamagedEntryIsFoundAtOpen: one flipped bit in one entry, or a missing entry, keeps the node from starting.
func TestDamagedEntryIsFoundAtOpen(t *testing.T) {
	s := newTestShard(t, 1, nil)
	s.leader()
	for n := range 20 {
		s.mustPut(fmt.Sprint("k", n), "value to be damaged")
	}
	s.stop(0)
	path := filepath.Join(s.folders[0], logFile)
	damage := func(f func(logs *bolt.Bucket, key []byte) error) {
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
		must(t, err)
		must(t, db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("logs"))
			key, _ := b.Cursor().Seek([]byte{0, 0, 0, 0, 0, 0, 0, 10})
			return f(b, bytes.Clone(key))
		}))
		must(t, db.Close())
	}
	var whole []byte
	damage(func(b *bolt.Bucket, key []byte) error {
		whole = bytes.Clone(b.Get(key))
		broken := bytes.Clone(whole)
		at := bytes.Index(broken, []byte("damaged"))
		if at < 0 {
			t.Fatal("the value is not in the entry")
		}
		broken[at] ^= 1
		return b.Put(key, broken)
	})
	s.mustRefuse(0, "log entry 10 is damaged", "checksum", "keep the folder")
	var entry raft.Log
	b, err := raftboltdb.New(raftboltdb.Options{Path: path})
	must(t, err)
	lazy := newTestLogStore(t, b, 0)
	if err := lazy.GetLog(10, &entry); !errors.Is(err, errChecksum) {
		t.Fatalf("read of the damaged entry: %v", err)
	}
	must(t, b.Close())
	damage(func(b *bolt.Bucket, key []byte) error { return b.Put(key, whole) })
	damage(func(b *bolt.Bucket, key []byte) error { return b.Delete(key) })
	s.mustRefuse(0, "log entry 10 is damaged", "not found")
	damage(func(b *bolt.Bucket, key []byte) error { return b.Put([]byte{0, 0, 0, 0, 0, 0, 0, 10}, whole) })
	s.start(0)
	eventually(t, "the mended node to be ready", func() bool { return len(s.nodes[0].NotReady()) == 0 })
}

// mustRefuse opens stopped node i and wants an error that says all of parts, and a folder with the same content as before.
func (s *testShard) mustRefuse(i int, parts ...string) {
	s.t.Helper()
	before := hashFolder(s.t, s.folders[i])
	l := s.listen("127.0.0.1:0")
	defer l.Close()
	c, err := Open(s.config(i), l)
	if err == nil {
		s.nodes[i] = c
		s.t.Fatalf("opened, want an error with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			s.t.Errorf("%q does not say %q", err, part)
		}
	}
	if after := hashFolder(s.t, s.folders[i]); after != before {
		s.t.Errorf("the refused folder was changed:\n%s\nwas\n%s", after, before)
	}
}
