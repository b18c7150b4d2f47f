package astmutants

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kvorum/kvorum/sim/patch"
)

// folders are those whose code is mutated, with all below them.
func folders() []string { return []string{"replica", "store"} }

// leftAlone are files that only describe, count or format, and tests.
func leftAlone(name string) bool {
	return !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || slices.Contains([]string{"doc.go", "metrics.go", "raftlogger.go"}, name)
}

// Mutant is one change of one place.
type Mutant struct {
	Name     string // file:line:operator, with a number if a line has several
	Operator string
	File     string // relative to the project
	Line     int    // of the change, in the source before
	Patch    string // a unified diff that package patch reads

	after string // the source that it gives
}

// Draw gives n mutants of the project in the folder root that compile, all different. The same seed, number and sources give
// the same mutants; a larger n gives the same and more. It fails if there are not as many.
func Draw(ctx context.Context, root string, seed uint64, n int) ([]Mutant, error) {
	tree, err := patch.OpenTree(ctx, root)
	if err != nil {
		return nil, err
	}
	checker, err := tree.OpenChecker(ctx, "./replica/...", "./store/...")
	if err != nil {
		return nil, err
	}
	all, err := find(root)
	if err != nil {
		return nil, err
	}
	draw := rand.New(rand.NewPCG(seed, 0))
	draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var drawn []Mutant
	for _, m := range all {
		if len(drawn) == n {
			break
		}
		p, err := patch.Parse([]byte(m.Patch))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		changes, err := tree.Apply(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		if changes[0].After != m.after {
			return nil, fmt.Errorf("%s: its diff gives another source", m.Name)
		}
		if checker.Check(changes) == nil {
			drawn = append(drawn, m)
		}
	}
	if len(drawn) < n {
		return nil, fmt.Errorf("there are only %d mutants that compile, %d are wanted", len(drawn), n)
	}
	return drawn, nil
}

// find gives the mutants of all files, in the order of files and places. Some do not compile.
func find(root string) ([]Mutant, error) {
	var all []Mutant
	for _, folder := range folders() {
		err := filepath.WalkDir(filepath.Join(root, folder), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || leftAlone(d.Name()) {
				return err
			}
			relative, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			source, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			of, err := ofFile(filepath.ToSlash(relative), string(source))
			all = append(all, of...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("find places to mutate: %w", err)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("find places to mutate: there are none")
	}
	return all, nil
}

func ofFile(file, source string) ([]Mutant, error) {
	candidates, err := mutate(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var all []Mutant
	names, seen := map[string]int{}, map[string]bool{}
	for _, c := range candidates {
		if seen[c.after] { // two operators can come to the same
			continue
		}
		seen[c.after] = true
		name := fmt.Sprintf("%s:%d:%s", file, c.line, c.operator)
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s:%d", name, names[name])
		}
		all = append(all, Mutant{
			Name: name, Operator: c.operator, File: file, Line: c.line, after: c.after,
			Patch: fmt.Sprintf("# breaks: drawn from the syntax tree: %s in line %d of %s\n", c.operator, c.line, path.Clean(file)) + patch.Diff(file, source, c.after),
		})
	}
	return all, nil
}
