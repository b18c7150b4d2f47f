package faultfs

import (
	"errors"
	"io"
	"os"
	"syscall"
)

const (
	blockBytes  = 4096
	sectorBytes = 512 // what a drive writes as a whole or not at all
)

// content is a file's bytes: those of the backing file, and on top of them what is not synced.
type content struct {
	size    int64            // as programs see it
	whole   int64            // bytes of the backing file that still hold: a truncation has cut off the others
	blocks  map[int64][]byte // that differ from the backing, whole blocks
	pending []change         // that lead from the backing to what programs see, oldest first
	settled int64            // changes that ever left pending
	forgot  bool             // a failed fsync forgot changes: only blocks have them
	backing *os.File         // opened with the file; outlives its name
}

// change is a write of bytes at offset, or, without bytes, a new size.
type change struct {
	offset int64
	bytes  []byte
	size   int64
}

func (c *content) release() {
	if c.backing != nil {
		_ = c.backing.Close() // synced or worthless
	}
	c.backing, c.blocks, c.pending = nil, nil, nil
}

// ensure opens the backing file of n, and makes it if n is new. It must come before n can lose its name.
func (v *volume) ensure(n *inode) error {
	if n.file.backing != nil {
		return nil
	}
	f, err := os.OpenFile(v.place(n), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(os.FileMode(n.perm)), f.Chown(int(n.uid), int(n.gid))); err != nil && os.Geteuid() == 0 {
		return errors.Join(err, f.Close())
	}
	n.file.backing = f
	return nil
}

// read fills p from offset and returns how much there is.
func (v *volume) read(n *inode, p []byte, offset int64) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.faults.FailReads {
		v.counters.ReadErrors++
		return 0, syscall.EIO
	}
	if offset >= n.file.size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), n.file.size-offset)]
	return len(p), v.fill(n, p, offset)
}

// fill reads what programs see, zeros beyond the size.
func (v *volume) fill(n *inode, p []byte, offset int64) error {
	clear(p)
	if offset < n.file.whole {
		if err := v.ensure(n); err != nil {
			return err
		}
		_, err := n.file.backing.ReadAt(p[:min(int64(len(p)), n.file.whole-offset)], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	end := offset + int64(len(p))
	for block := offset / blockBytes; len(n.file.blocks) > 0 && block*blockBytes < end; block++ {
		if b, ok := n.file.blocks[block]; ok {
			start := block * blockBytes
			from, to := max(start, offset), min(start+blockBytes, end)
			copy(p[from-offset:to-offset], b[from-start:to-start])
		}
	}
	return nil
}

// write changes what programs see.
func (v *volume) write(n *inode, p []byte, offset int64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.faults.FailWrites {
		v.counters.WriteErrors++
		return syscall.EIO
	}
	if err := v.roomToCopy(n, int64(len(p))); err != nil {
		return err
	}
	if err := v.room(n, max(0, offset+int64(len(p))-n.file.size)); err != nil {
		return err
	}
	c := change{offset: offset, bytes: append([]byte{}, p...)}
	n.file.pending = append(n.file.pending, c)
	n.touch()
	return v.show(n, c)
}

// resize sets the size.
func (v *volume) resize(n *inode, size int64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.faults.FailWrites {
		v.counters.WriteErrors++
		return syscall.EIO
	}
	if err := v.room(n, size-n.file.size); err != nil {
		return err
	}
	c := change{size: size}
	n.file.pending = append(n.file.pending, c)
	n.touch()
	return v.show(n, c)
}

// show applies a change to what programs see.
func (v *volume) show(n *inode, c change) error {
	f := &n.file
	if f.blocks == nil {
		f.blocks = map[int64][]byte{}
	}
	if c.bytes == nil {
		f.cut(c.size)
		return nil
	}
	for len(c.bytes) > 0 {
		block, at := c.offset/blockBytes, c.offset%blockBytes
		b, err := v.block(n, block)
		if err != nil {
			return err
		}
		done := copy(b[at:], c.bytes)
		c.offset, c.bytes = c.offset+int64(done), c.bytes[done:]
	}
	f.size = max(f.size, c.offset)
	return nil
}

// block gives the changed block, copied from below if it is the first change of it.
func (v *volume) block(n *inode, block int64) ([]byte, error) {
	if b, ok := n.file.blocks[block]; ok {
		return b, nil
	}
	b := make([]byte, blockBytes)
	if err := v.fill(n, b, block*blockBytes); err != nil {
		return nil, err
	}
	n.file.blocks[block] = b
	return b, nil
}

// cut sets the size as programs see it. What is cut off reads as zeros should the file grow again.
func (c *content) cut(size int64) {
	c.whole = min(c.whole, size)
	for block, b := range c.blocks {
		if start := block * blockBytes; start >= size {
			delete(c.blocks, block)
		} else if start+blockBytes > size {
			clear(b[size-start:])
		}
	}
	c.size = size
}

// flush moves the first so many pending changes to the backing file.
func (v *volume) flush(n *inode, count int) error {
	if err := v.ensure(n); err != nil {
		return err
	}
	f := &n.file
	for _, c := range f.pending[:count] {
		if err := c.apply(f.backing); err != nil {
			return err
		}
	}
	f.settle(count)
	if len(f.pending) == 0 && !f.forgot { // the backing alone is what programs see
		f.blocks, f.whole = nil, f.size
	}
	return nil
}

// settle takes changes out of pending: they have arrived, or never will.
func (c *content) settle(count int) {
	c.pending = append([]change(nil), c.pending[count:]...)
	c.settled += int64(count)
}

func (c change) apply(f *os.File) error {
	if c.bytes == nil {
		return f.Truncate(c.size)
	}
	_, err := f.WriteAt(c.bytes, c.offset)
	return err
}
