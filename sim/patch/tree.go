package patch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Tree finds the files that patches name: those of the project and of the modules that its go.mod requires.
type Tree struct {
	root    string
	modules []Module
	changed map[string]string // path on this machine -> text, see With
}

// Module is a dependency at the version that go.mod requires.
type Module struct{ Path, Version, Dir string }

// OpenTree lists the modules of the project whose go.mod is in the folder root. It asks the go command, once.
func OpenTree(ctx context.Context, root string) (*Tree, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("patch: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-json=Path,Version,Dir,Main", "all")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("patch: list the modules of %s: %w\n%s", root, err, exit.Stderr)
	} else if err != nil {
		return nil, fmt.Errorf("patch: list the modules of %s: %w", root, err)
	}
	t := &Tree{root: root}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var m struct {
			Module
			Main bool
		}
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf("patch: list the modules of %s: %w", root, err)
		}
		if !m.Main {
			t.modules = append(t.modules, m.Module)
		}
	}
	return t, nil
}

// place is where a file of a patch is.
type place struct {
	module *Module // nil: the project
	file   string  // relative to the project or module
	path   string  // on this machine
}

// place finds the module with the longest path that name begins with, else the project.
func (t *Tree) place(name string) (place, error) {
	var found *Module
	for i, m := range t.modules {
		if strings.HasPrefix(name, m.Path+"/") && (found == nil || len(m.Path) > len(found.Path)) {
			found = &t.modules[i]
		}
	}
	if found == nil {
		if base := path.Base(name); base == "go.mod" || base == "go.sum" {
			return place{}, fmt.Errorf("patch: %s cannot be patched: which modules are used is not changed by a patch", name)
		}
		return place{file: name, path: filepath.Join(t.root, filepath.FromSlash(name))}, nil
	}
	if found.Dir == "" {
		return place{}, fmt.Errorf("patch: %s: module %s is not downloaded: go mod download %s", name, found.Path, found.Path)
	}
	file := strings.TrimPrefix(name, found.Path+"/")
	return place{found, file, filepath.Join(found.Dir, filepath.FromSlash(file))}, nil
}

// Change is one file before and after a patch.
type Change struct {
	Name           string  // as in the patch, without a/ and b/
	Module         *Module // nil: a file of the project
	File           string  // path in the module or project, with slashes
	Before, After  string  // texts
	Added, Deleted bool

	path string
}

// Apply gives what p makes of the tree's files, in memory. Nothing is written.
func (t *Tree) Apply(p *Patch) ([]Change, error) {
	var changes []Change
	for _, f := range p.files {
		at, err := t.place(f.name)
		if err != nil {
			return nil, err
		}
		before, err := t.read(at.path)
		missing := errors.Is(err, fs.ErrNotExist)
		switch {
		case f.added && err == nil:
			return nil, fmt.Errorf("patch: %s is to be added, but is there", f.name)
		case !f.added && missing && at.module == nil:
			return nil, fmt.Errorf("patch: %s is no file of this project, nor of a module in its go.mod", f.name)
		case !f.added && missing:
			return nil, fmt.Errorf("patch: %s is no file of module %s %s", f.name, at.module.Path, at.module.Version)
		case err != nil && !missing:
			return nil, fmt.Errorf("patch: %w", err)
		}
		after, err := f.apply(before)
		if err != nil {
			return nil, err
		}
		if f.deleted && after != "" {
			return nil, fmt.Errorf("patch: %s is to be deleted, but the patch leaves lines of it", f.name)
		}
		changes = append(changes, Change{
			Name: f.name, Module: at.module, File: at.file, Before: before, After: after, Added: f.added, Deleted: f.deleted, path: at.path,
		})
	}
	return changes, nil
}

func (t *Tree) read(path string) (string, error) {
	if text, ok := t.changed[path]; ok {
		return text, nil
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// With is the tree after changes, none of which may add or delete a file: so several patches can be applied one on the other.
func (t *Tree) With(changes []Change) *Tree {
	n := *t
	n.changed = maps.Clone(t.changed)
	if n.changed == nil {
		n.changed = map[string]string{}
	}
	for _, c := range changes {
		n.changed[c.path] = c.After
	}
	return &n
}
