package patch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Checker tells whether changed files still compile, by type-checking their packages against the compiled others. That takes
// milliseconds where a build takes many seconds. It sees this machine's build, not that for wasip1, and takes each changed
// package for itself: a package that uses a changed declaration of another is not looked at. For one goroutine.
type Checker struct {
	packages map[string]*listed // by folder
	exports  map[string]string  // import path -> file of export data
	set      *token.FileSet
	importer types.Importer // keeps what it has read
}

// listed is what go list says of one package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// OpenChecker asks the go command for packages of the tree, such as ./replica/..., and all that they are made of, and lets it
// compile those that are not in its cache.
func (t *Tree) OpenChecker(ctx context.Context, packages ...string) (*Checker, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export"}, packages...)...)
	cmd.Dir = t.root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("patch: list the packages of %v: %w\n%s", packages, err, exit.Stderr)
	} else if err != nil {
		return nil, fmt.Errorf("patch: list the packages of %v: %w", packages, err)
	}
	c := &Checker{packages: map[string]*listed{}, exports: map[string]string{}, set: token.NewFileSet()}
	c.importer = importer.ForCompiler(c.set, "gc", c.open)
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		p := &listed{}
		if err := d.Decode(p); err != nil {
			return nil, fmt.Errorf("patch: list the packages of %v: %w", packages, err)
		}
		c.packages[p.Dir], c.exports[p.ImportPath] = p, p.Export
	}
	return c, nil
}

// Check type-checks the packages that changes touch. Its error is the first that the compiler would give, or says that a
// changed file is no part of the program.
func (c *Checker) Check(changes []Change) error {
	byFolder := map[string]map[string]Change{}
	for _, ch := range changes {
		folder := filepath.Dir(ch.path)
		if byFolder[folder] == nil {
			byFolder[folder] = map[string]Change{}
		}
		byFolder[folder][filepath.Base(ch.path)] = ch
	}
	for _, ch := range changes { // in their order
		folder := filepath.Dir(ch.path)
		if err := c.check(folder, byFolder[folder]); err != nil {
			return err
		}
		delete(byFolder, folder)
	}
	return nil
}

func (c *Checker) check(folder string, changed map[string]Change) error {
	if changed == nil {
		return nil // done with another file of it
	}
	p := c.packages[folder]
	if p == nil {
		return fmt.Errorf("patch: no package that is looked at is in %s", folder)
	}
	var files []*ast.File
	add := func(name string, source any) error {
		f, err := parser.ParseFile(c.set, filepath.Join(folder, name), source, parser.SkipObjectResolution)
		files = append(files, f)
		return err
	}
	for _, name := range p.GoFiles {
		var source any // nil: read it
		ch, touched := changed[name]
		delete(changed, name)
		switch {
		case touched && ch.Deleted:
			continue
		case touched:
			source = ch.After
		}
		if err := add(name, source); err != nil {
			return err
		}
	}
	for name, ch := range changed {
		if !ch.Added {
			return fmt.Errorf("patch: %s is no part of this build of its package", ch.Name)
		}
		if err := add(name, ch.After); err != nil {
			return err
		}
	}
	config := types.Config{Importer: c.importer}
	_, err := config.Check(p.ImportPath, c.set, files, nil)
	return err
}

func (c *Checker) open(path string) (io.ReadCloser, error) {
	if c.exports[path] == "" {
		return nil, fmt.Errorf("package %s is used by none of the packages yet", path)
	}
	return os.Open(c.exports[path])
}
