package disk

// File is an open file or folder.
type File struct {
	disk  *Disk
	node  *node
	path  string
	marks []uint64 // of the syncs under way: changes of the node that each must make durable, counted since the node was made
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
	v := f.disk.watch(Call{Kind: Read, Path: f.path, Offset: offset, Bytes: len(p)})
	if v.Errno != 0 {
		return 0, v.Errno
	}
	if offset < 0 {
		return 0, EINVAL
	}
	n := 0
	if offset < int64(len(f.node.data)) {
		n = copy(v.short(p), f.node.data[offset:])
	}
	if v.Alter != nil {
		v.Alter(p[:n])
	}
	return n, 0
}

// short cuts p to what a call with the verdict handles.
func (v Verdict) short(p []byte) []byte {
	if v.Short > 0 && v.Short < len(p) {
		return p[:v.Short]
	}
	return p
}

// WriteAt writes p to the cache, or fails. A failing write may have written a part.
func (f *File) WriteAt(p []byte, offset int64) (int, Errno) {
	if f.node.folder {
		return 0, EISDIR
	}
	if offset < 0 {
		return 0, EINVAL
	}
	v := f.disk.watch(Call{Kind: Write, Path: f.path, Offset: offset, Bytes: len(p)})
	part := v.short(p)
	if v.Errno != 0 {
		part = p[:min(v.Partial, len(p))]
	}
	if len(part) > 0 {
		if errno := f.disk.room(f.node, max(0, offset+int64(len(part))-int64(len(f.node.data)))); errno != 0 {
			return 0, errno
		}
		f.write(part, offset, v)
	}
	if v.Errno != 0 {
		return 0, v.Errno
	}
	return len(part), 0
}

// write changes the cache. A lie never reaches the platter, what goes astray reaches it elsewhere.
func (f *File) write(p []byte, offset int64, v Verdict) {
	n := f.node
	n.data = resize(n.data, max(int64(len(n.data)), offset+int64(len(p))))
	copy(n.data[offset:], p)
	if v.Stray != nil {
		offset = *v.Stray
	}
	if !v.Lie {
		n.pending = append(n.pending, change{offset: offset, bytes: append([]byte(nil), p...)})
	}
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
	if errno := f.disk.room(f.node, size-int64(len(f.node.data))); errno != 0 {
		return errno
	}
	f.node.data = resize(f.node.data, size)
	f.node.pending = append(f.node.pending, change{size: size})
	return 0
}

// BeginSync notes what the coming Sync must make durable: all changes up to now. A sync takes time; what is written
// meanwhile is the next one's.
func (f *File) BeginSync() { f.marks = append(f.marks, f.node.changes()) }

// changes counts those ever made.
func (n *node) changes() uint64 { return n.settled + uint64(len(n.pending)+len(n.renamed)) }

// due takes out how many of the pending changes a sync makes durable that ends now: those up to its BeginSync, of the earliest
// if several are under way; without one, all.
func (f *File) due() int {
	mark := f.node.changes()
	if len(f.marks) > 0 {
		mark, f.marks = f.marks[0], f.marks[1:]
	}
	return int(max(mark, f.node.settled) - f.node.settled)
}

// Sync makes the changes up to the last BeginSync durable; without one, all.
func (f *File) Sync() Errno {
	due, n := f.due(), f.node
	if n.folder {
		return f.syncFolder(due)
	}
	v := f.disk.watch(Call{Kind: Sync, Path: f.path})
	if v.Errno != 0 && !v.Dropped {
		return v.Errno
	}
	if v.Errno == 0 && !v.Lie {
		for _, c := range n.pending[:due] {
			n.durable = c.apply(n.durable)
		}
	}
	n.pending = append(n.pending[:0:0], n.pending[due:]...)
	n.settled += uint64(due)
	return v.Errno
}

func (c change) apply(b []byte) []byte {
	if c.bytes == nil {
		return resize(b, c.size)
	}
	b = resize(b, max(int64(len(b)), c.offset+int64(len(c.bytes))))
	copy(b[c.offset:], c.bytes)
	return b
}

func (f *File) syncFolder(due int) Errno {
	v := f.disk.watch(Call{Kind: SyncFolder, Path: f.path})
	if v.Errno != 0 || v.Lie {
		return v.Errno
	}
	n := f.node
	for _, r := range n.renamed[:due] {
		n.applyName(r)
	}
	n.renamed = append(n.renamed[:0:0], n.renamed[due:]...)
	n.settled += uint64(due)
	return 0
}

func (n *node) applyName(r naming) {
	if r.node == nil {
		delete(n.durableNames, r.name)
	} else {
		n.durableNames[r.name] = r.node
	}
}
