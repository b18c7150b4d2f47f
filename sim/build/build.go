// Package build makes the programs of the simulator's machines: kvorum itself and the clients', from the same source as ever,
// for wasip1, with a toolchain whose copies of three files differ from the pinned one (an overlay; nothing is installed):
//
//   - the scheduler asks the host which goroutine runs next: as it stands, wasip1 is nearly first-in first-out, which hides
//     interleavings that real machines have;
//   - the host can send signals, such as SIGTERM: as it stands, wasip1 has none, and spins while it waits for them;
//   - a goroutine that syncs, reads or writes a file hears from the host how long that takes, and parks meanwhile: as it stands,
//     a WASI call that takes time stops the whole machine, which no kernel does.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kvorum/kvorum/internal/wasmbuild/wasm"
)

// Config says what to build. Only Root is needed.
type Config struct {
	Root    string                           // folder of the module's go.mod
	Work    string                           // as wasm.Config.Work
	Patches []wasm.Patch                     // of dependencies, before ours
	Overlay map[string]string                // further replaced source files of the module
	Say     func(format string, args ...any) // progress; nil: none
}

// Programs are the compiled machines.
type Programs struct {
	Node, Client []byte
	Hash         string // SHA-256 of both, in hex: part of what makes a run repeatable
}

// What is built.
const (
	node   = "./cmd/kvorum"
	client = "./sim/guest"
)

// Packages are the main packages of the programs, as for go build in the root.
func Packages() []string { return []string{node, client} }

// All builds both programs. What has not changed is taken from the go command's cache.
func All(ctx context.Context, c Config) (Programs, error) {
	sum := sha256.New()
	one := func(pkg string) ([]byte, error) {
		defer c.While("building %s for the machines (the first time takes a minute)", pkg)()
		b, err := Program(ctx, c, pkg)
		sum.Write(b)
		return b, err
	}
	var err error
	var p Programs
	if p.Node, err = one(node); err != nil {
		return Programs{}, err
	}
	if p.Client, err = one(client); err != nil {
		return Programs{}, err
	}
	p.Hash = hex.EncodeToString(sum.Sum(nil))
	return p, nil
}

// moment is how long something may take before anybody is told.
const moment = 2 * time.Second

// While says what is being done if it takes longer than a moment; call done at its end.
func (c Config) While(format string, args ...any) (done func()) {
	if c.Say == nil {
		return func() {}
	}
	said := make(chan struct{})
	timer := time.AfterFunc(moment, func() {
		defer close(said)
		c.Say(format, args...)
	})
	return func() {
		if !timer.Stop() {
			<-said // who told us to say things may go on alone
		}
	}
}

// edit replaces one piece of a toolchain file.
type edit struct{ old, new string }

func toolchainEdits() map[string][]edit {
	return map[string][]edit{
		"runtime/proc.go": {
			{"func runqget(pp *p) (gp *g, inheritTime bool) {", pickImport + "func runqget(pp *p) (gp *g, inheritTime bool) {"},
			{"\t\tgp := pp.runq[h%uint32(len(pp.runq))].ptr()\n\t\tif atomic.CasRel(&pp.runqhead, h, h+1) { // cas-release, commits consume\n\t\t\treturn gp, false", pickUse + "\t\tgp := pp.runq[h%uint32(len(pp.runq))].ptr()\n\t\tif atomic.CasRel(&pp.runqhead, h, h+1) { // cas-release, commits consume\n\t\t\treturn gp, false"},
		},
		"runtime/sigqueue.go": {
			{"func signal_recv() uint32 {", signalImport + "func signal_recv() uint32 {"},
			{"\t\t\t\t\tnotetsleepg(&sig.note, -1)\n", "\t\t\t\t\treturn kvsimAwaitSignal()\n"},
		},
		"syscall/fs_wasip1.go": {
			{"func Fsync(fd int) error {\n", diskImport + "func Fsync(fd int) error {\n\tdiskSync(fd)\n"},
			again("fd_read(int32(fd), makeIOVec(b), 1, &nread)", "nread"),
			again("fd_pread(int32(fd), makeIOVec(b), 1, filesize(offset), &nread)", "nread"),
			again("fd_write(int32(fd), makeIOVec(b), 1, &nwritten)", "nwritten"),
			again("fd_pwrite(int32(fd), makeIOVec(b), 1, filesize(offset), &nwritten)", "nwritten"),
		},
	}
}

