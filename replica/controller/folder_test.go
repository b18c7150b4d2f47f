package controller

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"github.com/kvorum/kvorum/store"
)

// hashFolder is a text with a line for each file: its name and what is in it.
func hashFolder(t testing.TB, folder string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&out, "%s %d %x\n", path, len(content), sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// newStoppedNode is a one-node shard with some data, stopped.
func newStoppedNode(t *testing.T) *testShard {
	s := newTestShard(t, 1, nil)
	s.leader()
	for n := range 30 {
		s.mustPut(fmt.Sprint("k", n), strings.Repeat("v", 1000))
	}
	s.stop(0)
	return s
}

// TestFolderOfAnother: flags that disagree with the folder are refused by name, and nothing is written.
func TestFolderOfAnother(t *testing.T) {
	s := newStoppedNode(t)
	for flag, change := range map[string]func(cfg *Config){
		"cluster":       func(cfg *Config) { cfg.Cluster = "other" },
		"shard":         func(cfg *Config) { cfg.Shard, cfg.ShardCount = 1, 2 },
		"shard-count":   func(cfg *Config) { cfg.ShardCount = 3 },
		"slot-function": func(cfg *Config) { cfg.SlotFunction = 2 },
		"node": func(cfg *Config) {
			cfg.Node = "other"
			cfg.Members = testMembers(1)
			cfg.Members[0].ID = "other"
		},
	} {
		s.change = func(_ int, cfg *Config) { change(cfg) }
		s.mustRefuse(0, "--"+flag+"=", "start it with the flags of the folder")
	}
	s.change = nil
	s.start(0)
	s.leader()
}

// TestFolderOfStrangers: files that are not ours, and a damaged identity, are left alone.
func TestFolderOfStrangers(t *testing.T) {
	s := newUnstartedShard(t, 1)
	must(t, os.MkdirAll(s.folders[0], 0o700))
	must(t, os.WriteFile(filepath.Join(s.folders[0], "thesis.tex"), []byte("years of work"), 0o600))
	s.mustRefuse(0, "thesis.tex", "not a kvorum folder", "--data")

	for name, content := range map[string]string{"cut": `{"version": 1, "clus`, "empty": "", "later": `{"version": 4, "disk": "d"}`, "unchecked": `{"version": 2, "disk": "d"}`, "no disk": `{"version": 1}`} {
		s := newUnstartedShard(t, 1)
		must(t, os.MkdirAll(s.folders[0], 0o700))
		must(t, os.WriteFile(filepath.Join(s.folders[0], identityFile), []byte(content), 0o600))
		t.Run(name, func(t *testing.T) { s.mustRefuse(0, identityFile, "corrupt or of another version") })
	}
}

// TestLogWithoutIdentity: a folder that lost its identity is not adopted.
func TestLogWithoutIdentity(t *testing.T) {
	s := newStoppedNode(t)
	must(t, os.Remove(filepath.Join(s.folders[0], identityFile)))
	s.mustRefuse(0, "lost its identity")
}

// TestTruncatedLogFile: any length but the whole is refused before bolt maps the file, which would end the process.
func TestTruncatedLogFile(t *testing.T) {
	s := newStoppedNode(t)
	path := filepath.Join(s.folders[0], logFile)
	whole, err := os.ReadFile(path)
	must(t, err)
	meta, err := readBoltMeta(bytes.NewReader(whole), int64(len(whole)))
	must(t, err)
	need := int64(meta.pages) * meta.pageSize
	for n := int64(1); n < need; n += max(need/40, 1) + 13 {
		must(t, os.WriteFile(path, whole[:n], 0o600))
		s.mustRefuse(0, logFile)
	}
	must(t, os.WriteFile(path, whole[:need-1], 0o600))
	s.mustRefuse(0, "truncated", "keep the folder")
	must(t, os.WriteFile(path, whole, 0o600))
	s.start(0)
	s.leader()
}

// TestRefusedFolderIsLeftAlone: a refused folder gains no reserve, and keeps what a crash left among the snapshots.
func TestRefusedFolderIsLeftAlone(t *testing.T) {
	s := newStoppedNode(t)
	path := filepath.Join(s.folders[0], logFile)
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Remove(filepath.Join(s.folders[0], reserveFile)))
	must(t, os.WriteFile(path, whole[:len(whole)/2+1], 0o600))
	s.mustRefuse(0, "truncated")

	half := filepath.Join(s.folders[0], snapshotFolder, "2-9-1.tmp")
	must(t, os.MkdirAll(half, 0o700))
	must(t, os.WriteFile(filepath.Join(half, "state.bin"), []byte("half"), 0o600))
	s.mustRefuse(0, "truncated")

	must(t, os.WriteFile(path, whole, 0o600))
	damaged := filepath.Join(s.folders[0], snapshotFolder, "2-9-2")
	must(t, os.MkdirAll(damaged, 0o700))
	must(t, os.WriteFile(filepath.Join(damaged, "meta.json"), []byte(`{"Version": 1, "ID": "2-9-2", "Index": 9, "Term": 2}`), 0o600))
	must(t, os.WriteFile(filepath.Join(damaged, "state.bin"), []byte("damaged"), 0o600))
	s.mustRefuse(0, "newest snapshot is corrupt")

	must(t, os.RemoveAll(damaged))
	s.start(0)
	s.leader()
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("the half snapshot is still there: %v", err)
	}
}

