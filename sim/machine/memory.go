package machine

import "encoding/binary"

// Memory is a machine's, as it stands: after the program has run on it may be another slice.
type Memory []byte

// Read is a view of n bytes at an address; false if they are not all there.
func (m Memory) Read(at, n uint32) ([]byte, bool) {
	if uint64(at)+uint64(n) > uint64(len(m)) {
		return nil, false
	}
	return m[at : uint64(at)+uint64(n) : uint64(at)+uint64(n)], true
}

// Write copies b to an address; false if there is no room.
func (m Memory) Write(at uint32, b []byte) bool {
	to, ok := m.Read(at, uint32(len(b)))
	copy(to, b)
	return ok
}

// WriteUint32 writes a number as WebAssembly has it.
func (m Memory) WriteUint32(at, v uint32) bool {
	to, ok := m.Read(at, 4)
	if ok {
		binary.LittleEndian.PutUint32(to, v)
	}
	return ok
}

// WriteUint64 writes a number as WebAssembly has it.
func (m Memory) WriteUint64(at uint32, v uint64) bool {
	to, ok := m.Read(at, 8)
	if ok {
		binary.LittleEndian.PutUint64(to, v)
	}
	return ok
}

// ReadUint32 reads one.
func (m Memory) ReadUint32(at uint32) (uint32, bool) {
	b, ok := m.Read(at, 4)
	if !ok {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b), true
}
