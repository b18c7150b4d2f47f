package machine

import (
	"net"
	"strconv"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/vnet"
	"github.com/zeebo/xxh3"
)

// negative is how the network's own calls report errors.
func negative(e vnet.Errno) uint64 { return uint64(uint32(-int32(e))) }

// listen: (address, length, bound) -> descriptor.
func (m *Machine) listen(mem Memory, a []uint64) uint64 {
	address, ok := mem.Read(u32(a[0]), u32(a[1]))
	if !ok {
		return negative(fault)
	}
	_, service, err := net.SplitHostPort(string(address))
	port, convErr := strconv.Atoi(service)
	if err != nil || convErr != nil || port < 0 {
		return negative(vnet.EINVAL)
	}
	l, errno := m.Host.Listen(port)
	if errno != 0 {
		return negative(errno)
	}
	mem.WriteUint32(u32(a[2]), uint32(l.Port()))
	return uint64(m.fds.add(descriptor{listener: l}))
}

// dial: (address, length) -> descriptor. It is writable when the connection is decided.
func (m *Machine) dial(mem Memory, a []uint64) uint64 {
	address, ok := mem.Read(u32(a[0]), u32(a[1]))
	if !ok {
		return negative(fault)
	}
	m.detail = xxh3.Hash(address)
	d, errno := m.Host.Dial(string(address), m.now())
	if errno != 0 {
		return negative(errno)
	}
	return uint64(m.fds.add(descriptor{dialing: d}))
}

// connected: (descriptor) -> 0, EAGAIN until it is decided, or the reason why there is no connection.
func (m *Machine) connected(_ Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	switch {
	case d == nil:
		return negative(vnet.Errno(disk.EBADF))
	case d.end != nil:
		return 0
	case d.dialing == nil:
		return negative(vnet.ENOTCONN)
	}
	end, errno := d.dialing.Done()
	if errno != 0 {
		return negative(errno)
	}
	d.end, d.dialing = end, nil
	return 0
}

// accept: (listener, flags, result).
func (m *Machine) accept(mem Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil || d.listener == nil {
		return uint64(disk.EBADF)
	}
	end, errno := d.listener.Accept()
	if errno != 0 {
		return uint64(errno)
	}
	mem.WriteUint32(u32(a[2]), m.fds.add(descriptor{end: end}))
	return 0
}

// shutdown: (socket, how).
func (m *Machine) shutdown(_ Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil || d.end == nil {
		return uint64(disk.EBADF)
	}
	const write = 2
	if u32(a[1])&write != 0 {
		return uint64(d.end.ShutdownWrite(m.now()))
	}
	return 0
}