// TestDamagedMetaPages: one damaged meta page is what a crash leaves, two are the end.
func TestDamagedMetaPages(t *testing.T) {
	s := newStoppedNode(t)
	path := filepath.Join(s.folders[0], logFile)
	whole, err := os.ReadFile(path)
	must(t, err)
	page := int(binary.LittleEndian.Uint32(whole[boltMetaOffset+8:]))
	for _, at := range []int{boltMetaOffset, boltMetaOffset + 17, boltMetaOffset + 41, boltMetaOffset + 60} {
		broken := append([]byte(nil), whole...)
		broken[at] ^= 0x10
		broken[page+at] ^= 0x10
		must(t, os.WriteFile(path, broken, 0o600))
		s.mustRefuse(0, logFile, "corrupt", "neither of its two meta pages")
	}
	must(t, os.WriteFile(path, make([]byte, len(whole)), 0o600))
	s.mustRefuse(0, logFile, "corrupt")
}

// TestFlippedBitOfMetaPage: a node whose newer meta page has a wrong bit refuses to start. bbolt would go back to the other, and with
// it by one transaction: a vote, or entries that it has acknowledged.
func TestFlippedBitOfMetaPage(t *testing.T) {
	s := newStoppedNode(t)
	path := filepath.Join(s.folders[0], logFile)
	whole, err := os.ReadFile(path)
	must(t, err)
	size := int64(len(whole))
	meta, err := readBoltMeta(bytes.NewReader(whole), size)
	must(t, err)
	refused := 0
	for page := range int64(2) {
		at := page*meta.pageSize + boltMetaOffset
		newest := binary.LittleEndian.Uint64(whole[at+48:]) == meta.transaction
		for bit := range int64(8 * boltMetaBytes) {
			whole[at+bit/8] ^= 1 << (bit % 8)
			got, err := readBoltMeta(bytes.NewReader(whole), size)
			whole[at+bit/8] ^= 1 << (bit % 8)
			if newest {
				if refused++; err == nil {
					t.Errorf("page %d, bit %d: taken for %+v", page, bit, got)
				}
			} else if err != nil || got != meta {
				t.Errorf("page %d, the older, bit %d: %+v, %v", page, bit, got, err)
			}
		}
	}
	if refused != 8*boltMetaBytes {
		t.Errorf("%d bits were of the newer page", refused)
	}
	for at := range 2 { // torn: half of it is of the transaction before
		torn := bytes.Clone(whole)
		other := (1 - at) * int(meta.pageSize)
		copy(torn[at*int(meta.pageSize)+boltMetaOffset+32:][:32], whole[other+boltMetaOffset+32:][:32])
		copy(torn[at*int(meta.pageSize)+boltMetaOffset+56:][:8], bytes.Repeat([]byte{0x5a}, 8))
		if _, err := readBoltMeta(bytes.NewReader(torn), size); err != nil {
			t.Errorf("a torn page %d: %v", at, err)
		}
	}
}

