package machine

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

func (m *Machine) argsGet(mem Memory, a []uint64) uint64 {
	return putStrings(mem, m.Args, u32(a[0]), u32(a[1]))
}
func (m *Machine) argsSizes(mem Memory, a []uint64) uint64 {
	return putSizes(mem, m.Args, u32(a[0]), u32(a[1]))
}
func (m *Machine) environGet(mem Memory, a []uint64) uint64 {
	return putStrings(mem, m.Env, u32(a[0]), u32(a[1]))
}
func (m *Machine) environSizes(mem Memory, a []uint64) uint64 {
	return putSizes(mem, m.Env, u32(a[0]), u32(a[1]))
}

func putStrings(mem Memory, list []string, pointers, buffer uint32) uint64 {
	for _, s := range list {
		mem.WriteUint32(pointers, buffer)
		mem.Write(buffer, []byte(s))
		mem.Write(buffer+uint32(len(s)), []byte{0})
		pointers += 4
		buffer += uint32(len(s)) + 1
	}
	return 0
}

func putSizes(mem Memory, list []string, count, bytes uint32) uint64 {
	total := 0
	for _, s := range list {
		total += len(s) + 1
	}
	mem.WriteUint32(count, uint32(len(list)))
	mem.WriteUint32(bytes, uint32(total))
	return 0
}

func (m *Machine) clockTime(mem Memory, a []uint64) uint64 {
	if m.ran > slice {
		m.schedule(m.now())
		m.waiting = nil
		m.park() // a program that only looks at its clock must not stop the world
	}
	const realtime = 0
	reading := m.Clock.Monotonic(m.now())
	if u32(a[0]) == realtime {
		reading = m.Clock.Wall(m.now())
	}
	m.detail = uint64(reading)
	mem.WriteUint64(u32(a[2]), uint64(reading))
	return 0
}

func (m *Machine) randomGet(mem Memory, a []uint64) uint64 {
	b, ok := mem.Read(u32(a[0]), u32(a[1]))
	if !ok {
		return fault
	}
	for len(b) > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], m.Random.Uint64())
		b = b[copy(b, word[:]):]
	}
	return 0
}

func (m *Machine) procExit(_ Memory, a []uint64) uint64 {
	m.exitCode = int(u32(a[0]))
	m.trace.call(m, exitNumber, a[:1], 0)
	if m.Remains != nil {
		m.HashMemory(m.Remains)
	}
	panic(errExit)
}

const exitNumber = 1 << 16

// output hands what the program prints to the world.
func (m *Machine) output(fd uint32, b []byte) {
	m.detail = xxh3.Hash(b)
	if m.Output != nil {
		m.Output(int(fd), b)
	}
}
