package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kvorum/kvorum/internal/wasmbuild/wasm"
	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/patch"
)

// Patch says which patch a program was built with.
type Patch struct {
	Path   string `json:"path"`   // as it was given
	SHA256 string `json:"sha256"` // of its text, in hex
}

// PatchOf describes a patch.
func PatchOf(path string, text []byte) *Patch {
	sum := sha256.Sum256(text)
	return &Patch{path, hex.EncodeToString(sum[:])}
}

// BuildError says that a patch does not apply, does not build, or changes nothing that the machines run: nothing was run.
type BuildError struct{ Err error }

func (e *BuildError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *BuildError) Unwrap() error { return e.Err }

// NewPatched is New with a unified diff applied to the node (and to the client, if it changes what both share).
func NewPatched(ctx context.Context, c Config, text []byte) (*Lab, error) {
	changed, err := patchedBuild(ctx, c.Build, text)
	if err != nil {
		return nil, err
	}
	c.Build = changed
	built, err := build.All(ctx, c.Build)
	if err != nil {
		return nil, &BuildError{fmt.Errorf("does not build: %w", err)}
	}
	return load(ctx, c, built)
}

// patchedBuild is the build with the diff applied.
func patchedBuild(ctx context.Context, plain build.Config, text []byte) (build.Config, error) {
	work := plain.Work
	if work == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return plain, fmt.Errorf("no cache folder: %w", err)
		}
		work = filepath.Join(cache, "kvorum", "patched")
	}
	changes, err := changesOf(ctx, plain.Root, text)
	if err != nil {
		return plain, &BuildError{fmt.Errorf("does not apply: %w", err)}
	}
	ready, err := patch.Write(changes, work)
	if err != nil {
		return plain, &BuildError{fmt.Errorf("does not apply: %w", err)}
	}
	changed := plain
	changed.Overlay, changed.Patches = ready.Overlay, slices.Concat(plain.Patches, ready.Patches)
	touches, err := touchesBuild(ctx, changes, plain, changed)
	if err != nil {
		return plain, &BuildError{fmt.Errorf("does not build: %w", err)}
	}
	if !touches {
		return plain, &BuildError{fmt.Errorf("changes nothing that the machines run: none of %s is compiled into %s for wasip1", names(changes), strings.Join(build.Packages(), " or "))}
	}
	return changed, nil
}

func changesOf(ctx context.Context, root string, text []byte) ([]patch.Change, error) {
	parsed, err := patch.Parse(text)
	if err != nil {
		return nil, err
	}
	tree, err := patch.OpenTree(ctx, root)
	if err != nil {
		return nil, err
	}
	return tree.Apply(parsed)
}

// touchesBuild reports whether any changed file is one that the programs are compiled from, before or after. What it changes
// there does not matter: a patch of comments is a patch, and lives.
func touchesBuild(ctx context.Context, changes []patch.Change, before, after build.Config) (bool, error) {
	for _, side := range []struct {
		config build.Config
		has    func(patch.Change) bool
	}{
		{after, func(c patch.Change) bool { return !c.Deleted }},
		{before, func(c patch.Change) bool { return c.Deleted }},
	} {
		if !slices.ContainsFunc(changes, side.has) {
			continue
		}
		files, err := wasm.Files(ctx, wasm.Config{Root: side.config.Root, Work: side.config.Work, Patches: side.config.Patches, Overlay: side.config.Overlay}, build.Packages()...)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(changes, func(c patch.Change) bool { return side.has(c) && files[importPath(c)] }) {
			return true, nil
		}
	}
	return false, nil
}

const module = "github.com/kvorum/kvorum"

// importPath is the file as package wasm lists it.
func importPath(c patch.Change) string {
	if c.Module == nil {
		return module + "/" + c.File
	}
	return c.Module.Path + "/" + c.File
}

func names(changes []patch.Change) string {
	list := make([]string, 0, len(changes))
	for _, c := range changes {
		list = append(list, c.Name)
	}
	return strings.Join(list, ", ")
}
