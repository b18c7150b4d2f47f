package controller

import (
	"encoding/binary"
	"errors"
	"runtime"
	"sync"

	"github.com/hashicorp/raft"
)

// Keys that hashicorp/raft uses for its vote, and the one record that we keep instead.
var (
	keyVoteTerm      = []byte("LastVoteTerm")
	keyVoteCandidate = []byte("LastVoteCand")
	keyVote          = []byte("kvorum/vote")
)

var errKeyNotFound = errors.New("not found") // the text that raft compares with

// voteStore is guard G3. Raft stores a vote by two writes, term then candidate; a crash between them leaves a record of a
// vote that was never given, and the restarted node then grants that candidate without looking at its log
// (hashicorp/raft#661). voteStore holds the term back and writes both as one record with the candidate.
//
// It also never returns a write error: raft would panic, and a node with a full disk would die. Instead the caller (raft's
// main loop) is held until the disk takes the write; to the other nodes that is a stalled disk (guard G7). If the node closes
// first, the caller's goroutine ends there, which raft's shutdown waits for: to an error of a term raft would panic then, too.
type voteStore struct {
	store  raft.StableStore
	gate   func(write func() error) error // runs write until it succeeds; an error only when the node is closing
	mu     sync.Mutex
	term   uint64 // held back by SetUint64(LastVoteTerm)
	isHeld bool
}

// Set implements raft.StableStore.
func (v *voteStore) Set(key, value []byte) error {
	if string(key) != string(keyVoteCandidate) {
		v.hold(func() error { return v.store.Set(key, value) })
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.isHeld {
		return errors.New("a vote's candidate came without its term")
	}
	record := append(binary.BigEndian.AppendUint64(nil, v.term), value...)
	v.hold(func() error { return v.store.Set(keyVote, record) })
	v.isHeld = false
	return nil
}

// hold returns when the write is done, and never if the node closes first.
func (v *voteStore) hold(write func() error) {
	if err := v.gate(write); err != nil {
		runtime.Goexit()
	}
}

// SetUint64 implements raft.StableStore.
func (v *voteStore) SetUint64(key []byte, value uint64) error {
	if string(key) != string(keyVoteTerm) {
		v.hold(func() error { return v.store.SetUint64(key, value) })
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.term, v.isHeld = value, true
	return nil
}

// Get implements raft.StableStore.
func (v *voteStore) Get(key []byte) ([]byte, error) {
	if string(key) != string(keyVoteCandidate) {
		return v.store.Get(key)
	}
	_, candidate, err := v.vote()
	return candidate, err
}

// GetUint64 implements raft.StableStore.
func (v *voteStore) GetUint64(key []byte) (uint64, error) {
	if string(key) != string(keyVoteTerm) {
		return v.store.GetUint64(key)
	}
	term, _, err := v.vote()
	return term, err
}

func (v *voteStore) vote() (uint64, []byte, error) {
	record, err := v.store.Get(keyVote)
	if err != nil {
		return 0, nil, err
	}
	if len(record) < 8 {
		return 0, nil, errKeyNotFound
	}
	return binary.BigEndian.Uint64(record), record[8:], nil
}
