// Package machine runs programs built for wasip1, each in a WebAssembly instance of its own that stands for one computer:
// memory that a crash really loses, a disk (sim/disk), a network card (sim/vnet), clocks and a source of randomness. The host
// side of WASI is written here in full; the engines' own would read the host's clock and files.
//
// A machine is a coroutine. It runs until it waits (poll_oneoff), so exactly one machine runs at any time, and everything it
// sees comes from the timeline, its seeds, its disk and its network.
package machine

import "context"

// Engine compiles programs. It is safe for concurrent use by any number of worlds. What it is, nothing in a world can tell: the
// same program has the same trace and the same memory on each.
type Engine interface {
	Load(ctx context.Context, binary []byte) (Program, error)
	Close(ctx context.Context) error // frees all programs
}

// Program is compiled code that machines run.
type Program interface {
	// Run makes an instance of the program and runs its _start to the end, on the goroutine that called. It calls m.Call for
	// each host function; what that panics with unwinds the program, and Run returns it.
	Run(ctx context.Context, m *Machine) error
}

// Options of an engine.
type Options struct {
	Interpreter bool   // slow; to check the compiler
	Cache       string // folder for compiled programs; "": none
	MemoryPages uint32 // of 64 KiB, a machine's memory; default 4096 (256 MiB)
}

// WithDefaults fills in what is zero.
func (o Options) WithDefaults() Options {
	if o.MemoryPages == 0 {
		o.MemoryPages = 4096
	}
	return o
}

// Import is a host function that a program can import. In its signatures i is i32, I is i64; there is one result at most.
type Import struct {
	Module, Name    string
	Params, Results string
}

// Imports are all host functions, by their number in the trace.
func Imports() (list []Import) {
	for _, module := range hostModules() {
		for _, f := range module.functions {
			list = append(list, Import{module.name, f.name, f.params, f.results})
		}
	}
	return list
}

// Call makes a host call of the program. The stack holds its arguments; the result, if there is one, comes in stack[0]. A call may
// park the machine, and the world goes on meanwhile. It panics when the program has to end.
func (m *Machine) Call(number uint32, stack []uint64, memory Memory) {
	f := &m.functions[number]
	m.memory = memory
	m.enter(f.number, f.cost)
	for i, c := range f.params {
		if c == 'i' {
			stack[i] = uint64(uint32(stack[i])) // the upper half is not defined
		}
	}
	result := f.call(m, memory, stack)
	m.trace.call(m, f.number, stack[:len(f.params)], result)
	if f.results != "" {
		stack[0] = result
	}
}
