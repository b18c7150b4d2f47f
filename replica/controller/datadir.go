package controller

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// identityFile is written once, before anything else, and then only gains peers' disk ids.
const identityFile = "identity.json"

// folderIdentity is what a data folder says of itself. A node whose flags disagree refuses to start: its log would speak
// for another shard.
type folderIdentity struct {
	Version      int               `json:"version"`
	Cluster      string            `json:"cluster"`
	Shard        uint32            `json:"shard"`
	Node         string            `json:"node"`
	ShardCount   uint32            `json:"shard_count"`
	SlotFunction string            `json:"slot_function"`
	Disk         string            `json:"disk"`                 // random, made with the folder: tells a wiped disk from the old one (guard G11)
	Peers        map[string]string `json:"peers"`                // disk ids of the shard's other members, learnt before Raft is started
	MeetAgain    map[string]bool   `json:"meet_again,omitempty"` // of Peers: last met when this node had another shape
	Formed       bool              `json:"formed"`               // every initial member's disk id is known: Raft may start
	Checksum     string            `json:"checksum,omitempty"`   // of all the rest, from version 2 on
}

// The versions of the identity file. A node that finds an earlier one writes the next one in the present version.
const (
	identityUnchecked = 1 // has no checksum
	identityChecked   = 2
	identityHardState = 3 // raft.db holds term and vote in one record with a checksum (see votestore.go)
	identityVersion   = identityHardState
)

// sum is the SHA-256 of all but the checksum, in hexadecimal.
func (have folderIdentity) sum() (string, error) {
	have.Checksum = ""
	raw, err := json.Marshal(have)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// whole tells an identity as it was written from one that the disk has spoiled. One wrong bit in a peer's disk id would make this
// node refuse that peer for good, and the peer end itself.
func (have folderIdentity) whole() bool {
	switch have.Version {
	case identityUnchecked:
		return have.Disk != "" && have.Checksum == "" // else it is a later one with a wrong bit
	case identityChecked, identityVersion:
		sum, err := have.sum()
		return err == nil && sum == have.Checksum
	}
	return false
}

// dataFolder is the open data folder. Its identity file is replaced atomically and durably.
type dataFolder struct {
	path string

	mu struct {
		sync.Mutex
		identity folderIdentity
		changed  bool // by openDataFolder, and not yet on disk
	}
}

// openDataFolder reads or makes the folder for want. It never changes a folder that belongs to somebody else, nor, before
// keep is called, any folder that has an identity.
func openDataFolder(path string, want folderIdentity) (*dataFolder, error) {
	if err := MakeFolder(path); err != nil {
		return nil, fmt.Errorf("data folder %s cannot be made: %w; give another with --data", path, err)
	}
	d := &dataFolder{path: path}
	raw, err := os.ReadFile(filepath.Join(path, identityFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := refuseStrangersFiles(path); err != nil {
			return nil, err
		}
		if want.Disk, err = newDiskID(); err != nil {
			return nil, err
		}
		want.Version, want.Peers = identityVersion, map[string]string{}
		d.mu.identity = want
		return d, d.save(want)
	case err != nil:
		return nil, fmt.Errorf("data folder %s cannot be read: %w; check its owner and mode", path, err)
	}
	var have folderIdentity
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if err := decoder.Decode(&have); err != nil || !have.whole() {
		return nil, fmt.Errorf("data folder %s: %s is corrupt or of another version; restore it from a copy, or start this node under a new id with an empty folder", path, identityFile)
	}
	if err := have.compare(path, want); err != nil {
		return nil, err
	}
	if have.Peers == nil {
		have.Peers = map[string]string{}
	}
	d.mu.changed = have.reshape(want)
	d.mu.identity = have
	return d, nil
}

// reshape takes over the shard count and the slot function of a folder that is not formed yet: nothing was made with the
// old ones, which may have been a mistake. Members met with the old ones must be met again, since they agreed to those;
// their disks stay known (guard G11).
func (have *folderIdentity) reshape(want folderIdentity) bool {
	if have.ShardCount == want.ShardCount && have.SlotFunction == want.SlotFunction {
		return false
	}
	have.ShardCount, have.SlotFunction = want.ShardCount, want.SlotFunction
	have.MeetAgain = map[string]bool{}
	for node := range have.Peers {
		have.MeetAgain[node] = true
	}
	return true
}

// keep writes down what openDataFolder took over, and that the folder is of the present version. It is called once everything in it
// was found good, and is as that version has it.
func (d *dataFolder) keep() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.mu.changed && d.mu.identity.Version == identityVersion {
		return nil
	}
	id := d.mu.identity
	id.Version = identityVersion
	if err := d.save(id); err != nil {
		return err
	}
	d.mu.identity, d.mu.changed = id, false
	return nil
}

// compare refuses flags that disagree with the folder. The shape binds only once the shard is formed (see reshape).
func (have folderIdentity) compare(path string, want folderIdentity) error {
	type bound struct{ flag, have, want string }
	flags := []bound{
		{"cluster", have.Cluster, want.Cluster},
		{"shard", fmt.Sprint(have.Shard), fmt.Sprint(want.Shard)},
		{"node", have.Node, want.Node},
	}
	if have.Formed {
		flags = append(flags, bound{"shard-count", fmt.Sprint(have.ShardCount), fmt.Sprint(want.ShardCount)},
			bound{"slot-function", have.SlotFunction, want.SlotFunction})
	}
	for _, f := range flags {
		if f.have != f.want {
			return fmt.Errorf("data folder %s belongs to --%s=%s, but this node was started with --%s=%s; start it with the flags of the folder, or give it another --data", path, f.flag, f.have, f.flag, f.want)
		}
	}
	return nil
}

// refuseStrangersFiles keeps us from adopting a folder that lost its identity or was never ours.
func refuseStrangersFiles(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("data folder %s cannot be read: %w; check its owner and mode", path, err)
	}
	for _, e := range entries {
		switch e.Name() {
		case "lost+found", identityFile + ".tmp":
		default:
			return fmt.Errorf("data folder %s holds %q but no %s: it is not a kvorum folder, or lost its identity; give an empty folder with --data", path, e.Name(), identityFile)
		}
	}
	return nil
}