// again makes a call that the host answers with EBUSY once more, after the microseconds that came in place of the count. A call
// that takes no time, and any on a socket, costs nothing more than a comparison: asking the host before each would.
func again(call, count string) edit {
	old := "\terrno := " + call + "\n"
	return edit{old, old + "\tif errno == EBUSY {\n\t\tkvsimSleep(int64(" + count + ") * 1000)\n\t\terrno = " +
		strings.Replace(call, "int32(fd)", "int32(fd)|diskWaited", 1) + "\n\t}\n"}
}

const pickImport = `//go:wasmimport kvsim pick
//go:noescape
func kvsimPick(n uint32) uint32

`

const pickUse = `		if n := t - h; n > 1 { // exchange the head with a queued goroutine of the host's choice
			size := uint32(len(pp.runq))
			chosen := (h + kvsimPick(n)) % size
			pp.runq[h%size], pp.runq[chosen] = pp.runq[chosen], pp.runq[h%size]
		}
`

const signalImport = `//go:wasmimport kvsim signal
//go:noescape
func kvsimSignal() uint32

// kvsimAwaitSignal waits until the host sends a signal and returns it. As it stands, wasip1 has none (the tables of signals
// are empty), and spins while it waits.
func kvsimAwaitSignal() uint32 {
	for {
		if s := kvsimSignal(); s != 0 {
			sig.state.Store(sigIdle)
			return s
		}
		timeSleep(100 * 1000 * 1000)
	}
}

`

const diskImport = `//go:wasmimport kvsim sync_begin
//go:noescape
func kvsimSyncBegin(fd int32) int64

//go:linkname kvsimSleep time.Sleep
func kvsimSleep(ns int64)

// diskWaited marks the descriptor of a call that has waited as long as the host wanted (see sim/machine).
const diskWaited = 1 << 30

// diskSync lets the other goroutines run while the platter works.
func diskSync(fd int) {
	if wait := kvsimSyncBegin(int32(fd)); wait > 0 {
		kvsimSleep(wait)
	}
}

`

// toolchain writes the changed copies and returns original -> copy.
func (c Config) toolchain(ctx context.Context) (map[string]string, error) {
	command := exec.CommandContext(ctx, "go", "env", "GOROOT")
	command.Dir = c.Root
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("find the toolchain: %w", err)
	}
	goroot := strings.TrimSpace(string(out))
	work, err := c.work()
	if err != nil {
		return nil, err
	}
	overlay := map[string]string{}
	for name, edits := range toolchainEdits() {
		original := filepath.Join(goroot, "src", filepath.FromSlash(name))
		b, err := os.ReadFile(original)
		if err != nil {
			return nil, fmt.Errorf("read the toolchain's source: %w", err)
		}
		text := string(b)
		for _, e := range edits {
			if n := strings.Count(text, e.old); n != 1 {
				return nil, fmt.Errorf("%s: the text to change is there %d times, want once: the toolchain is not the pinned one; write the overlay of sim/build anew", name, n)
			}
			text = strings.Replace(text, e.old, e.new, 1)
		}
		sum := sha256.Sum256([]byte(text))
		changed := filepath.Join(work, "toolchain-"+hex.EncodeToString(sum[:8]), filepath.Base(name))
		if err := writeOnce(changed, text); err != nil {
			return nil, err
		}
		overlay[original] = changed
	}
	return overlay, nil
}

// work is the folder that Work stands for.
func (c Config) work() (string, error) {
	if c.Work != "" {
		return c.Work, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w", err)
	}
	return filepath.Join(cache, "kvorum", "wasmbuild"), nil
}

// writeOnce writes the file unless it is there: its folder's name is its hash.
func writeOnce(name, text string) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write the changed toolchain source: %w", err)
	}
	if err := wasm.WriteFile(name, []byte(text)); err != nil {
		return fmt.Errorf("write the changed toolchain source: %w", err)
	}
	return nil
}
