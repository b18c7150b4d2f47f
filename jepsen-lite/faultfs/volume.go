package faultfs

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// volume is the model behind the mount: what programs see is in memory, on top of what the backing holds. One lock for all
// is enough: most reads never come here, the kernel has the pages.
type volume struct {
	durable string // folder of the backing: what a power cut leaves
	limbo   string // folder of the backing: synced files and new folders that have no durable name yet

	mu       sync.Mutex
	root     *inode
	all      map[uint64]*inode // files that have a name or are open
	lastID   uint64
	lastName uint64   // number of the last change of names
	naming   []naming // changes of names that are not durable, oldest first
	used     int64    // bytes of all files that have a name
	capacity int64    // bound of used while the disk is full; 0: none
	faults   Faults
	counters Counters
	released chan struct{} // closed when a stall ends
	off      chan struct{} // closed when the power goes
	strike   int           // the power goes in the middle of so many fsyncs from now; 0: not for an fsync
}

// inode is a file or a folder.
type inode struct {
	id      uint64
	folder  bool
	perm    uint32
	uid     uint32
	gid     uint32
	changed time.Time
	opens   int
	gone    bool // no name leads to it
	buried  bool // and none in the backing, for good

	at     *inode // durable place: the folder, nil while in limbo
	called string // and the name in it

	names map[string]*inode // folder: as programs see it
	file  content           // file
}

// naming is one change of names: oldDir/oldName loses node, newDir/newName gets it; either may be missing.
type naming struct {
	number           uint64
	node, replaced   *inode
	oldDir, newDir   *inode
	oldName, newName string
}

// openVolume reads the names of what dir holds; dir is made if it is missing. What was in limbo is gone: it had no name.
func openVolume(dir string) (*volume, error) {
	v := &volume{durable: filepath.Join(dir, "durable"), limbo: filepath.Join(dir, "limbo"), off: make(chan struct{}), released: make(chan struct{}), all: map[uint64]*inode{}}
	err := errors.Join(os.RemoveAll(v.limbo), os.MkdirAll(v.durable, 0o755), os.MkdirAll(v.limbo, 0o755))
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(v.durable)
	if err != nil {
		return nil, err
	}
	v.root = v.load(info)
	return v, v.loadNames(v.root)
}

// load makes the inode of something durable.
func (v *volume) load(info fs.FileInfo) *inode {
	n := v.newInode(info.IsDir(), uint32(info.Mode().Perm()))
	n.changed = info.ModTime()
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		n.uid, n.gid = s.Uid, s.Gid
	}
	if !n.folder {
		n.file.size, n.file.whole = info.Size(), info.Size()
		v.used += info.Size()
	}
	return n
}

func (v *volume) loadNames(folder *inode) error {
	entries, err := os.ReadDir(v.place(folder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		n := v.load(info)
		n.at, n.called = folder, e.Name()
		folder.names[e.Name()] = n
		if n.folder {
			if err := v.loadNames(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *volume) newInode(folder bool, perm uint32) *inode {
	v.lastID++
	n := &inode{id: v.lastID, folder: folder, perm: perm, changed: time.Now()}
	if folder {
		n.names = map[string]*inode{}
	} else {
		v.all[n.id] = n
	}
	return n
}

// place is where the backing holds n.
func (v *volume) place(n *inode) string {
	switch {
	case n == v.root:
		return v.durable
	case n.at == nil:
		return filepath.Join(v.limbo, strconv.FormatUint(n.id, 10))
	}
	return filepath.Join(v.place(n.at), n.called)
}

// set puts faults in force.
func (v *volume) set(f Faults) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f.Full && !v.faults.Full {
		v.capacity = max(v.used, 1)
	} else if !f.Full {
		v.capacity = 0
	}
	if v.faults.StallFsync && !f.StallFsync {
		close(v.released)
		v.released = make(chan struct{})
	}
	v.faults = f
}

// count gives a copy of the counters.
func (v *volume) count() Counters {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.counters
}

// room takes so many more bytes for n, or refuses. The caller holds mu.
func (v *volume) room(n *inode, grown int64) error {
	if n.gone {
		return nil
	}
	if grown > 0 && v.capacity > 0 && v.used+grown > v.capacity {
		v.counters.NoSpace++
		return syscall.ENOSPC
	}
	v.used += grown
	return nil
}

// roomToCopy refuses to write over what is there if that takes as many bytes, for a while, and there are fewer. The caller holds mu.
func (v *volume) roomToCopy(n *inode, bytes int64) error {
	if v.faults.CopyOnWrite && v.capacity > 0 && !n.gone && v.used+bytes > v.capacity {
		v.counters.NoSpace++
		return syscall.ENOSPC
	}
	return nil
}

// open and close count who uses a file that may lose its name.
func (v *volume) open(n *inode) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.ensure(n); err != nil {
		return err
	}
	n.opens++
	return nil
}

func (v *volume) close(n *inode) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n.opens--
	v.maybeRelease(n)
}

// maybeRelease forgets a file that nobody can reach any more. Its bytes in the backing stay while its removal is not durable.
func (v *volume) maybeRelease(n *inode) {
	if n.gone && n.opens == 0 && !n.folder {
		n.file.release()
		delete(v.all, n.id)
	}
}

// shutdown makes everything durable, as an orderly unmount does.
func (v *volume) shutdown() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	err := v.settle(func(naming) bool { return true })
	for _, n := range v.files() {
		if len(n.file.pending) > 0 {
			err = errors.Join(err, v.flush(n, len(n.file.pending)))
		}
		n.file.release()
	}
	return errors.Join(err, os.RemoveAll(v.limbo))
}

// files lists them in the order in which they were made: draws must come in one order.
func (v *volume) files() []*inode {
	return slices.SortedFunc(maps.Values(v.all), func(a, b *inode) int { return cmp.Compare(a.id, b.id) })
}
