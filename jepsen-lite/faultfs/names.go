package faultfs

import (
	"errors"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"
)

func sortedNames(m map[string]*inode) []string { return slices.Sorted(maps.Keys(m)) }

func (n *inode) touch() { n.changed = time.Now() }

// lookup finds a name.
func (v *volume) lookup(folder *inode, name string) (*inode, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok := folder.names[name]
	if !ok {
		return nil, syscall.ENOENT
	}
	return n, nil
}

// create makes a file or a folder. Its name is not durable.
func (v *volume) create(parent *inode, name string, folder bool, perm, uid, gid uint32) (*inode, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.faults.FailWrites {
		v.counters.WriteErrors++
		return nil, syscall.EIO
	}
	if _, ok := parent.names[name]; ok {
		return nil, syscall.EEXIST
	}
	n := v.newInode(folder, perm&0o7777)
	n.uid, n.gid = uid, gid
	if folder {
		if err := os.Mkdir(v.place(n), os.FileMode(perm).Perm()); err != nil {
			return nil, err
		}
		_ = os.Chown(v.place(n), int(uid), int(gid)) // fails if we are not root: then all files are ours
	} else if err := v.ensure(n); err != nil {
		return nil, err
	}
	parent.names[name] = n
	parent.touch()
	v.change(naming{node: n, newDir: parent, newName: name})
	return n, nil
}

// remove takes a name away.
func (v *volume) remove(parent *inode, name string, folder bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok := parent.names[name]
	switch {
	case !ok:
		return syscall.ENOENT
	case v.faults.FailWrites:
		v.counters.WriteErrors++
		return syscall.EIO
	case n.folder && !folder:
		return syscall.EISDIR
	case !n.folder && folder:
		return syscall.ENOTDIR
	case len(n.names) > 0:
		return syscall.ENOTEMPTY
	}
	delete(parent.names, name)
	parent.touch()
	v.change(naming{node: n, oldDir: parent, oldName: name})
	v.unlinked(n)
	return nil
}

// unlinked gives the room of n back.
func (v *volume) unlinked(n *inode) {
	n.gone = true
	v.used -= n.file.size
	v.maybeRelease(n)
}

// rename moves a file or folder, replacing what has the new name.
func (v *volume) rename(from *inode, oldName string, to *inode, newName string, mayReplace bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok := from.names[oldName]
	old := to.names[newName]
	switch {
	case !ok:
		return syscall.ENOENT
	case v.faults.FailWrites:
		v.counters.WriteErrors++
		return syscall.EIO
	case old == n:
		return nil
	case old != nil && !mayReplace:
		return syscall.EEXIST
	case old != nil && old.folder && !n.folder:
		return syscall.EISDIR
	case old != nil && !old.folder && n.folder:
		return syscall.ENOTDIR
	case old != nil && len(old.names) > 0:
		return syscall.ENOTEMPTY
	}
	delete(from.names, oldName)
	to.names[newName] = n
	from.touch()
	to.touch()
	v.change(naming{node: n, oldDir: from, oldName: oldName, newDir: to, newName: newName, replaced: old})
	if old != nil {
		v.unlinked(old)
	}
	return nil
}

// change notes a change of names that is not durable yet.
func (v *volume) change(c naming) {
	v.lastName++
	c.number = v.lastName
	v.naming = append(v.naming, c)
}

// settleFolder makes durable what had changed in one folder when the change numbered last was made. A rename between two
// folders is one change of both, so what came before it in the other one becomes durable too.
func (v *volume) settleFolder(folder *inode, last uint64) error {
	concerned := map[*inode]bool{folder: true}
	due := map[uint64]bool{}
	for _, c := range slices.Backward(v.naming) {
		if c.number <= last && (concerned[c.oldDir] || concerned[c.newDir]) {
			due[c.number] = true
			concerned[c.oldDir], concerned[c.newDir] = true, true
			delete(concerned, nil)
		}
	}
	return v.settle(func(c naming) bool { return due[c.number] })
}

// settle makes those changes of names durable that are due, oldest first.
func (v *volume) settle(due func(naming) bool) error {
	var errs []error
	var rest []naming
	for _, c := range v.naming {
		if due(c) {
			errs = append(errs, v.apply(c))
		} else {
			rest = append(rest, c)
		}
	}
	v.naming = rest
	return errors.Join(errs...)
}

// apply changes the backing. A folder that is not durable itself takes its names along when it becomes so.
func (v *volume) apply(c naming) error {
	old := v.place(c.node)
	if c.newDir == nil || c.newDir.buried {
		c.node.bury()
		return os.RemoveAll(old) // of a folder, names whose removal is not durable go along
	}
	c.node.at, c.node.called = c.newDir, c.newName
	if c.replaced != nil {
		c.replaced.bury()
		if err := os.RemoveAll(v.place(c.node)); err != nil { // for the same reason
			return err
		}
	}
	return os.Rename(old, v.place(c.node))
}

// bury: nothing durable is left of n.
func (n *inode) bury() { n.at, n.called, n.buried = nil, "", true }
