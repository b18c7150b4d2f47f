package wasm

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// machines runs testdata/guest in machines, and natively, where the same source means the unpatched modules.
type machines struct {
	runtime wazero.Runtime
	program wazero.CompiledModule
	native  string
}

func buildGuest(t *testing.T) *machines {
	t.Helper()
	const source = "./internal/wasmbuild/wasm/testdata/guest"
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	native := filepath.Join(t.TempDir(), "guest")
	if out, err := goCommand(t.Context(), root, "build", "-o", native, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	binary := native + ".wasm"
	if err := Build(t.Context(), Config{Root: root}, source, binary); err != nil {
		t.Fatal(err)
	}
	m := newMachines(t, wazero.NewRuntimeConfig())
	m.native = native
	m.load(t, binary)
	return m
}

// newMachines: compile pays for programs that work much, interpret for those that hardly begin.
func newMachines(t *testing.T, config wazero.RuntimeConfig) *machines {
	ctx := context.Background() // the runtime is closed by Cleanup, when the test's context has ended
	m := &machines{runtime: wazero.NewRuntimeWithConfig(ctx, config.WithCloseOnContextDone(true))}
	t.Cleanup(func() { m.runtime.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, m.runtime)
	return m
}

// load compiles the program that the machines run.
func (m *machines) load(t *testing.T, binary string) {
	t.Helper()
	code, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if m.program, err = m.runtime.CompileModule(t.Context(), code); err != nil {
		t.Fatal(err)
	}
}

// noNetwork gives machines a network on which nothing works: every call says ENETDOWN.
func (m *machines) noNetwork(t *testing.T) {
	t.Helper()
	const netdown = -38 // WASI's errno
	host := m.runtime.NewHostModuleBuilder("kvorum_network")
	host.NewFunctionBuilder().WithFunc(func(_, _, _ uint32) int32 { return netdown }).Export("socket_listen")
	host.NewFunctionBuilder().WithFunc(func(_, _ uint32) int32 { return netdown }).Export("socket_dial")
	host.NewFunctionBuilder().WithFunc(func(uint32) int32 { return netdown }).Export("socket_connected")
	if _, err := host.Instantiate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// run runs the guest on a disk that holds the folder, and returns what it printed.
func (m *machines) run(ctx context.Context, d *disk, out *output, args ...string) error {
	config := wazero.NewModuleConfig().WithName("").WithArgs(append([]string{"guest"}, args...)...).
		WithStdout(out).WithStderr(out).
		WithFSConfig(wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(d, "/"))
	instance, err := m.runtime.InstantiateModule(ctx, m.program, config)
	if instance != nil {
		_ = instance.Close(ctx)
	}
	return err
}

// inside runs the guest in a machine and fails the test if it fails.
func (m *machines) inside(t *testing.T, d *disk, args ...string) string {
	t.Helper()
	var out output
	if err := m.run(t.Context(), d, &out, args...); err != nil {
		t.Fatalf("guest %v in a machine: %v\n%s", args, err, out.tail())
	}
	return out.tail()
}

// outside runs the native guest in the disk's folder.
func (m *machines) outside(t *testing.T, d *disk, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.native, args...)
	cmd.Dir = d.folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("guest %v natively: %v\n%s", args, err, out)
	}
	return lastLine(out)
}

// output keeps what a guest prints and tells of each line.
type output struct {
	onLine func(string)
	mu     struct {
		sync.Mutex
		text bytes.Buffer
	}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.text.Write(p)
	if o.onLine != nil && bytes.HasSuffix(p, []byte("\n")) {
		o.onLine(lastLine(p))
	}
	return len(p), nil
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return lastLine(o.mu.text.Bytes())
}

func lastLine(b []byte) string {
	s := strings.TrimSpace(string(b))
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// disk is a folder of the host that counts syncs instead of waiting for them, and that fails as told.
type disk struct {
	sys.FS
	folder string
	syncs  atomic.Int64
	writes atomic.Int64
	fails  func(write int64) (partial int, errno sys.Errno) // nil: never; partial: bytes that arrive all the same
}

func newDisk(t *testing.T) *disk {
	folder := t.TempDir()
	return &disk{FS: sysfs.DirFS(folder), folder: folder}
}

func (d *disk) OpenFile(path string, flag sys.Oflag, perm os.FileMode) (sys.File, sys.Errno) {
	f, errno := d.FS.OpenFile(path, flag, perm)
	if errno != 0 {
		return nil, errno
	}
	return &diskFile{File: f, disk: d}, 0
}

type diskFile struct {
	sys.File
	disk *disk
}

func (f *diskFile) Sync() sys.Errno {
	f.disk.syncs.Add(1)
	return 0
}

func (f *diskFile) Datasync() sys.Errno { return f.Sync() }

func (f *diskFile) Pwrite(b []byte, offset int64) (int, sys.Errno) {
	n := f.disk.writes.Add(1)
	if f.disk.fails != nil {
		if partial, errno := f.disk.fails(n); errno != 0 {
			_, _ = f.File.Pwrite(b[:min(partial, len(b))], offset)
			return 0, errno // WASI tells nobody how much arrived
		}
	}
	return f.File.Pwrite(b, offset)
}
