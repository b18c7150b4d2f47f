package faultfs

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// boltMark lets this test's program commit to a bbolt file until it is killed. It must be a process of its own: a power cut
// takes the memory map from under it.
const boltMark = "KVORUM_FAULTFS_TEST_BOLT"

func TestMain(m *testing.M) {
	ServeIfAsked()
	if path := os.Getenv(boltMark); path != "" {
		if err := commitForEver(path, os.Getenv(boltMark+"_NOSYNC") != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	_ = os.RemoveAll(theNode.dir)
	os.Exit(code)
}

func openBolt(path string, noSync bool) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: noSync}) // as raft-boltdb's log
}

// commitForEver commits the next number and then prints it.
func commitForEver(path string, noSync bool) error {
	db, err := openBolt(path, noSync)
	if err != nil {
		return err
	}
	for {
		var n uint64
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("numbers"))
			if err != nil {
				return err
			}
			if n, err = b.NextSequence(); err != nil {
				return err
			}
			return b.Put(binary.BigEndian.AppendUint64(nil, n), make([]byte, 1+n*37%3000))
		})
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// commitAndCut lets a process commit at least so many numbers more, cuts the power, and returns the last one it printed.
func commitAndCut(t *testing.T, m *Mount, path string, more int, noSync bool, p Plan, seed uint64) (acknowledged uint64) {
	t.Helper()
	program, err := os.Executable()
	check(t, err)
	writer := exec.Command(program)
	writer.Env = append(os.Environ(), boltMark+"="+path)
	if noSync {
		writer.Env = append(writer.Env, boltMark+"_NOSYNC=1")
	}
	writer.Stderr = os.Stderr
	out, err := writer.StdoutPipe()
	check(t, err)
	check(t, writer.Start())
	lines := bufio.NewScanner(out)
	read := func() bool {
		if !lines.Scan() {
			return false
		}
		acknowledged, err = strconv.ParseUint(strings.TrimSpace(lines.Text()), 10, 64)
		check(t, err)
		return true
	}
	for range more {
		if !read() {
			t.Fatalf("the writer ended: %v", writer.Wait())
		}
	}
	loss, err := m.PowerCut(p, seed, func() error {
		err := writer.Process.Kill()
		for read() { // what it still said
		}
		_ = writer.Wait() // killed
		return err
	})
	check(t, err)
	t.Logf("seed %d: %d acknowledged, lost %+v", seed, acknowledged, loss)
	return acknowledged
}

// missing opens the file after a cut and counts the numbers up to the last acknowledged one that it lacks.
func missing(t *testing.T, path string, acknowledged uint64) (lacks uint64) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return acknowledged // bbolt would make a new one
	}
	db, err := openBolt(path, false)
	if err != nil {
		t.Logf("bbolt refuses the file: %v", err)
		return acknowledged
	}
	defer db.Close()
	check(t, db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("damaged: %v", err)
		}
		b := tx.Bucket([]byte("numbers"))
		for n := uint64(1); n <= acknowledged; n++ {
			if b == nil || len(b.Get(binary.BigEndian.AppendUint64(nil, n))) != 1+int(n*37%3000) {
				lacks++
			}
		}
		return nil
	}))
	return lacks
}

// TestBoltSurvivesPowerCuts, wherever in a commit they strike and whatever of it arrives.
func TestBoltSurvivesPowerCuts(t *testing.T) {
	m := mounted(t)
	path := filepath.Join(m.Folder, "log.db")
	write(t, path, "", 0, true)
	check(t, syncAt(m.Folder)) // as a formed node has done
	for seed := range uint64(8) {
		acknowledged := commitAndCut(t, m, path, 20, false, Mixed(), seed)
		if lacks := missing(t, path, acknowledged); lacks > 0 {
			t.Fatalf("%d of %d acknowledged commits are missing", lacks, acknowledged)
		}
	}
	counters, err := m.Counters()
	check(t, err)
	if lost := counters.Lost; lost.Bytes == 0 || lost.Torn == 0 {
		t.Errorf("the cuts took too little to show anything: %+v", lost)
	}
}

// TestBoltLosesWhatIsNotSynced: the same check sees a database that leaves fsync out, and a disk that lies about it.
func TestBoltLosesWhatIsNotSynced(t *testing.T) {
	for _, c := range []struct {
		name   string
		noSync bool
		faults Faults
	}{
		{"fsync left out", true, Faults{}},
		{"lying fsync", false, Faults{LyingFsync: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mounted(t)
			path := filepath.Join(m.Folder, "log.db")
			db, err := openBolt(path, false) // an empty, healthy file: only commits are lost
			check(t, err)
			check(t, db.Close())
			check(t, syncAt(m.Folder))
			check(t, m.Set(c.faults))
			acknowledged := commitAndCut(t, m, path, 20, c.noSync, DropAll(), 1)
			if lacks := missing(t, path, acknowledged); lacks == 0 {
				t.Errorf("all of %d acknowledged commits are there", acknowledged)
			}
			if counters, err := m.Counters(); err != nil || c.faults.LyingFsync != (counters.Lied > 0) {
				t.Errorf("counted %+v, %v", counters, err)
			}
		})
	}
}