// TestBucketGone: a log file without one of raft-boltdb's parts is refused; raft-boltdb would panic, or make it anew and empty.
func TestBucketGone(t *testing.T) {
	for _, name := range []string{"conf", "logs"} {
		s := newStoppedNode(t)
		path := filepath.Join(s.folders[0], logFile)
		db, err := bolt.Open(path, 0o600, nil)
		must(t, err)
		must(t, db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(name)) }))
		must(t, db.Close())
		s.mustRefuse(0, logFile, "corrupt", name, howToReplace)
	}
}

// TestDamagedPages: damage anywhere in the file is an error with advice, or it hit a byte that carries nothing. Never a
// crash, and never a change.
func TestDamagedPages(t *testing.T) {
	s := newStoppedNode(t)
	path := filepath.Join(s.folders[0], logFile)
	whole, err := os.ReadFile(path)
	must(t, err)
	page := int(binary.LittleEndian.Uint32(whole[boltMetaOffset+8:]))
	id := folderIdentity{Cluster: "test", Node: "n0", ShardCount: 1, SlotFunction: store.LastByte.String()}
	folder, err := openDataFolder(s.folders[0], id)
	must(t, err)
	c := &Controller{folder: folder}
	found := 0
	for at := 2 * page; at < len(whole); at += page/2 + 7 {
		broken := append([]byte(nil), whole...)
		for i := at; i < min(at+64, len(broken)); i++ {
			broken[i] ^= 0xff
		}
		must(t, os.WriteFile(path, broken, 0o600))
		before := hashFolder(t, s.folders[0])
		if err := c.checkLogFile(path); err != nil {
			found++
			if !strings.Contains(err.Error(), "keep the folder") {
				t.Errorf("%v gives no advice", err)
			}
		}
		if hashFolder(t, s.folders[0]) != before {
			t.Fatalf("the check changed the file damaged at %d", at)
		}
	}
	if found == 0 {
		t.Error("no damage was found anywhere")
	}
}

// TestLogFileInUse: two processes on one folder.
func TestLogFileInUse(t *testing.T) {
	s := newStoppedNode(t)
	db, err := bolt.Open(filepath.Join(s.folders[0], logFile), 0o600, nil)
	must(t, err)
	defer db.Close()
	s.mustRefuse(0, "in use by another process", "--data")
}

// TestFlippedBitOfSnapshotMeta: whatever single bit of a snapshot's description or of its checksum flips, the node never takes the
// snapshot for one of another term, index, content or membership, at start or later. (Found by the simulator, seed 1520: "Term"
// became another word, so that the term was 0.)
func TestFlippedBitOfSnapshotMeta(t *testing.T) {
	folder := t.TempDir()
	inner, err := raft.NewFileSnapshotStore(folder, 2, io.Discard)
	must(t, err)
	snapshots := filepath.Join(folder, "snapshots")
	store := &snapshotStore{inner, snapshots}
	_, transport := raft.NewInmemTransport("a")
	sink, err := store.Create(1, 842, 3, raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}, {ID: "b", Address: "b"}}}, 1, transport)
	must(t, err)
	_, err = sink.Write([]byte("content"))
	must(t, errors.Join(err, sink.Close()))
	if index, term, err := newestSnapshot(snapshots); index != 842 || term != 3 || err != nil {
		t.Fatalf("the whole one: index %d, term %d, %v", index, term, err)
	}
	meta, state, err := store.Open(sink.ID())
	must(t, err)
	must(t, state.Close())
	good := metaSum(meta)

	for _, name := range []string{"meta.json", metaSumFile} {
		path := filepath.Join(snapshots, sink.ID(), name)
		whole, err := os.ReadFile(path)
		must(t, err)
		refused := 0
		for bit := range 8 * len(whole) {
			bad := bytes.Clone(whole)
			bad[bit/8] ^= 1 << (bit % 8)
			must(t, os.WriteFile(path, bad, 0o600))
			list, err := listSnapshots(snapshots)
			if err == nil {
				_, _, err = newestSnapshot(snapshots)
			}
			switch {
			case err != nil:
				refused++
			case len(list) == 1 && (!bytes.Equal(metaSum(&list[0].SnapshotMeta), good) || list[0].Size != meta.Size):
				t.Errorf("%s, bit %d: taken for %+v: %s", name, bit, list[0].SnapshotMeta, bad)
			}
			if listed, err := store.List(); err == nil && len(listed) == 1 && !bytes.Equal(metaSum(listed[0]), good) {
				t.Errorf("%s, bit %d: listed as %+v: %s", name, bit, listed[0], bad)
			}
			opened, state, err := store.Open(sink.ID())
			if err == nil {
				if must(t, state.Close()); !bytes.Equal(metaSum(opened), good) || opened.Size != meta.Size {
					t.Errorf("%s, bit %d: opened as %+v: %s", name, bit, opened, bad)
				}
			}
		}
		must(t, os.WriteFile(path, whole, 0o600))
		if refused < len(whole) {
			t.Errorf("%s: only %d of %d flips were refused", name, refused, 8*len(whole))
		}
	}
}

