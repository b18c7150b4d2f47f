package controller

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// TestLogThatDoesNotReachDown: raft panics at a start on a log with a gap above its snapshot. The checks before it find that, but
// a disk that errs once, after them, shows it to raft alone: an error that says what to do.
func TestLogThatDoesNotReachDown(t *testing.T) {
	folder := t.TempDir()
	b, err := raftboltdb.NewBoltStore(filepath.Join(folder, logFile))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, index := range []uint64{5, 6} {
		if err := b.StoreLog(seal(&raft.Log{Index: index, Term: 1, Type: raft.LogNoop})); err != nil {
			t.Fatal(err)
		}
	}
	inner, err := raft.NewFileSnapshotStoreWithLogger(folder, 1, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	address, transport := raft.NewInmemTransport("")
	config := raft.DefaultConfig()
	config.LocalID, config.Logger = raft.ServerID(address), hclog.NewNullLogger()
	votes, err := openVotes(b, false, func(write func() error) error { return write() })
	if err != nil {
		t.Fatal(err)
	}
	log, err := newLogStore(b, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &stores{bolt: b, log: log, votes: votes, snapshots: &snapshotStore{inner, folder}}
	r, err := newRaft(config, emptyFSM{}, s, transport)
	if r != nil || err == nil || !strings.Contains(err.Error(), "log not found") || !strings.Contains(err.Error(), howToReplace) {
		t.Fatalf("%v, %v", r, err)
	}
}
