package build

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"

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
	config := wasm.Config{Root: c.Root, Work: c.Work, Patches: c.Patches, Overlay: overlay, Flags: []string{"-trimpath", "-ldflags=-s -w", "-buildvcs=false"}}
	if err := wasm.Build(ctx, config, pkg, name); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}
