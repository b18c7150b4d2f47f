//go:build !unix

package machine

import "github.com/tetratelabs/wazero/experimental"

type onHeap struct{ all []byte }

func allocate(_, limit uint64) experimental.LinearMemory { return &onHeap{make([]byte, limit)} }

// Reallocate implements experimental.LinearMemory.
func (m *onHeap) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	return m.all[:size:len(m.all)]
}

// Free implements experimental.LinearMemory.
func (m *onHeap) Free() { m.all = nil }
