package controller

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"sync"

	"github.com/hashicorp/raft"
)

// Keys that hashicorp/raft uses for its term and its vote, and the one record that we keep instead.
var (
	keyTerm          = []byte("CurrentTerm")
	keyVoteTerm      = []byte("LastVoteTerm")
	keyVoteCandidate = []byte("LastVoteCand")
	keyHardState     = []byte("kvorum/hard-state")
	keyVoteUnchecked = []byte("kvorum/vote") // of folders before identity version 3: term, candidate; the term stood under keyTerm
)

var (
	errKeyNotFound = errors.New("not found") // the text that raft compares with
	errHardState   = errors.New("the stored term and vote fail their checksum")
)

// hardState is what Raft must not forget: the term, and the last vote and its term.
type hardState struct {
	term, voteTerm uint64
	candidate      []byte // of the vote; nil: none was ever given
}

// encode gives the record: both terms, CRC-32C of all the rest, candidate.
func (h hardState) encode() []byte {
	terms := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, h.term), h.voteTerm)
	sum := crc32.Update(crc32.Checksum(terms, castagnoli), castagnoli, h.candidate)
	return append(binary.BigEndian.AppendUint32(terms, sum), h.candidate...)
}

func decodeHardState(record []byte) (hardState, error) {
	if len(record) < 20 {
		return hardState{}, errHardState
	}
	h := hardState{term: binary.BigEndian.Uint64(record), voteTerm: binary.BigEndian.Uint64(record[8:])}
	if len(record) > 20 {
		h.candidate = bytes.Clone(record[20:])
	}
	if !bytes.Equal(h.encode(), record) {
		return hardState{}, errHardState
	}
	return h, nil
}

// readHardState reads what the store holds; everything is zero in one that holds nothing. older: programs that kept term and vote
// apart, without a checksum, may have written to it, also after one that did not: what is later counts.
func readHardState(store raft.StableStore, older bool) (hardState, error) {
	var h hardState
	record, err := store.Get(keyHardState)
	if err == nil {
		h, err = decodeHardState(record)
	}
	if err := unlessMissing(err); err != nil || !older {
		return h, err
	}
	term, err := store.GetUint64(keyTerm)
	if unlessMissing(err) != nil {
		return hardState{}, err
	}
	vote, err := store.Get(keyVoteUnchecked)
	if unlessMissing(err) != nil {
		return hardState{}, err
	}
	h.term = max(h.term, term)
	if len(vote) > 8 && binary.BigEndian.Uint64(vote) > h.voteTerm {
		h.voteTerm, h.candidate = binary.BigEndian.Uint64(vote), vote[8:]
	}
	return h, nil
}

// unlessMissing is err unless it says that a key is not there: stores tell that by the text, as raft compares it.
func unlessMissing(err error) error {
	if err != nil && err.Error() == errKeyNotFound.Error() {
		return nil
	}
	return err
}

// check holds the state against the last entry of the log, or of the snapshot if that ends later: no entry is stored before its
// term is, and no vote is given in a later term than the node's. A record that is gone shows here, too.
func (h hardState) check(lastTerm uint64) error {
	switch {
	case h.term < lastTerm:
		return fmt.Errorf("the stored term is %d, but an entry of term %d is stored", h.term, lastTerm)
	case h.term < h.voteTerm:
		return fmt.Errorf("the stored term is %d, but a vote of term %d is stored", h.term, h.voteTerm)
	}
	return nil
}

// voteStore is guard G3. Raft stores a vote by two writes, term then candidate; a crash between them leaves a record of a
// vote that was never given, and the restarted node then grants that candidate without looking at its log
// (hashicorp/raft#661). voteStore holds the vote's term back and writes it with the candidate. The node's own term is in the same
// record, so that nothing less than the whole of it can be lost or spoiled, and that shows by its checksum at the next start.
//
// It also never returns a write error: raft would panic, and a node with a full disk would die. Instead the caller (raft's
// main loop) is held until the disk takes the write; to the other nodes that is a stalled disk (guard G7). If the node closes
// first, the caller's goroutine ends there, which raft's shutdown waits for: to an error of a term raft would panic then, too.
type voteStore struct {
	store raft.StableStore
	gate  func(write func() error) error // runs write until it succeeds; an error only when the node is closing

	mu     sync.Mutex
	stored hardState // what the store holds
	next   uint64    // term of a vote whose candidate has not come yet
	isHeld bool      // there is such a vote
}

// openVotes reads the store. A state that an older program wrote (see readHardState) is written anew; once the folder's identity
// says so, too, nothing else is believed.
func openVotes(store raft.StableStore, older bool, gate func(write func() error) error) (*voteStore, error) {
	h, err := readHardState(store, older)
	if err != nil {
		return nil, err
	}
	if older && h.term > 0 {
		if err := store.Set(keyHardState, h.encode()); err != nil {
			return nil, fmt.Errorf("term and vote could not be written in this version's form: %w", err)
		}
	}
	return &voteStore{store: store, gate: gate, stored: h}, nil
}

// forgetBootstrap forgets the term that raft begins with, if nothing more was ever stored.
func (v *voteStore) forgetBootstrap() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stored.term == 1 && v.stored.candidate == nil {
		v.stored = hardState{}
	}
}

// write returns when the state is stored, and never if the node closes first.
func (v *voteStore) write(h hardState) {
	record := h.encode()
	if err := v.gate(func() error { return v.store.Set(keyHardState, record) }); err != nil {
		runtime.Goexit()
	}
	v.stored = h
}

// Set implements raft.StableStore.
func (v *voteStore) Set(key, value []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !bytes.Equal(key, keyVoteCandidate) {
		return errors.New("raft stores what it is not known to")
	}
	if !v.isHeld {
		return errors.New("a vote's candidate came without its term")
	}
	v.write(hardState{term: v.stored.term, voteTerm: v.next, candidate: bytes.Clone(value)})
	v.isHeld = false
	return nil
}

// SetUint64 implements raft.StableStore.
func (v *voteStore) SetUint64(key []byte, value uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case bytes.Equal(key, keyTerm):
		v.write(hardState{term: value, voteTerm: v.stored.voteTerm, candidate: v.stored.candidate})
	case bytes.Equal(key, keyVoteTerm):
		v.next, v.isHeld = value, true
	default:
		return errors.New("raft stores what it is not known to")
	}
	return nil
}

// Get implements raft.StableStore.
func (v *voteStore) Get(key []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !bytes.Equal(key, keyVoteCandidate) || v.stored.candidate == nil {
		return nil, errKeyNotFound
	}
	return bytes.Clone(v.stored.candidate), nil
}

// GetUint64 implements raft.StableStore.
func (v *voteStore) GetUint64(key []byte) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case bytes.Equal(key, keyTerm) && v.stored.term > 0:
		return v.stored.term, nil
	case bytes.Equal(key, keyVoteTerm) && v.stored.candidate != nil:
		return v.stored.voteTerm, nil
	}
	return 0, errKeyNotFound
}
