// Command guest drives the patched bbolt and raft-boltdb inside a machine. Each subcommand checks what it can see from
// inside and prints one line for the host, which looks at the file from outside.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

func run(command, file string, args []string) error {
	var n int
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil {
			return err
		}
	}
	switch command {
	case "fill":
		return fill(file, n)
	case "verify":
		return verify(file, n)
	case "survive":
		return survive(file, n)
	case "lock":
		return lock(file)
	case "raft-write":
		return raftWrite(file, n)
	case "raft-read":
		return raftRead(file, n)
	}
	return fmt.Errorf("no such command: %s", command)
}

// open uses the options of production. A file named *.array is opened with the freelist that has no random order, so that
// two programs that do the same write the same bytes.
func open(file string) (*bbolt.DB, error) {
	if strings.HasSuffix(file, ".array") {
		return bbolt.Open(file, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistArrayType})
	}
	return bbolt.Open(file, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
}

// Key i is written in transaction i and again, longer, in transaction 2i; every third is deleted later. So pages are split,
// freed, reused and merged. content says what must be there after n transactions.
func key(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)*2654435761) }

func value(i, version int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d/%d ", i, version), 1+i%40)
}

func transact(tx *bbolt.Tx, i int) error {
	b, err := tx.CreateBucketIfNotExists([]byte("data"))
	if err != nil {
		return err
	}
	if err := b.Put(key(i), value(i, 1)); err != nil {
		return err
	}
	if i%2 == 0 {
		if err := b.Put(key(i/2), value(i/2, 2)); err != nil {
			return err
		}
	}
	if i%3 == 0 {
		return b.Delete(key(i / 3))
	}
	return nil
}

// content replays transact without bbolt.
func content(n int) map[string][]byte {
	rows := map[string][]byte{}
	for i := 1; i <= n; i++ {
		rows[string(key(i))] = value(i, 1)
		if i%2 == 0 {
			rows[string(key(i/2))] = value(i/2, 2)
		}
		if i%3 == 0 {
			delete(rows, string(key(i/3)))
		}
	}
	return rows
}

// fill goes on to transaction n from wherever the file is, acknowledging each.
func fill(file string, n int) error {
	db, err := open(file)
	if err != nil {
		return err
	}
	done, err := transactions(db)
	if err != nil {
		return err
	}
	for i := done + 1; i <= n; i++ {
		if err := step(db, i); err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
		fmt.Println(i)
	}
	if err := check(db, n); err != nil {
		return err
	}
	return db.Close()
}

func step(db *bbolt.DB, i int) error {
	return db.Update(func(tx *bbolt.Tx) error {
		if err := transact(tx, i); err != nil {
			return err
		}
		return tx.Bucket([]byte("data")).SetSequence(uint64(i))
	})
}

func transactions(db *bbolt.DB) (n int, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte("data")); b != nil {
			n = int(b.Sequence())
		}
		return nil
	})
	return n, err
}

func verify(file string, n int) error {
	db, err := open(file)
	if err != nil {
		return err
	}
	defer db.Close()
	done, err := transactions(db)
	if err != nil {
		return err
	}
	if done < n {
		return fmt.Errorf("%d transactions are there, %d were acknowledged", done, n)
	}
	if err := check(db, done); err != nil {
		return err
	}
	fmt.Println("verified", done)
	return nil
}

// check compares all rows with content and lets bbolt check its pages.
func check(db *bbolt.DB, n int) error {
	return db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		want := content(n)
		if b := tx.Bucket([]byte("data")); b != nil {
			if err := b.ForEach(func(k, v []byte) error {
				if w, ok := want[string(k)]; !ok || !bytes.Equal(v, w) {
					return fmt.Errorf("key %x has %.20q, want %.20q", k, v, w)
				}
				delete(want, string(k))
				return nil
			}); err != nil {
				return err
			}
		}
		if len(want) > 0 {
			return fmt.Errorf("%d rows are missing", len(want))
		}
		return nil
	})
}

