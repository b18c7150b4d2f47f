package machine

import (
	"encoding/binary"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/zeebo/xxh3"
)

// path reads a path. It starts from the root, or from an open folder (by the name that this was opened by).
func (m *Machine) path(mem Memory, fd, pointer, length uint64) (string, disk.Errno) {
	d := m.fds.get(u32(fd))
	if d == nil || !d.preopen && d.file == nil {
		return "", disk.EBADF
	}
	b, ok := mem.Read(u32(pointer), u32(length))
	if !ok {
		return "", fault
	}
	m.detail = xxh3.Hash(b)
	if d.file != nil {
		return d.file.Path() + "/" + string(b), 0
	}
	return string(b), 0
}

func (m *Machine) pathOpen(mem Memory, a []uint64) uint64 {
	name, errno := m.path(mem, a[0], a[2], a[3])
	if errno != 0 {
		return uint64(errno)
	}
	const create, directory, exclusive, truncate, appends = 1, 2, 4, 8, 1
	o := u32(a[4])
	f, errno := m.Disk.Open(name, disk.Open{Create: o&create != 0, FolderOnly: o&directory != 0, Exclusive: o&exclusive != 0, Truncate: o&truncate != 0})
	if errno != 0 {
		return uint64(errno)
	}
	mem.WriteUint32(u32(a[8]), m.fds.add(descriptor{file: f, appends: u32(a[7])&appends != 0}))
	return 0
}

func (m *Machine) fdClose(_ Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	switch {
	case d == nil:
		return uint64(disk.EBADF)
	case d.listener != nil:
		d.listener.Close()
	case d.end != nil:
		d.end.Close(m.now())
	case d.dialing != nil:
		d.dialing.Cancel()
	}
	m.fds.remove(u32(a[0]))
	return 0
}

func (m *Machine) fdstatGet(mem Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil {
		return uint64(disk.EBADF)
	}
	var b [24]byte
	b[0] = d.kind()
	binary.LittleEndian.PutUint16(b[2:], d.flags)
	for i := 8; i < len(b); i++ {
		b[i] = 0xff // all rights
	}
	mem.Write(u32(a[1]), b[:])
	return 0
}

func (m *Machine) fdstatSetFlags(_ Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil {
		return uint64(disk.EBADF)
	}
	d.flags = uint16(u32(a[1]))
	return 0
}

func (m *Machine) prestatGet(mem Memory, a []uint64) uint64 {
	if u32(a[0]) != rootFD {
		return uint64(disk.EBADF)
	}
	mem.WriteUint32(u32(a[1]), 0)
	mem.WriteUint32(u32(a[1])+4, 1)
	return 0
}

func (m *Machine) prestatName(mem Memory, a []uint64) uint64 {
	if u32(a[0]) != rootFD {
		return uint64(disk.EBADF)
	}
	mem.Write(u32(a[1]), []byte("/"))
	return 0
}

// putInfo writes a filestat. Times are 0: the program uses none.
func (m *Machine) putInfo(mem Memory, at uint32, i disk.Info) uint64 {
	var b [64]byte
	binary.LittleEndian.PutUint64(b[8:], i.Inode)
	b[16] = fileType(i.Folder)
	b[24] = 1
	binary.LittleEndian.PutUint64(b[32:], uint64(i.Size))
	if !mem.Write(at, b[:]) {
		return fault
	}
	m.detail += uint64(i.Size)
	return 0
}

func fileType(folder bool) byte {
	if folder {
		return 3
	}
	return 4
}

func (m *Machine) filestatGet(mem Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	switch {
	case d == nil:
		return uint64(disk.EBADF)
	case d.file != nil:
		return m.putInfo(mem, u32(a[1]), d.file.Info())
	}
	var b [64]byte
	b[16] = d.kind()
	mem.Write(u32(a[1]), b[:])
	return 0
}

func (m *Machine) pathStat(mem Memory, a []uint64) uint64 {
	name, errno := m.path(mem, a[0], a[2], a[3])
	if errno != 0 {
		return uint64(errno)
	}
	info, errno := m.Disk.Stat(name)
	if errno != 0 {
		return uint64(errno)
	}
	return m.putInfo(mem, u32(a[4]), info)
}

func (m *Machine) mkdir(mem Memory, a []uint64) uint64 {
	name, errno := m.path(mem, a[0], a[1], a[2])
	if errno != 0 {
		return uint64(errno)
	}
	return uint64(m.Disk.Mkdir(name))
}

func (m *Machine) rmdir(mem Memory, a []uint64) uint64 {
	name, errno := m.path(mem, a[0], a[1], a[2])
	if errno != 0 {
		return uint64(errno)
	}
	return uint64(m.Disk.Remove(name, true))
}

func (m *Machine) unlink(mem Memory, a []uint64) uint64 {
	name, errno := m.path(mem, a[0], a[1], a[2])
	if errno != 0 {
		return uint64(errno)
	}
	return uint64(m.Disk.Remove(name, false))
}

func (m *Machine) rename(mem Memory, a []uint64) uint64 {
	from, errno := m.path(mem, a[0], a[1], a[2])
	if errno != 0 {
		return uint64(errno)
	}
	to, errno := m.path(mem, a[3], a[4], a[5])
	if errno != 0 {
		return uint64(errno)
	}
	return uint64(m.Disk.Rename(from, to))
}

// readdir: (fd, buffer, bytes, cookie, result). Entries are cut off at the buffer's end, as WASI wants it.
func (m *Machine) readdir(mem Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil || d.file == nil {
		return uint64(disk.EBADF)
	}
	entries, errno := d.file.Entries()
	if errno != 0 {
		return uint64(errno)
	}
	var b []byte
	for i := a[3]; i < uint64(len(entries)) && len(b) < int(u32(a[2])); i++ {
		e := entries[i]
		b = binary.LittleEndian.AppendUint64(b, i+1)
		b = binary.LittleEndian.AppendUint64(b, e.Inode)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Name)))
		b = append(b, fileType(e.Folder), 0, 0, 0)
		b = append(b, e.Name...)
	}
	b = b[:min(len(b), int(u32(a[2])))]
	m.detail = xxh3.Hash(b)
	mem.Write(u32(a[1]), b)
	mem.WriteUint32(u32(a[4]), uint32(len(b)))
	return 0
}
