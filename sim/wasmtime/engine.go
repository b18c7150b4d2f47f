// Package wasmtime runs the simulator's machines by Wasmtime, two to four times as fast as wazero computes. It is a module of its
// own, since it needs cgo, a C compiler, and 50 MB of Wasmtime built beforehand for each platform, which nobody should have to
// fetch who only wants kvorum: make kvsim builds it.
//
// cgo needs to be told where the headers are: CGO_CFLAGS=-I$(go list -m -f '{{.Dir}}' github.com/bytecodealliance/wasmtime-go/v39)/build/include.
package wasmtime

/*
#include <stdlib.h>
#include "glue.h"

#cgo noescape life_run
#cgo nocallback life_run
#cgo LDFLAGS: -lm -ldl -pthread
*/
import "C"

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	_ "github.com/bytecodealliance/wasmtime-go/v39" // brings the library; its API has no calls that wait

	"github.com/kvorum/kvorum/sim/machine"
)

// version is part of the name of what is cached: other versions make other code.
const version = "wasmtime-39.0.1"

type engine struct {
	options machine.Options
	engine  *C.wasm_engine_t
	linker  *C.wasmtime_linker_t

	mu      sync.Mutex
	modules []*C.wasmtime_module_t // guarded by mu
}

// New makes an engine. Close it.
func New(_ context.Context, o machine.Options) (machine.Engine, error) {
	if o.Interpreter {
		return nil, errors.New("wasmtime has no interpreter here")
	}
	e := &engine{options: o.WithDefaults(), engine: C.new_engine()}
	e.linker = C.wasmtime_linker_new(e.engine)
	for number, f := range machine.Imports() {
		if err := e.define(f, number); err != nil {
			return nil, fmt.Errorf("host function %s: %w", f.Name, err)
		}
	}
	return e, nil
}

func (e *engine) define(f machine.Import, number int) error {
	text := func(s string) *C.char { return C.CString(s) }
	module, name, params, results := text(f.Module), text(f.Name), text(f.Params), text(f.Results)
	for _, s := range []*C.char{module, name, params, results} {
		defer C.free(unsafe.Pointer(s))
	}
	return failure(C.define(e.linker, module, name, params, results, C.uint32_t(number)), nil)
}

// failure takes what went wrong over; nil if nothing did.
func failure(e *C.wasmtime_error_t, t *C.wasm_trap_t) error {
	var message C.wasm_byte_vec_t
	switch {
	case e != nil:
		C.wasmtime_error_message(e, &message)
		C.wasmtime_error_delete(e)
	case t != nil:
		C.wasm_trap_message(t, &message)
		C.wasm_trap_delete(t)
	default:
		return nil
	}
	defer C.wasm_byte_vec_delete(&message)
	return errors.New(C.GoStringN(message.data, C.int(message.size)))
}

// Close implements machine.Engine.
func (e *engine) Close(context.Context) error {
	for _, m := range e.modules {
		C.wasmtime_module_delete(m)
	}
	C.wasmtime_linker_delete(e.linker)
	C.wasm_engine_delete(e.engine)
	return nil
}

type program struct {
	*engine
	module *C.wasmtime_module_t // the engine's
}

// Load implements machine.Engine.
func (e *engine) Load(_ context.Context, binary []byte) (machine.Program, error) {
	p := program{engine: e}
	if err := p.load(binary); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.modules = append(e.modules, p.module)
	return &p, nil
}

func (p *program) load(binary []byte) error {
	cached := ""
	if p.options.Cache != "" {
		sum := sha256.Sum256(binary)
		cached = filepath.Join(p.options.Cache, version, hex.EncodeToString(sum[:]))
		if p.read(cached) {
			return nil
		}
	}
	if err := failure(C.wasmtime_module_new(p.engine.engine, (*C.uint8_t)(&binary[0]), C.size_t(len(binary)), &p.module), nil); err != nil {
		return fmt.Errorf("compile the program of the machines: %w", err)
	}
	if cached != "" {
		if err := p.write(cached); err != nil {
			return fmt.Errorf("cache of compiled machines: %w", err)
		}
	}
	return nil
}

// read takes compiled code from a file; false: it isn't there, or is no good.
func (p *program) read(name string) bool {
	if _, err := os.Stat(name); err != nil {
		return false
	}
	path := C.CString(name)
	defer C.free(unsafe.Pointer(path))
	return failure(C.wasmtime_module_deserialize_file(p.engine.engine, path, &p.module), nil) == nil
}

// write keeps compiled code in one step: other processes read it.
func (p *program) write(name string) error {
	var code C.wasm_byte_vec_t
	if err := failure(C.wasmtime_module_serialize(p.module, &code), nil); err != nil {
		return err
	}
	defer C.wasm_byte_vec_delete(&code)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(name), "making-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(unsafe.Slice((*byte)(unsafe.Pointer(code.data)), int(code.size)))
	if err = errors.Join(err, draft.Close()); err != nil {
		return err
	}
	return os.Rename(draft.Name(), name)
}

// Run implements machine.Program.
func (p *program) Run(_ context.Context, m *machine.Machine) (err error) {
	l := (*C.life)(C.malloc(C.sizeof_life)) // Wasmtime keeps its address
	defer C.free(unsafe.Pointer(l))
	begun := C.life_begin(l, p.engine.engine, p.linker, p.module, C.int64_t(p.options.MemoryPages)<<16)
	defer C.life_end(l)
	if !begun {
		return p.ended(l)
	}
	defer func() {
		if r := recover(); r != nil { // the machine ends; the program with it
			reason, ok := r.(error)
			if _, bug := r.(runtime.Error); bug || !ok {
				panic(r)
			}
			err = reason
		}
	}()
	stack := unsafe.Slice((*uint64)(unsafe.Pointer(&l.stack[0])), len(l.stack))
	for C.life_run(l) {
		m.Call(uint32(l.number), stack, unsafe.Slice((*byte)(unsafe.Pointer(l.memory_data)), int(l.memory_size)))
	}
	return p.ended(l)
}

// ended says how; nil: well.
func (p *program) ended(l *C.life) error {
	err := failure(l.error, l.trap)
	l.error, l.trap = nil, nil
	return err
}
