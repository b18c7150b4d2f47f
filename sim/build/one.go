package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/kvorum/kvorum/internal/wasmbuild/wasm"
)

// Program builds one main package of the module for the machines.
func Program(ctx context.Context, c Config, pkg string) ([]byte, error) {
	overlay, err := c.toolchain(ctx)
	if err != nil {
		return nil, err
	}
	maps.Copy(overlay, c.Overlay)
	folder, err := os.MkdirTemp("", "kvsim-build-*")
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", pkg, err)
	}
	defer os.RemoveAll(folder)
	name := filepath.Join(folder, "program.wasm")
	last, err := c.last(pkg)
	if err != nil {
		return nil, err
	}
	before := readKept(last)
	if before != nil { // the go command links it anew only if it has to
		if err := os.WriteFile(name, before, 0o700); err != nil {
			return nil, fmt.Errorf("build %s: %w", pkg, err)
		}
	}
	config := wasm.Config{Root: c.Root, Work: c.Work, Patches: c.Patches, Overlay: overlay, Flags: []string{"-trimpath", "-ldflags=-s -w", "-buildvcs=false"}}
	if err := wasm.Build(ctx, config, pkg, name); err != nil {
		return nil, err
	}
	built, err := os.ReadFile(name)
	if err == nil && len(c.Patches)+len(c.Overlay) == 0 && !bytes.Equal(before, built) {
		err = keep(last, built)
	}
	return built, err
}

// last is where the package's last program is kept: the go command keeps what it compiled, but not what it linked.
func (c Config) last(pkg string) (string, error) {
	work, err := c.work()
	if err != nil {
		return "", err
	}
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	sum := sha256.Sum256([]byte(root + "\x00" + pkg))
	return filepath.Join(work, "linked-"+hex.EncodeToString(sum[:8])), nil
}

// readKept gives what keep kept; nil if there is nothing, or it is not whole: the go command would only look at its build id.
func readKept(name string) []byte {
	b, err := os.ReadFile(name)
	n := len(b) - sha256.Size
	if err != nil || n < 0 || sha256.Sum256(b[:n]) != [sha256.Size]byte(b[n:]) {
		return nil
	}
	return b[:n]
}

// keep writes a program and its SHA-256.
func keep(name string, program []byte) error {
	sum := sha256.Sum256(program)
	return wasm.WriteFile(name, slices.Concat(program, sum[:]))
}