// TestSnapshotWithoutSum: folders of a kvorum that wrote no checksums are taken as they are.
func TestSnapshotWithoutSum(t *testing.T) {
	folder := t.TempDir()
	store, err := raft.NewFileSnapshotStore(folder, 2, io.Discard)
	must(t, err)
	_, transport := raft.NewInmemTransport("a")
	sink, err := store.Create(1, 842, 3, raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}}}, 1, transport)
	must(t, err)
	must(t, sink.Close())
	if index, term, err := newestSnapshot(filepath.Join(folder, "snapshots")); index != 842 || term != 3 || err != nil {
		t.Errorf("index %d, term %d, %v", index, term, err)
	}
}

// TestFlippedBitOfIdentity: whatever single bit of the identity flips, the folder is refused, or says what it said. (Found by the
// simulator, seed 1745: a peer's disk id was another, so a healthy peer was turned away, and ended itself.)
func TestFlippedBitOfIdentity(t *testing.T) {
	path := t.TempDir()
	want := folderIdentity{Cluster: "c", Shard: 1, Node: "a", ShardCount: 2, SlotFunction: "last-byte"}
	d, err := openDataFolder(path, want)
	must(t, err)
	_, err = d.learn("b", "0123456789abcdef")
	must(t, err)
	must(t, d.setFormed())
	good := d.identity()
	file := filepath.Join(path, identityFile)
	whole, err := os.ReadFile(file)
	must(t, err)
	refused := 0
	for bit := range 8 * len(whole) {
		bad := bytes.Clone(whole)
		bad[bit/8] ^= 1 << (bit % 8)
		must(t, os.WriteFile(file, bad, 0o600))
		again, err := openDataFolder(path, want)
		if err != nil {
			refused++
			continue
		}
		have := again.identity()
		if have.Version != good.Version || have.Disk != good.Disk || !maps.Equal(have.Peers, good.Peers) || have.Formed != good.Formed || have.ShardCount != good.ShardCount || len(have.MeetAgain) > 0 {
			t.Errorf("bit %d: taken for %+v", bit, have)
		}
	}
	if refused < 4*len(whole) {
		t.Errorf("only %d of %d flips were refused", refused, 8*len(whole))
	}
}

// TestIdentityOfVersion1: it has no checksum, is taken as it is, and is written anew with one.
func TestIdentityOfVersion1(t *testing.T) {
	path := t.TempDir()
	file := filepath.Join(path, identityFile)
	must(t, os.WriteFile(file, []byte(`{"version":1,"cluster":"c","shard":0,"node":"a","shard_count":1,"slot_function":"last-byte","disk":"d","peers":{"b":"e"},"formed":true}`), 0o600))
	want := folderIdentity{Cluster: "c", Node: "a", ShardCount: 1, SlotFunction: "last-byte"}
	d, err := openDataFolder(path, want)
	must(t, err)
	if id := d.identity(); id.Disk != "d" || id.Peers["b"] != "e" {
		t.Errorf("read as %+v", id)
	}
	_, err = d.learn("c", "f")
	must(t, err)
	again, err := openDataFolder(path, want)
	must(t, err)
	if id := again.identity(); id.Version >= identityHardState || id.Peers["c"] != "f" {
		t.Errorf("a new peer makes it %+v, before the log is as that version has it", id)
	}
	must(t, d.keep())
	raw, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Contains(raw, []byte(`"version": 3`)) || !bytes.Contains(raw, []byte(`"checksum": "`)) {
		t.Errorf("written as %s", raw)
	}
	d, err = openDataFolder(path, want)
	must(t, err)
	if id := d.identity(); id.Peers["b"] != "e" || !id.Formed {
		t.Errorf("read again as %+v", id)
	}
}
