package faultfs

import (
	"context"
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node shows an inode of the volume to the kernel.
type node struct {
	fs.Inode
	v *volume
	n *inode
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReleaser  = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

// do runs one call of a program. Without power it does not: it waits for the end of its process.
func (f *node) do(ctx context.Context, call func() error) syscall.Errno {
	if !f.v.powered() {
		waitFor(ctx)(nil, nil)
		return syscall.EINTR
	}
	return fs.ToErrno(call())
}

// child gives the kernel's inode of n, the one it has or a new one.
func (f *node) child(ctx context.Context, n *inode, out *fuse.EntryOut) *fs.Inode {
	f.v.attributes(n, &out.Attr)
	return f.NewInode(ctx, &node{v: f.v, n: n}, fs.StableAttr{Mode: out.Mode & syscall.S_IFMT, Ino: n.id})
}

func (v *volume) attributes(n *inode, out *fuse.Attr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out.Ino, out.Nlink, out.Blksize = n.id, 1, blockBytes
	out.Mode = syscall.S_IFREG | n.perm
	if n.folder {
		out.Mode = syscall.S_IFDIR | n.perm
	}
	if n.gone {
		out.Nlink = 0
	}
	out.Owner = fuse.Owner{Uid: n.uid, Gid: n.gid}
	out.Size, out.Blocks = uint64(n.file.size), uint64(n.file.size+511)/512
	out.SetTimes(&n.changed, &n.changed, &n.changed)
}

func (f *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = f.do(ctx, func() error {
		n, err := f.v.lookup(f.n, name)
		if err == nil {
			child = f.child(ctx, n, out)
		}
		return err
	})
	return child, errno
}

func (f *node) Getattr(ctx context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return f.do(ctx, func() error {
		f.v.attributes(f.n, &out.Attr)
		return nil
	})
}

func (f *node) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return f.do(ctx, func() error {
		if size, ok := in.GetSize(); ok {
			if err := f.v.resize(f.n, int64(size)); err != nil {
				return err
			}
		}
		if err := f.v.describe(f.n, in); err != nil {
			return err
		}
		f.v.attributes(f.n, &out.Attr)
		return nil
	})
}

// describe changes mode, owner and time, which are durable at once.
func (v *volume) describe(n *inode, in *fuse.SetAttrIn) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if perm, ok := in.GetMode(); ok {
		n.perm = perm & 0o7777
	}
	if uid, ok := in.GetUID(); ok {
		n.uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		n.gid = gid
	}
	if t, ok := in.GetMTime(); ok {
		n.changed = t
	}
	if in.Valid&(fuse.FATTR_MODE|fuse.FATTR_UID|fuse.FATTR_GID) == 0 || n.gone {
		return nil
	}
	place := v.place(n)
	return errors.Join(syscall.Chown(place, int(n.uid), int(n.gid)), syscall.Chmod(place, n.perm))
}

func (f *node) make(ctx context.Context, name string, folder bool, mode uint32, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = f.do(ctx, func() error {
		var owner fuse.Owner
		if caller, ok := fuse.FromContext(ctx); ok {
			owner = caller.Owner
		}
		n, err := f.v.create(f.n, name, folder, mode, owner.Uid, owner.Gid)
		if err != nil {
			return err
		}
		child = f.child(ctx, n, out)
		if folder {
			return nil
		}
		return f.v.open(n)
	})
	return child, errno
}

func (f *node) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	child, errno := f.make(ctx, name, false, mode, out)
	return child, nil, fuse.FOPEN_KEEP_CACHE, errno
}

func (f *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return f.make(ctx, name, true, mode, out)
}

func (f *node) Unlink(ctx context.Context, name string) syscall.Errno {
	return f.do(ctx, func() error { return f.v.remove(f.n, name, false) })
}

func (f *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	return f.do(ctx, func() error { return f.v.remove(f.n, name, true) })
}

func (f *node) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	const noReplace = 1
	return f.do(ctx, func() error {
		target, ok := to.(*node)
		if !ok || flags&^noReplace != 0 {
			return syscall.EINVAL
		}
		return f.v.rename(f.n, name, target.n, newName, flags&noReplace == 0)
	})
}

func (f *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, f.do(ctx, func() error {
		if flags&syscall.O_TRUNC != 0 {
			if err := f.v.resize(f.n, 0); err != nil {
				return err
			}
		}
		return f.v.open(f.n)
	})
}

// Release must not wait: it is part of a process's end.
func (f *node) Release(context.Context, fs.FileHandle) syscall.Errno {
	f.v.close(f.n)
	return 0
}

func (f *node) Read(ctx context.Context, _ fs.FileHandle, p []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	var n int
	errno := f.do(ctx, func() (err error) {
		n, err = f.v.read(f.n, p, offset)
		return err
	})
	return fuse.ReadResultData(p[:n]), errno
}

func (f *node) Write(ctx context.Context, _ fs.FileHandle, p []byte, offset int64) (uint32, syscall.Errno) {
	errno := f.do(ctx, func() error { return f.v.write(f.n, p, offset) })
	if errno != 0 {
		return 0, errno
	}
	return uint32(len(p)), 0
}

// Fsync is also a folder's.
func (f *node) Fsync(ctx context.Context, _ fs.FileHandle, _ uint32) syscall.Errno {
	return f.do(ctx, func() error { return f.v.fsync(f.n, waitFor(ctx)) })
}

func (f *node) Readdir(ctx context.Context) (stream fs.DirStream, errno syscall.Errno) {
	errno = f.do(ctx, func() error {
		stream = fs.NewListDirStream(f.v.list(f.n))
		return nil
	})
	return stream, errno
}

func (v *volume) list(folder *inode) (entries []fuse.DirEntry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, name := range sortedNames(folder.names) {
		n := folder.names[name]
		mode := uint32(syscall.S_IFREG)
		if n.folder {
			mode = syscall.S_IFDIR
		}
		entries = append(entries, fuse.DirEntry{Name: name, Mode: mode, Ino: n.id})
	}
	return entries
}

func (f *node) Statfs(ctx context.Context, out *fuse.StatfsOut) syscall.Errno {
	return f.do(ctx, func() error {
		var backing syscall.Statfs_t
		if err := syscall.Statfs(f.v.durable, &backing); err != nil {
			return err
		}
		out.FromStatfsT(&backing)
		f.v.mu.Lock()
		defer f.v.mu.Unlock()
		if f.v.capacity > 0 {
			free := uint64(max(0, f.v.capacity-f.v.used)) / uint64(out.Bsize)
			out.Bfree, out.Bavail = min(out.Bfree, free), min(out.Bavail, free)
		}
		return nil
	})
}
