// Package disk is the simulator's disk: a small file system that knows what is durable and what a power cut would take.
//
// Every change first exists only in the cache (what a running program sees). Sync moves a file's or a directory's changes to
// the platter. Crash throws the cache away, after letting as much of it reach the platter as a Plan says: nothing, a prefix,
// any subset, torn at a sector. A new, renamed or removed name is a change of its directory: it needs the directory's sync.
package disk

import (
	"path"
	"strings"
)

// SectorBytes is the unit that a power cut never tears (of the real thing: what a drive promises).
const SectorBytes = 512

// Disk is not safe for concurrent use.
type Disk struct {
	// Capacity bounds the bytes of all files; 0: no bound. A write beyond it is ENOSPC.
	Capacity int64
	// Watch, if set, is asked before each call that touches the platter or the names, and decides what comes of it.
	Watch func(Call) Verdict

	// Refused counts calls that failed because of Capacity.
	Refused int64

	root *node
	next uint64
	used int64
}

// Call is one call of the running program.
type Call struct {
	Kind   Kind
	Path   string // as it was when the file was opened
	Offset int64
	Bytes  int
}

// Kind of a call.
type Kind uint8

// The calls that Watch sees.
const (
	Read Kind = iota
	Write
	Truncate
	Sync
	Create
	Rename
	Remove
	SyncFolder
)

func (k Kind) String() string {
	return [...]string{"read", "write", "truncate", "sync", "create", "rename", "remove", "sync-folder"}[k]
}

// Verdict is what comes of a call. The zero Verdict lets it happen.
type Verdict struct {
	Errno   Errno  // not 0: the call fails with it
	Partial int    // of a failing write: so many bytes arrive all the same
	Short   int    // of a read or a write that succeeds: so many bytes at most, the program must ask for the rest; 0: all
	Dropped bool   // of a failing sync: the cache forgets that the changes are not durable, so a later sync does not save them (fsyncgate)
	Lie     bool   // of a sync or a write: say that all is well and keep nothing durable
	Stray   *int64 // of a write that succeeds: what arrives on the platter, at the next sync, arrives at this offset of the file and not at its own

	// Alter, if set, changes what a successful read gave; the file stays as it is. It is called with no bytes at the file's end.
	Alter func(p []byte)
}

// node is a file or a folder.
type node struct {
	id     uint64
	folder bool

	data    []byte   // file: the cache
	durable []byte   // file: the platter
	pending []change // file: from durable to data, oldest first
	settled uint64   // file: changes, folder: names that ever left pending or renamed
	gone    bool     // file: no name leads to it, so its bytes do not count as used

	names        map[string]*node // folder: the cache
	durableNames map[string]*node // folder: the platter
	renamed      []naming         // folder: from durableNames to names, oldest first
}

// change is a write of bytes at offset, or, without bytes, a new size.
type change struct {
	offset int64
	bytes  []byte
	size   int64 // of a truncation
}

// naming sets name to node, or removes it.
type naming struct {
	name string
	node *node
	pair int // names changed in one rename have one number: on the platter they change together, or in a prefix of folders
}

// New returns an empty disk.
func New() *Disk {
	d := &Disk{}
	d.root = d.newNode(true)
	return d
}

func (d *Disk) newNode(folder bool) *node {
	d.next++
	n := &node{id: d.next, folder: folder}
	if folder {
		n.names, n.durableNames = map[string]*node{}, map[string]*node{}
	}
	return n
}

func (d *Disk) watch(c Call) Verdict {
	if d.Watch == nil {
		return Verdict{}
	}
	return d.Watch(c)
}

// split cleans name into its parts; the root has none.
func split(name string) []string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// find returns the node of name in the cache.
func (d *Disk) find(name string) (*node, Errno) {
	n := d.root
	for _, part := range split(name) {
		if !n.folder {
			return nil, ENOTDIR
		}
		child, ok := n.names[part]
		if !ok {
			return nil, ENOENT
		}
		n = child
	}
	return n, 0
}

