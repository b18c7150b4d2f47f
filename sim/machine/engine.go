// Package machine runs programs built for wasip1, each in a WebAssembly instance of its own that stands for one computer:
// memory that a crash really loses, a disk (sim/disk), a network card (sim/vnet), clocks and a source of randomness. The host
// side of WASI is written here in full; wazero's own would read the host's clock and files.
//
// A machine is a coroutine. It runs until it waits (poll_oneoff), so exactly one machine runs at any time, and everything it
// sees comes from the timeline, its seeds, its disk and its network.
package machine

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Engine compiles programs and holds the host functions. It is safe for concurrent use by any number of worlds.
type Engine struct {
	runtime wazero.Runtime
}

// Options of an engine.
type Options struct {
	Interpreter bool   // slow; to check the compiler
	Cache       string // folder for compiled programs; "": none
	MemoryPages uint32 // of 64 KiB, a machine's memory; default 4096 (256 MiB)
}

// NewEngine makes an engine. Close it.
func NewEngine(ctx context.Context, o Options) (*Engine, error) {
	config := wazero.NewRuntimeConfigCompiler()
	if o.Interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	if o.Cache != "" && !o.Interpreter {
		cache, err := wazero.NewCompilationCacheWithDir(o.Cache)
		if err != nil {
			return nil, fmt.Errorf("cache of compiled machines: %w", err)
		}
		config = config.WithCompilationCache(cache)
	}
	if o.MemoryPages == 0 {
		o.MemoryPages = 4096
	}
	e := &Engine{runtime: wazero.NewRuntimeWithConfig(ctx, config.WithMemoryLimitPages(o.MemoryPages))}
	for _, module := range hostModules() {
		builder := e.runtime.NewHostModuleBuilder(module.name)
		for _, f := range module.functions {
			builder.NewFunctionBuilder().WithGoModuleFunction(hostFunction(f), values(f.params), values(f.results)).Export(f.name)
		}
		if _, err := builder.Instantiate(ctx); err != nil {
			return nil, fmt.Errorf("host module %s: %w", module.name, err)
		}
	}
	return e, nil
}

// Close frees all programs.
func (e *Engine) Close(ctx context.Context) error { return e.runtime.Close(ctx) }

// Program is compiled code that machines run.
type Program struct {
	engine *Engine
	code   wazero.CompiledModule
}

// Load compiles a program.
func (e *Engine) Load(ctx context.Context, binary []byte) (*Program, error) {
	code, err := e.runtime.CompileModule(ctx, binary)
	if err != nil {
		return nil, fmt.Errorf("compile the program of the machines: %w", err)
	}
	return &Program{engine: e, code: code}, nil
}

// values: i is i32, I is i64.
func values(signature string) []api.ValueType {
	types := make([]api.ValueType, len(signature))
	for i, c := range signature {
		types[i] = api.ValueTypeI32
		if c == 'I' {
			types[i] = api.ValueTypeI64
		}
	}
	return types
}

type machineKey struct{}

func hostFunction(f function) api.GoModuleFunction {
	return api.GoModuleFunc(func(ctx context.Context, module api.Module, stack []uint64) {
		m := ctx.Value(machineKey{}).(*Machine)
		m.enter(f.number, f.cost)
		for i, c := range f.params {
			if c == 'i' {
				stack[i] = uint64(uint32(stack[i])) // the upper half is not defined
			}
		}
		result := f.call(m, module.Memory(), stack)
		m.trace.call(m, f.number, stack[:len(f.params)], result)
		if f.results != "" {
			stack[0] = result
		}
	})
}

func (m *Machine) instantiate(ctx context.Context) error {
	ctx = experimental.WithMemoryAllocator(context.WithValue(ctx, machineKey{}, m), experimental.MemoryAllocatorFunc(allocate))
	instance, err := m.program.engine.runtime.InstantiateModule(ctx, m.program.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return err
	}
	m.memory = instance.Memory()
	defer instance.Close(context.WithoutCancel(ctx))
	_, err = instance.ExportedFunction("_start").Call(ctx)
	if m.lastWords != nil {
		m.lastWords(m.memory)
	}
	return err
}
