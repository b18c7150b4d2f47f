package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-msgpack/v2/codec"
	bolt "go.etcd.io/bbolt"
)

// folder is a data folder to make: a log file with terms by index, and snapshots.
type folder struct {
	term, voteTerm uint64
	vote           string
	first          uint64
	terms          []uint64 // of the entries from first; 0 makes a hole
	spoil          func(index uint64, e *stored)
	snapshots      [][2]uint64 // index, term
	badSnapshot    bool        // the last one
	formed         bool
	garbage        uint64 // index under which no entry stands
	badState       bool   // a wrong bit in the term
	cutState       int    // bytes that are missing of term and vote
	plainVote      bool   // as raft without the guard stores it
}

// stored is an entry as raft-boltdb stores it.
type stored struct {
	Index, Term uint64
	Type        uint8
	Data        []byte
	Extensions  []byte
	AppendedAt  []byte
}

func good() folder {
	return folder{term: 3, voteTerm: 3, vote: "b", first: 1, terms: []uint64{1, 2, 2, 3}, formed: true}
}

func (f folder) files(t testing.TB) map[string][]byte {
	t.Helper()
	id, err := json.Marshal(Identity{Cluster: "c", Node: "a", Disk: "d1", Formed: f.formed})
	must(t, err)
	files := map[string][]byte{identityName: id, logName: f.log(t)}
	for i, s := range f.snapshots {
		state := fmt.Appendf(nil, "state up to %d", s[0])
		sum := crc64.New(crc64.MakeTable(crc64.ECMA))
		sum.Write(state)
		if f.badSnapshot && i == len(f.snapshots)-1 {
			state = append(state, '!')
		}
		name := fmt.Sprintf("%s/%d-%d-1/", snapshotsDir, s[1], s[0])
		meta, err := json.Marshal(map[string]any{"ID": name, "Index": s[0], "Term": s[1], "CRC": sum.Sum(nil)})
		must(t, err)
		files[name+"meta.json"], files[name+"state.bin"] = meta, state
	}
	return files
}

func (f folder) log(t testing.TB) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), logName)
	db, err := bolt.Open(name, 0o600, &bolt.Options{NoFreelistSync: true, NoSync: true, PageSize: 4096})
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		logs, err := tx.CreateBucket([]byte(bucketLogs))
		must(t, err)
		conf, err := tx.CreateBucket([]byte(bucketConf))
		must(t, err)
		if f.plainVote {
			must(t, conf.Put([]byte(keyTerm), binary.BigEndian.AppendUint64(nil, f.term)))
			must(t, conf.Put([]byte(keyVoteTerm), binary.BigEndian.AppendUint64(nil, f.voteTerm)))
			must(t, conf.Put([]byte(keyVoteCandidate), []byte(f.vote)))
		} else {
			must(t, conf.Put([]byte(keyHardState), f.hardState()))
		}
		for i, term := range f.terms {
			if term > 0 {
				index := f.first + uint64(i)
				must(t, logs.Put(binary.BigEndian.AppendUint64(nil, index), f.entry(index, term)))
			}
		}
		return nil
	}))
	must(t, db.Close())
	b, err := os.ReadFile(name)
	must(t, err)
	return b
}

func (f folder) hardState() []byte {
	terms := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, f.term), f.voteTerm)
	vote := []byte(f.vote)
	if f.voteTerm == 0 {
		vote = nil
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	record := append(binary.BigEndian.AppendUint32(terms, crc32.Update(crc32.Checksum(terms, table), table, vote)), vote...)
	if f.badState {
		record[7] ^= 1
	}
	return record[:len(record)-f.cutState]
}

func (f folder) entry(index, term uint64) []byte {
	if index == f.garbage {
		return []byte{0xc1}
	}
	e := stored{Index: index, Term: term, Data: fmt.Appendf(nil, "entry %d of %d", index, term)}
	e.Extensions = binary.BigEndian.AppendUint32(nil, checksum(&Entry{Index: index, Term: term, Data: e.Data}, nil))
	if f.spoil != nil {
		f.spoil(index, &e)
	}
	var b bytes.Buffer
	var h codec.MsgpackHandle
	h.TimeNotBuiltin = true
	if err := codec.NewEncoder(&b, &h).Encode(&e); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, f folder) Image {
	t.Helper()
	m, err := Read(f.files(t))
	must(t, err)
	return m
}