// parent returns the folder of name and its last part.
func (d *Disk) parent(name string) (*node, string, Errno) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", EINVAL
	}
	folder, errno := d.find(strings.Join(parts[:len(parts)-1], "/"))
	if errno != 0 {
		return nil, "", errno
	}
	if !folder.folder {
		return nil, "", ENOTDIR
	}
	return folder, parts[len(parts)-1], 0
}

func (n *node) set(name string, child *node) {
	if child == nil {
		delete(n.names, name)
	} else {
		n.names[name] = child
	}
	n.renamed = append(n.renamed, naming{name: name, node: child})
}

// Mkdir makes a folder.
func (d *Disk) Mkdir(name string) Errno {
	folder, last, errno := d.parent(name)
	if errno != 0 {
		return errno
	}
	if _, ok := folder.names[last]; ok {
		return EEXIST
	}
	if v := d.watch(Call{Kind: Create, Path: name}); v.Errno != 0 {
		return v.Errno
	}
	folder.set(last, d.newNode(true))
	return 0
}

// Remove takes a name away. Open files stay readable.
func (d *Disk) Remove(name string, folderWanted bool) Errno {
	folder, last, errno := d.parent(name)
	if errno != 0 {
		return errno
	}
	n, ok := folder.names[last]
	switch {
	case !ok:
		return ENOENT
	case n.folder && !folderWanted:
		return EISDIR
	case !n.folder && folderWanted:
		return ENOTDIR
	case n.folder && len(n.names) > 0:
		return ENOTEMPTY
	}
	if v := d.watch(Call{Kind: Remove, Path: name}); v.Errno != 0 {
		return v.Errno
	}
	folder.set(last, nil)
	d.unlinked(n)
	return 0
}

// Rename moves a file or folder, replacing what has the new name.
func (d *Disk) Rename(from, to string) Errno {
	oldFolder, oldName, errno := d.parent(from)
	if errno != 0 {
		return errno
	}
	newFolder, newName, errno := d.parent(to)
	if errno != 0 {
		return errno
	}
	n, ok := oldFolder.names[oldName]
	if !ok {
		return ENOENT
	}
	old := newFolder.names[newName]
	switch {
	case old == n:
		return 0
	case old != nil && old.folder && !n.folder:
		return EISDIR
	case old != nil && !old.folder && n.folder:
		return ENOTDIR
	case old != nil && old.folder && len(old.names) > 0:
		return ENOTEMPTY
	}
	if v := d.watch(Call{Kind: Rename, Path: to}); v.Errno != 0 {
		return v.Errno
	}
	d.next++
	pair := int(d.next)
	newFolder.set(newName, n)
	newFolder.renamed[len(newFolder.renamed)-1].pair = pair
	oldFolder.set(oldName, nil)
	oldFolder.renamed[len(oldFolder.renamed)-1].pair = pair
	if old != nil {
		d.unlinked(old)
	}
	return 0
}

// unlinked gives the room of n back.
func (d *Disk) unlinked(n *node) {
	if !n.gone {
		n.gone = true
		d.used -= int64(len(n.data))
	}
}

// room takes so many more bytes for n, or refuses.
func (d *Disk) room(n *node, grown int64) Errno {
	switch {
	case n.gone || grown == 0:
		return 0
	case grown > 0 && d.Capacity > 0 && d.used+grown > d.Capacity:
		d.Refused++
		return ENOSPC
	}
	d.used += grown
	return 0
}

// Info describes a file or folder.
type Info struct {
	Inode  uint64
	Folder bool
	Size   int64
}

func (n *node) info() Info { return Info{Inode: n.id, Folder: n.folder, Size: int64(len(n.data))} }

// Stat describes what has the name.
func (d *Disk) Stat(name string) (Info, Errno) {
	n, errno := d.find(name)
	if errno != 0 {
		return Info{}, errno
	}
	return n.info(), 0
}

// Entry is one name of a folder.
type Entry struct {
	Name string
	Info
}

// entries are sorted by name: a machine must never see the host's map order.
func (n *node) entries() []Entry {
	list := make([]Entry, 0, len(n.names))
	for _, name := range sortedKeys(n.names) {
		list = append(list, Entry{name, n.names[name].info()})
	}
	return list
}

// Used is the number of bytes of all files.
func (d *Disk) Used() int64 { return d.used }