// survive writes n transactions on a disk that fails now and then. A transaction that failed is tried again; afterwards what
// is in memory and what is in the file must agree.
func survive(file string, n int) error {
	db, err := open(file)
	if err != nil {
		return err
	}
	failed := 0
	for i := 1; i <= n; {
		if err := step(db, i); err != nil {
			failed++
			if err := sameAsFile(db, file); err != nil {
				return fmt.Errorf("after the %dth failure: %w", failed, err)
			}
			if done, err := transactions(db); err != nil {
				return err
			} else if done == i { // the failure came after the write of the last page
				i++
			}
			continue
		}
		i++
	}
	if err := check(db, n); err != nil {
		return fmt.Errorf("in memory: %w", err)
	}
	if err := sameAsFile(db, file); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	fmt.Println("failed", failed)
	return verify(file, n)
}

// sameAsFile compares bbolt's map with the file, byte by byte.
func sameAsFile(db *bbolt.DB, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(bytesAt(db.Info().Data, len(raw)), raw) {
		return errors.New("the map differs from the file")
	}
	return nil
}

// lock: a second open of a file in one process waits its time and fails, and works after the first has closed.
func lock(file string) error {
	first, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		return err
	}
	quick := &bbolt.Options{Timeout: 120 * time.Millisecond}
	for range 2 { // the failure must not break the first one's lock
		if _, err := bbolt.Open(file, 0o600, quick); !errors.Is(err, berrors.ErrTimeout) {
			return fmt.Errorf("second open: %v, want %v", err, berrors.ErrTimeout)
		}
	}
	if err := first.Close(); err != nil {
		return err
	}
	reader := &bbolt.Options{Timeout: 120 * time.Millisecond, ReadOnly: true}
	a, err := bbolt.Open(file, 0o600, reader)
	if err != nil {
		return err
	}
	b, err := bbolt.Open(file, 0o600, reader)
	if err != nil {
		return fmt.Errorf("two readers: %w", err)
	}
	if _, err := bbolt.Open(file, 0o600, quick); !errors.Is(err, berrors.ErrTimeout) {
		return fmt.Errorf("writer beside readers: %v", err)
	}
	a.Close()
	b.Close()
	last, err := bbolt.Open(file, 0o600, quick)
	if err != nil {
		return fmt.Errorf("open after all have closed: %w", err)
	}
	fmt.Println("locked")
	return last.Close()
}

func entry(i int) *raft.Log {
	return &raft.Log{Index: uint64(i), Term: uint64(1 + i/100), Type: raft.LogCommand, Data: value(i, 1), AppendedAt: time.Unix(int64(i), 0).UTC()}
}

// raftWrite appends n entries in batches, cuts both ends as raft does, and keeps a vote.
func raftWrite(file string, n int) error {
	log, err := raftboltdb.New(raftboltdb.Options{Path: file, BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}})
	if err != nil {
		return err
	}
	for i := 1; i <= n; i += 7 {
		var batch []*raft.Log
		for j := i; j < i+7 && j <= n; j++ {
			batch = append(batch, entry(j))
		}
		if err := log.StoreLogs(batch); err != nil {
			return err
		}
		if err := log.SetUint64([]byte("CurrentTerm"), uint64(i)); err != nil {
			return err
		}
	}
	if err := log.DeleteRange(1, uint64(n/4)); err != nil { // compaction after a snapshot
		return err
	}
	if err := log.DeleteRange(uint64(n-9), uint64(n)); err != nil { // a new leader's conflict
		return err
	}
	fmt.Println("wrote", n)
	return log.Close()
}

func raftRead(file string, n int) error {
	log, err := raftboltdb.New(raftboltdb.Options{Path: file})
	if err != nil {
		return err
	}
	defer log.Close()
	first, _ := log.FirstIndex()
	last, _ := log.LastIndex()
	if first != uint64(n/4+1) || last != uint64(n-10) {
		return fmt.Errorf("the log has %d..%d, want %d..%d", first, last, n/4+1, n-10)
	}
	for i := first; i <= last; i++ {
		var got raft.Log
		if err := log.GetLog(i, &got); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if want := entry(int(i)); got.Term != want.Term || !bytes.Equal(got.Data, want.Data) || !got.AppendedAt.Equal(want.AppendedAt) {
			return fmt.Errorf("entry %d is %+v", i, got)
		}
	}
	if term, err := log.GetUint64([]byte("CurrentTerm")); err != nil || int(term) != 1+(n-1)/7*7 {
		return fmt.Errorf("term %d, %v", term, err)
	}
	fmt.Println("read", last-first+1)
	return nil
}