func oracles(list []Problem) (names []string) {
	for _, p := range list {
		names = append(names, p.Oracle)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestRead(t *testing.T) {
	f := good()
	f.snapshots = [][2]uint64{{1, 1}, {2, 2}}
	m := read(t, f)
	if m.Term != 3 || m.VoteTerm != 3 || m.Vote != "b" || m.First != 1 || m.Last != 4 || m.SnapshotIndex() != 2 || m.Identity.Disk != "d1" || !m.HasLog || len(m.Problems) > 0 {
		t.Errorf("got %+v", m)
	}
	if e, ok := m.Entry(3); !ok || e.Term != 2 || string(e.Data) != "entry 3 of 2" {
		t.Errorf("entry 3 is %+v, %t", e, ok)
	}
	if _, ok := m.EntryTerm(5); ok {
		t.Error("there is an entry 5")
	}
	f.plainVote = true
	if m := read(t, f); m.VoteTerm != 3 || m.Vote != "b" {
		t.Errorf("raft's own vote is read as %q in term %d", m.Vote, m.VoteTerm)
	}
	for _, files := range []map[string][]byte{{}, {logName: nil}} {
		if m, err := Read(files); err != nil || m.HasLog {
			t.Errorf("an empty folder: %+v, %v", m, err)
		}
	}
	if got := Folder(map[string][]byte{"data/raft.db": {1}, "dat": {2}, "data2/x": {3}}, "data"); len(got) != 1 || got["raft.db"] == nil {
		t.Errorf("Folder gives %v", got)
	}
}

// TestProblems: what is wrong with an image by itself.
func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(f *folder)
		want  string
	}{
		"good":              {func(*folder) {}, ""},
		"compacted":         {func(f *folder) { f.first, f.snapshots = 5, [][2]uint64{{4, 1}} }, ""},
		"only a snapshot":   {func(f *folder) { f.terms, f.snapshots = nil, [][2]uint64{{4, 1}} }, ""},
		"hole":              {func(f *folder) { f.terms[1] = 0 }, "disk-hole: entries 2 to 2 are missing"},
		"covered hole":      {func(f *folder) { f.terms[1], f.snapshots = 0, [][2]uint64{{3, 2}} }, ""},
		"no way down":       {func(f *folder) { f.first, f.snapshots = 6, [][2]uint64{{4, 1}} }, "disk-hole: the log begins at entry 6"},
		"no snapshot":       {func(f *folder) { f.first = 2 }, "disk-hole: the log begins at entry 2"},
		"terms back":        {func(f *folder) { f.terms[3] = 1 }, "disk-term: entry 4 of term 1 follows entry 3"},
		"term to come":      {func(f *folder) { f.terms[3] = 4 }, "disk-term: entry 4 is of term 4"},
		"vote to come":      {func(f *folder) { f.voteTerm = 4 }, "disk-vote: a vote of term 4"},
		"bad snapshot":      {func(f *folder) { f.snapshots, f.badSnapshot = [][2]uint64{{1, 1}, {2, 2}}, true }, "disk-snapshot: the newest snapshot"},
		"data changed":      {func(f *folder) { f.spoil = spoil(func(e *stored) { e.Data[0]++ }) }, "disk-checksum: entry 2 (term 2) fails"},
		"wrong term":        {func(f *folder) { f.badState, f.voteTerm, f.terms = true, 0, nil }, "disk-checksum: term and vote fail"},
		"no term":           {func(f *folder) { f.cutState, f.terms = 2, nil }, "disk-checksum: term and vote are 19 bytes"},
		"checksum missing":  {func(f *folder) { f.spoil = spoil(func(e *stored) { e.Extensions = nil }) }, "disk-checksum: entry 2"},
		"not an entry":      {func(f *folder) { f.garbage = 2 }, "disk-checksum: entry 2 cannot be decoded"},
		"under other index": {func(f *folder) { f.spoil = spoil(func(e *stored) { e.Index = 9 }) }, "disk-checksum: under index 2"},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			c.spoil(&f)
			expect(t, read(t, f).Problems, c.want)
		})
	}
}

func spoil(what func(e *stored)) func(uint64, *stored) {
	return func(index uint64, e *stored) {
		if index == 2 {
			what(e)
		}
	}
}

