package machine

import (
	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/vnet"
	"github.com/zeebo/xxh3"
)

// vector is the first buffer of a list: Go never gives more than one.
func vector(mem Memory, list, count uint64) ([]byte, bool) {
	if u32(count) != 1 {
		return nil, u32(count) == 0
	}
	pointer, ok := mem.ReadUint32(u32(list))
	if !ok {
		return nil, false
	}
	length, ok := mem.ReadUint32(u32(list) + 4)
	if !ok {
		return nil, false
	}
	return mem.Read(pointer, length)
}

func (m *Machine) pread(mem Memory, a []uint64) uint64 {
	d, hasWaited := m.descriptor(a[0])
	b, ok := vector(mem, a[1], a[2])
	switch {
	case d == nil || d.file == nil:
		return uint64(disk.EBADF)
	case !ok:
		return fault
	case !hasWaited && m.mustWait(mem, a[4], d.file, disk.Read, len(b)):
		return busy
	}
	n, errno := d.file.ReadAt(b, int64(a[3]))
	m.detail = xxh3.Hash(b[:n])
	mem.WriteUint32(u32(a[4]), uint32(n))
	return uint64(errno)
}

func (m *Machine) pwrite(mem Memory, a []uint64) uint64 {
	d, hasWaited := m.descriptor(a[0])
	b, ok := vector(mem, a[1], a[2])
	switch {
	case d == nil || d.file == nil:
		return uint64(disk.EBADF)
	case !ok:
		return fault
	case !hasWaited && m.mustWait(mem, a[4], d.file, disk.Write, len(b)):
		return busy
	}
	m.detail = xxh3.Hash(b)
	n, errno := d.file.WriteAt(b, int64(a[3]))
	mem.WriteUint32(u32(a[4]), uint32(n))
	return uint64(errno)
}

func (m *Machine) fdRead(mem Memory, a []uint64) uint64 {
	d, hasWaited := m.descriptor(a[0])
	b, ok := vector(mem, a[1], a[2])
	var n int
	var errno uint64
	switch {
	case d == nil:
		return uint64(disk.EBADF)
	case !ok:
		return fault
	case d.stream: // an empty standard input
	case d.end != nil:
		var e vnet.Errno
		n, e = d.end.Read(b)
		errno = uint64(e)
	case d.file != nil && !hasWaited && m.mustWait(mem, a[3], d.file, disk.Read, len(b)):
		return busy
	case d.file != nil:
		var e disk.Errno
		n, e = d.file.ReadAt(b, d.offset)
		errno = uint64(e)
		d.offset += int64(n)
	default:
		return uint64(disk.EBADF)
	}
	m.detail = xxh3.Hash(b[:n])
	mem.WriteUint32(u32(a[3]), uint32(n))
	return errno
}

func (m *Machine) fdWrite(mem Memory, a []uint64) uint64 {
	d, hasWaited := m.descriptor(a[0])
	b, ok := vector(mem, a[1], a[2])
	n := len(b)
	var errno uint64
	switch {
	case d == nil:
		return uint64(disk.EBADF)
	case !ok:
		return fault
	case d.stream:
		m.output(u32(a[0]), b)
	case d.end != nil:
		m.detail = xxh3.Hash(b)
		var e vnet.Errno
		n, e = d.end.Write(b, m.now())
		errno = uint64(e)
	case d.file != nil && !hasWaited && m.mustWait(mem, a[3], d.file, disk.Write, len(b)):
		return busy
	case d.file != nil:
		m.detail = xxh3.Hash(b)
		if d.appends {
			d.offset = d.file.Info().Size
		}
		var e disk.Errno
		n, e = d.file.WriteAt(b, d.offset)
		errno = uint64(e)
		d.offset += int64(n)
	default:
		return uint64(disk.EBADF)
	}
	mem.WriteUint32(u32(a[3]), uint32(n))
	return errno
}

func (m *Machine) seek(mem Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil || d.file == nil {
		return uint64(disk.EBADF)
	}
	const current, end = 1, 2
	offset := int64(a[1])
	switch u32(a[2]) {
	case current:
		offset += d.offset
	case end:
		offset += d.file.Info().Size
	}
	if offset < 0 {
		return invalid
	}
	d.offset = offset
	mem.WriteUint64(u32(a[3]), uint64(offset))
	return 0
}

func (m *Machine) filestatSetSize(_ Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil || d.file == nil {
		return uint64(disk.EBADF)
	}
	return uint64(d.file.Truncate(int64(a[1])))
}

func (m *Machine) sync(_ Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil || d.file == nil {
		return uint64(disk.EBADF)
	}
	return uint64(d.file.Sync())
}
