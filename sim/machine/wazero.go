package machine

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// wazeroEngine needs neither cgo nor anything to be installed.
type wazeroEngine struct{ runtime wazero.Runtime }

// NewWazero makes an engine of wazero. Close it.
func NewWazero(ctx context.Context, o Options) (Engine, error) {
	o = o.WithDefaults()
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
	e := &wazeroEngine{wazero.NewRuntimeWithConfig(ctx, config.WithMemoryLimitPages(o.MemoryPages))}
	modules := map[string]wazero.HostModuleBuilder{}
	var names []string
	for number, f := range Imports() {
		if modules[f.Module] == nil {
			modules[f.Module] = e.runtime.NewHostModuleBuilder(f.Module)
			names = append(names, f.Module)
		}
		modules[f.Module].NewFunctionBuilder().WithGoModuleFunction(hostFunction(uint32(number)), values(f.Params), values(f.Results)).Export(f.Name)
	}
	for _, name := range names {
		if _, err := modules[name].Instantiate(ctx); err != nil {
			return nil, fmt.Errorf("host module %s: %w", name, err)
		}
	}
	return e, nil
}

// Close implements Engine.
func (e *wazeroEngine) Close(ctx context.Context) error { return e.runtime.Close(ctx) }

// Load implements Engine.
func (e *wazeroEngine) Load(ctx context.Context, binary []byte) (Program, error) {
	code, err := e.runtime.CompileModule(ctx, binary)
	if err != nil {
		return nil, fmt.Errorf("compile the program of the machines: %w", err)
	}
	return &wazeroProgram{e, code}, nil
}

type wazeroProgram struct {
	engine *wazeroEngine
	code   wazero.CompiledModule
}

// Run implements Program.
func (p *wazeroProgram) Run(ctx context.Context, m *Machine) error {
	ctx = experimental.WithMemoryAllocator(context.WithValue(ctx, machineKey{}, m), experimental.MemoryAllocatorFunc(allocate))
	instance, err := p.engine.runtime.InstantiateModule(ctx, p.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return err
	}
	defer instance.Close(context.WithoutCancel(ctx))
	_, err = instance.ExportedFunction("_start").Call(ctx)
	return err
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

func hostFunction(number uint32) api.GoModuleFunction {
	return api.GoModuleFunc(func(ctx context.Context, module api.Module, stack []uint64) {
		memory := module.Memory()
		all, _ := memory.Read(0, memory.Size())
		ctx.Value(machineKey{}).(*Machine).Call(number, stack, all)
	})
}