// expect one oracle, or none.
func expect(t *testing.T, got []Problem, want string) {
	t.Helper()
	oracle, _, _ := strings.Cut(want, ":")
	switch {
	case want == "" && len(got) > 0:
		t.Errorf("found fault: %v", got)
	case want != "" && (!slices.Equal(oracles(got), []string{oracle}) || !strings.HasPrefix(got[0].String(), want)):
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestCheck: what may not happen from one image to the next.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *folder)
		want   string
	}{
		"nothing":          {func(*folder) {}, ""},
		"grown":            {func(f *folder) { f.terms = append(f.terms, 3, 3) }, ""},
		"term and vote on": {func(f *folder) { f.term, f.voteTerm, f.vote = 5, 5, "c" }, ""},
		"truncated":        {func(f *folder) { f.term, f.terms = 4, []uint64{1, 2, 4} }, ""},
		"replaced":         {func(f *folder) { f.term, f.terms = 4, []uint64{1, 4, 4, 4, 4} }, ""},
		"compacted":        {func(f *folder) { f.first, f.terms, f.snapshots = 4, []uint64{3}, [][2]uint64{{3, 2}} }, ""},
		"snapshot instead": {func(f *folder) { f.terms, f.snapshots = nil, [][2]uint64{{9, 3}} }, ""},
		"term back":        {func(f *folder) { f.term, f.voteTerm, f.terms = 2, 0, []uint64{1, 2, 2} }, "disk-term-back: "},
		"vote gone":        {func(f *folder) { f.voteTerm = 0 }, "disk-vote: the vote of term 3"},
		"vote changed":     {func(f *folder) { f.vote = "c" }, "disk-vote: the vote of term 3 was for b and is for c"},
		"stale suffix":     {func(f *folder) { f.term, f.terms = 4, []uint64{1, 1, 2, 3} }, "disk-stale-suffix: entry 2 was replaced"},
		"entry changed": {func(f *folder) {
			f.spoil = spoil(func(e *stored) {
				e.Data = []byte("x")
				e.Extensions = binary.BigEndian.AppendUint32(nil, checksum(&Entry{Index: 2, Term: 2, Data: e.Data}, nil))
			})
		}, "disk-stale-suffix: entry 2 of term 2 has changed"},
		"own entry gone": {func(f *folder) { f.terms = f.terms[:3] }, "disk-lost: entry 4 is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			before, f := read(t, good()), good()
			c.change(&f)
			after := read(t, f)
			if strings.HasPrefix(c.want, "disk-term-back") { // the vote goes with it
				before.VoteTerm, after.VoteTerm, before.Vote, after.Vote = 0, 0, "", ""
			}
			expect(t, Check(before, after), c.want)
		})
	}
	before := read(t, good())
	expect(t, Check(before, Image{}), "disk-lost: the log file")
	expect(t, Check(Image{}, before), "")
	other := before
	other.Identity = &Identity{Disk: "d2"}
	expect(t, Check(before, other), "disk-lost: identity.json")
	f := good()
	f.snapshots = [][2]uint64{{2, 2}}
	expect(t, Check(read(t, f), before), "disk-snapshot: the best snapshot ended at entry 2")
}

// TestDamage: whatever is damaged, Read says so or reads what is there, and does not panic.
func TestDamage(t *testing.T) {
	f := good()
	for range 200 {
		f.terms = append(f.terms, 3)
	}
	files := f.files(t)
	whole := files[logName]
	refused := 0
	try := func(b []byte) {
		files[logName] = b
		var corrupt *Corrupt
		if _, err := Read(files); errors.As(err, &corrupt) {
			refused++
		} else if err != nil {
			t.Errorf("not a Corrupt: %v", err)
		}
	}
	tries := 0
	for n := 1; n < len(whole)/2; n += 1531 { // the second half may be room that is not in use yet
		try(whole[:n])
		tries++
	}
	if refused != tries {
		t.Errorf("a truncated log file was read: %d refusals of %d", refused, tries)
	}
	refused = 0
	for at := 0; at < len(whole); at += 509 {
		b := slices.Clone(whole)
		for i := range b[at:min(at+64, len(b))] {
			b[at+i] ^= 0x5a
		}
		try(b)
	}
	if refused == 0 {
		t.Error("no damage was found")
	}
	for name, change := range map[string]func(page []byte){
		"leads to itself": func(page []byte) {
			copy(page[pageHead+8:pageHead+16], page[:8])
			binary.LittleEndian.PutUint16(page[10:], 1)
		},
		"has its last child first": func(page []byte) {
			last := binary.LittleEndian.Uint16(page[10:]) - 1
			copy(page[pageHead+8:pageHead+16], page[pageHead+int(last)*elementSize+8:])
			binary.LittleEndian.PutUint16(page[10:], last)
		},
		"has its children the wrong way round": func(page []byte) {
			first := slices.Clone(page[pageHead+8 : pageHead+16])
			copy(page[pageHead+8:], page[pageHead+elementSize+8:pageHead+elementSize+16])
			copy(page[pageHead+elementSize+8:], first)
		},
	} {
		b := slices.Clone(whole)
		for at := 2 * 4096; at < len(b); at += 4096 {
			if binary.LittleEndian.Uint16(b[at+8:]) == isBranch {
				change(b[at:])
				break
			}
		}
		if err := checkPages(b); err == nil || bytes.Equal(b, whole) {
			t.Errorf("a page that %s was read", name)
		}
	}
	files[identityName] = []byte("{")
	files[logName] = whole
	if _, err := Read(files); err == nil {
		t.Error("a torn identity.json was read")
	}
}
