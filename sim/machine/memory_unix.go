//go:build unix

package machine

import (
	"fmt"
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// mapped is memory straight from the kernel: it comes zeroed and lazily, so that a machine with a large limit costs only the
// pages that it touches, and it goes back at once when the machine ends.
type mapped struct{ all []byte }

func allocate(_, limit uint64) experimental.LinearMemory {
	b, err := syscall.Mmap(-1, 0, int(limit), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		panic(fmt.Sprintf("memory for a machine: %v", err))
	}
	return &mapped{b}
}

// Reallocate implements experimental.LinearMemory.
func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	return m.all[:size:len(m.all)]
}

// Free implements experimental.LinearMemory.
func (m *mapped) Free() {
	_ = syscall.Munmap(m.all)
	m.all = nil
}