func newDiskID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("disk id: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

func (d *dataFolder) identity() folderIdentity {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := d.mu.identity
	peers := make(map[string]string, len(id.Peers))
	for k, v := range id.Peers {
		peers[k] = v
	}
	id.Peers, id.MeetAgain = peers, maps.Clone(id.MeetAgain)
	return id
}

// learn records the disk id of a peer, durably, the first time it is met. It reports false if the peer is known by
// another disk: then the peer's disk was wiped or swapped, and it must not take part (guard G11).
func (d *dataFolder) learn(node, disk string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, ok := d.mu.identity.Peers[node]; ok {
		if known != disk || !d.mu.identity.MeetAgain[node] {
			return known == disk, nil
		}
		delete(d.mu.identity.MeetAgain, node)
		if err := d.save(d.mu.identity); err != nil {
			d.mu.identity.MeetAgain[node] = true
			return false, err
		}
		return true, nil
	}
	d.mu.identity.Peers[node] = disk
	if err := d.save(d.mu.identity); err != nil {
		delete(d.mu.identity.Peers, node)
		return false, err
	}
	return true, nil
}

// setFormed records that Raft may start.
func (d *dataFolder) setFormed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.identity.Formed = true
	return d.save(d.mu.identity)
}

func (d *dataFolder) save(id folderIdentity) error {
	id.Version = max(id.Version, identityChecked) // the later ones are keep's to say
	var err error
	if id.Checksum, err = id.sum(); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(d.path, identityFile), append(raw, '\n'))
}

// MakeFolder makes the folder and those above it, unless they are there, and sees to it that a power cut does not take them
// away again with all that they hold: a new name is only durable once the folder that it is in was synced.
func MakeFolder(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	highest := path // whose name is not known to be durable
	for at := filepath.Dir(path); at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		}
		highest = at
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for at := path; ; at = filepath.Dir(at) {
		// an earlier start may have made the folder and died before this sync, so it is done each time; a parent that may
		// not be read was not ours to make
		if err := syncFolder(filepath.Dir(at)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		if at == highest || at == filepath.Dir(at) {
			return nil
		}
	}
}

// replaceFile writes aside, syncs, renames and syncs the folder: after a crash there is the old file or the new one.
func replaceFile(path string, content []byte) error {
	temporary := path + ".tmp"
	if err := writeSynced(temporary, content); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
