package disk

// File is an open file or folder.
type File struct {
	disk *Disk
	node *node
	path string
	mark int // pending changes when the sync under way began; see BeginSync
}

// Open flags.
type Open struct {
	Create, Exclusive, Truncate, FolderOnly bool
}

// Open opens what has the name.
func (d *Disk) Open(name string, o Open) (*File, Errno) {
	n, errno := d.find(name)
	switch {
	case errno == ENOENT && o.Create:
		folder, last, errno := d.parent(name)
		if errno != 0 {
			return nil, errno
		}
		if v := d.watch(Call{Kind: Create, Path: name}); v.Errno != 0 {
			return nil, v.Errno
		}
		n = d.newNode(false)
		folder.set(last, n)
	case errno != 0:
		return nil, errno
	case o.Create && o.Exclusive:
		return nil, EEXIST
	case o.FolderOnly && !n.folder:
		return nil, ENOTDIR
	}
	f := &File{disk: d, node: n, path: name}
	if o.Truncate && !n.folder && len(n.data) > 0 {
		if errno := f.Truncate(0); errno != 0 {
			return nil, errno
		}
	}
	return f, 0
}

// Info describes the open file.
func (f *File) Info() Info { return f.node.info() }

// Path is the name that the file was opened by.
func (f *File) Path() string { return f.path }

// Entries lists an open folder, sorted by name.
func (f *File) Entries() ([]Entry, Errno) {
	if !f.node.folder {
		return nil, ENOTDIR
	}
	return f.node.entries(), 0
}

// ReadAt reads into p; 0 bytes at the end of the file.
func (f *File) ReadAt(p []byte, offset int64) (int, Errno) {
	if f.node.folder {
		return 0, EISDIR
	}
	if v := f.disk.watch(Call{Kind: Read, Path: f.path, Offset: offset, Bytes: len(p)}); v.Errno != 0 {
		return 0, v.Errno
	}
	if offset < 0 {
		return 0, EINVAL
	}
	if offset >= int64(len(f.node.data)) {
		return 0, 0
	}
	return copy(p, f.node.data[offset:]), 0
}

// WriteAt writes all of p to the cache, or fails. A failing write may have written a part.
func (f *File) WriteAt(p []byte, offset int64) (int, Errno) {
	if f.node.folder {
		return 0, EISDIR
	}
	if offset < 0 {
		return 0, EINVAL
	}
	v := f.disk.watch(Call{Kind: Write, Path: f.path, Offset: offset, Bytes: len(p)})
	if v.Errno != 0 {
		f.write(p[:min(v.Partial, len(p))], offset, false)
		return 0, v.Errno
	}
	if grown := offset + int64(len(p)) - int64(len(f.node.data)); grown > 0 && f.disk.Capacity > 0 && f.disk.used+grown > f.disk.Capacity {
		return 0, ENOSPC
	}
	f.write(p, offset, v.Lie)
	return len(p), 0
}

func (f *File) write(p []byte, offset int64, lie bool) {
	if len(p) == 0 {
		return
	}
	n := f.node
	f.disk.used += n.grow(offset + int64(len(p)))
	copy(n.data[offset:], p)
	if lie {
		n.lost = true
		return
	}
	n.pending = append(n.pending, change{offset: offset, bytes: append([]byte(nil), p...)})
}

// grow makes data at least size long and returns by how much it grew.
func (n *node) grow(size int64) int64 {
	grown := size - int64(len(n.data))
	if grown <= 0 {
		return 0
	}
	n.data = resize(n.data, size)
	return grown
}

// resize cuts b or fills it up with zeros.
func resize(b []byte, size int64) []byte {
	old := int64(len(b))
	if size <= old {
		return b[:size]
	}
	if size <= int64(cap(b)) {
		b = b[:size]
		clear(b[old:])
		return b
	}
	bigger := make([]byte, size, size+size/4)
	copy(bigger, b)
	return bigger
}

// Truncate sets the size.
func (f *File) Truncate(size int64) Errno {
	if f.node.folder {
		return EISDIR
	}
	if size < 0 {
		return EINVAL
	}
	v := f.disk.watch(Call{Kind: Truncate, Path: f.path, Offset: size})
	if v.Errno != 0 {
		return v.Errno
	}
	grown := size - int64(len(f.node.data))
	if grown > 0 && f.disk.Capacity > 0 && f.disk.used+grown > f.disk.Capacity {
		return ENOSPC
	}
	f.disk.used += grown
	f.node.data = resize(f.node.data, size)
	f.node.pending = append(f.node.pending, change{size: size})
	return 0
}

// BeginSync notes what the coming Sync must make durable: all changes up to now. A sync takes time; what is written
// meanwhile is the next one's.
func (f *File) BeginSync() {
	if f.node.folder {
		f.mark = len(f.node.renamed)
	} else {
		f.mark = len(f.node.pending)
	}
}

// Sync makes the changes up to the last BeginSync durable; without one, all.
func (f *File) Sync() Errno {
	mark := f.mark
	f.mark = 0
	if f.node.folder {
		return f.syncFolder(mark)
	}
	v := f.disk.watch(Call{Kind: Sync, Path: f.path})
	n := f.node
	if mark == 0 || mark > len(n.pending) {
		mark = len(n.pending)
	}
	switch {
	case v.Errno != 0 && v.Dropped, v.Errno == 0 && v.Lie:
		n.lost = n.lost || mark > 0
		n.pending = n.pending[mark:]
		return v.Errno
	case v.Errno != 0:
		return v.Errno
	}
	for _, c := range n.pending[:mark] {
		n.durable = c.apply(n.durable)
	}
	n.pending = append(n.pending[:0:0], n.pending[mark:]...)
	return 0
}

func (c change) apply(b []byte) []byte {
	if c.bytes == nil {
		return resize(b, c.size)
	}
	b = resize(b, max(int64(len(b)), c.offset+int64(len(c.bytes))))
	copy(b[c.offset:], c.bytes)
	return b
}

func (f *File) syncFolder(mark int) Errno {
	v := f.disk.watch(Call{Kind: SyncFolder, Path: f.path})
	if v.Errno != 0 || v.Lie {
		return v.Errno
	}
	n := f.node
	if mark == 0 || mark > len(n.renamed) {
		mark = len(n.renamed)
	}
	for _, r := range n.renamed[:mark] {
		n.applyName(r)
	}
	n.renamed = append(n.renamed[:0:0], n.renamed[mark:]...)
	return 0
}

func (n *node) applyName(r naming) {
	if r.node == nil {
		delete(n.durableNames, r.name)
	} else {
		n.durableNames[r.name] = r.node
	}
}
