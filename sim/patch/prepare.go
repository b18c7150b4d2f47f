package patch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvorum/kvorum/internal/wasmbuild/wasm"
)

// Prepared is what a build needs to see a patch: the fields of the same names of sim/build.Config and wasm.Config.
type Prepared struct {
	Overlay map[string]string // file of the project -> its changed copy, absolute; "" deletes it
	Patches []wasm.Patch      // of modules
}

// Prepare parses and applies a patch to the project in the folder root. Changed copies of project files are written below
// work, in a folder named by their content, so that builds of different patches don't disturb each other.
func Prepare(ctx context.Context, root, work string, text []byte) (Prepared, error) {
	p, err := Parse(text)
	if err != nil {
		return Prepared{}, err
	}
	t, err := OpenTree(ctx, root)
	if err != nil {
		return Prepared{}, err
	}
	changes, err := t.Apply(p)
	if err != nil {
		return Prepared{}, err
	}
	return Write(changes, work)
}

// Write is the last step of Prepare.
func Write(changes []Change, work string) (Prepared, error) {
	work, err := filepath.Abs(work)
	if err != nil {
		return Prepared{}, fmt.Errorf("patch: %w", err)
	}
	ready := Prepared{Overlay: map[string]string{}}
	modules := map[string]int{}
	for _, c := range changes {
		if c.Module == nil {
			if ready.Overlay[c.path], err = copyOf(c, work); err != nil {
				return Prepared{}, fmt.Errorf("patch: %w", err)
			}
			continue
		}
		if c.Deleted {
			return Prepared{}, fmt.Errorf("patch: %s cannot be deleted: files of dependencies can be changed and added", c.Name)
		}
		i, known := modules[c.Module.Path]
		if !known {
			i = len(ready.Patches)
			modules[c.Module.Path] = i
			ready.Patches = append(ready.Patches, wasm.Patch{Module: c.Module.Path, Version: c.Module.Version, Files: map[string]string{}, Replace: map[string]string{}})
		}
		if c.Added {
			ready.Patches[i].Files[c.File] = c.After
		} else {
			ready.Patches[i].Replace[c.File] = c.After
		}
	}
	return ready, nil
}

// copyOf writes the changed file, unless it is there, and gives its path.
func copyOf(c Change, work string) (string, error) {
	if c.Deleted {
		return "", nil
	}
	sum := sha256.Sum256([]byte(c.Name + "\x00" + c.After))
	folder := filepath.Join(work, "patched-"+hex.EncodeToString(sum[:8]))
	name := filepath.Join(folder, filepath.Base(c.path))
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return name, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(folder, "making-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(c.After)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return name, os.Rename(f.Name(), name) // in one step: another build may do the same
}
