package controller

import (
	"errors"
	"fmt"
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
// folder here, before anything is written, makes the names durable; raft itself syncs what is in them.
func (s *snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, configurationIndex uint64, transport raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.FileSnapshotStore.Create(version, index, term, configuration, configurationIndex, transport)
	if err != nil {
		return nil, err
	}
	if err := syncFolder(filepath.Join(s.folder, sink.ID()+".tmp")); err != nil {
		return nil, errors.Join(fmt.Errorf("make the snapshot's files durable: %w", err), sink.Cancel())
	}
	return sink, nil
}
