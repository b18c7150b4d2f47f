package controller

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// snapshotStore is raft's, with guard G13: raft syncs a snapshot's files and the folder that the snapshot is renamed in, but
// never the snapshot's own folder. A power cut may then leave a snapshot without its state, with the log behind it already
// gone. Found by the simulator: sim/testdata/regressions/snapshot-without-state.json.
type snapshotStore struct {
	*raft.FileSnapshotStore
	folder string
}

// Create implements raft.SnapshotStore. Both files of a snapshot get their names in the inner Create, so syncing their
// folder here, before anything is written, makes the names durable; raft itself syncs what is in them. The checksum of what
// the description will say goes beside it.
func (s *snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, configurationIndex uint64, transport raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.FileSnapshotStore.Create(version, index, term, configuration, configurationIndex, transport)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(s.folder, sink.ID()+".tmp")
	described := raft.SnapshotMeta{
		Version: version, ID: sink.ID(), Index: index, Term: term, Configuration: configuration, ConfigurationIndex: configurationIndex,
	}
	if err := writeSynced(filepath.Join(folder, metaSumFile), metaSum(&described)); err != nil {
		return nil, errors.Join(fmt.Errorf("write the checksum of the snapshot's description: %w", err), sink.Cancel())
	}
	if err := syncFolder(folder); err != nil {
		return nil, errors.Join(fmt.Errorf("make the snapshot's files durable: %w", err), sink.Cancel())
	}
	return sink, nil
}

// Open implements raft.SnapshotStore. It reads the description once more, so that is checked once more: what the disk
// spoiled since the start is neither restored nor sent to a follower.
func (s *snapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, state, err := s.FileSnapshotStore.Open(id)
	if err != nil {
		return nil, nil, err
	}
	folder := filepath.Join(s.folder, id)
	if err := errors.Join(checkMetaSum(folder, meta), checkSize(folder, meta)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("snapshot %s is damaged: %w", id, err), state.Close())
	}
	return meta, state, nil
}

// List implements raft.SnapshotStore: raft takes index, term and members from here, and guard G8 the term. One that is damaged
// makes it fail, since the log behind an older one is gone.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	list, err := s.FileSnapshotStore.List()
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		folder := filepath.Join(s.folder, m.ID)
		_, err := os.Stat(folder) // raft does not tell the folder that it read this in: it must be the one of that name
		if err := errors.Join(err, misnamed(m.ID, m), checkMetaSum(folder, m)); err != nil {
			return nil, fmt.Errorf("snapshot %s is damaged: %w", m.ID, err)
		}
	}
	return list, nil
}
