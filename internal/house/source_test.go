package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/kvorum/kvorum"
	root   = "../.."
)

// source is one parsed Go file of this module.
type source struct {
	name  string // relative to the root, with slashes
	lines int
	files *token.FileSet
	tree  *ast.File
}

func (s source) folder() string { return path.Dir(s.name) }
func (s source) test() bool     { return strings.HasSuffix(s.name, "_test.go") }

// at makes a violation. What says what to do instead.
func (s source) at(n ast.Node, what string) string {
	return fmt.Sprintf("%s:%d: %s", s.name, s.files.Position(n.Pos()).Line, what)
}

// imports returns import path -> name in this file; "." and "_" as they stand.
func (s source) imports() map[string]string {
	names := map[string]string{}
	for _, i := range s.tree.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue // the parser has refused it
		}
		switch {
		case i.Name != nil:
			names[p] = i.Name.Name
		default:
			names[p] = lastElement(p)
		}
	}
	return names
}

// lastElement is the package's name by convention: without a version, a "go-" or a ".v2".
func lastElement(p string) string {
	last := path.Base(p)
	if len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		last = path.Base(path.Dir(p))
	}
	return strings.TrimPrefix(last, "go-")
}

func parse(name string, content []byte) (source, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, name, content, parser.ParseComments)
	return source{name: name, lines: strings.Count(string(content), "\n"), files: files, tree: tree}, err
}

// repository parses all Go files of the module: not those in testdata, hidden folders or nested modules.
func repository(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if name != root && (nested == nil || base == "testdata" || base[0] == '.' || base[0] == '_') {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(relative), content)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d files found: the rules would hold for nothing", len(all))
	}
	return all
}

// rule is one rule of the house.
type rule func([]source) []string

// holds runs a rule over the repository.
func holds(t *testing.T, r rule) {
	t.Helper()
	for _, v := range r(repository(t)) {
		t.Error(v)
	}
}

// snippet is a file as some rule should see it.
type snippet struct {
	file, code string
	want       string // part of the one violation; "" for none
}

// judge feeds each snippet alone to the rule.
func judge(t *testing.T, r rule, snippets map[string]snippet) {
	t.Helper()
	for name, c := range snippets {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			s, err := parse(c.file, []byte(c.code))
			if err != nil {
				t.Fatal(err)
			}
			got := r([]source{s})
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("found fault with good code: %q", got)
			case c.want != "" && !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, c.want) }):
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
