package store

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"strconv"
	"strings"
	"testing"
)

// allowedImports is the list of all that the machine may lean on: no clock, no randomness, no network, no files, no locks.
var allowedImports = map[string]bool{
	"bufio": true, "bytes": true, "cmp": true, "crypto/sha256": true, "encoding/binary": true, "encoding/hex": true,
	"errors": true, "fmt": true, "hash": true, "hash/crc32": true, "io": true, "math/bits": true, "slices": true,
	"strings": true, "sync/atomic": true, "github.com/tidwall/btree": true, "github.com/zeebo/xxh3": true,
}

// TestPurity reads the package's source and refuses whatever could make two machines with one log differ.
func TestPurity(t *testing.T) {
	set := token.NewFileSet()
	files := sources(t, set)
	problems := impurities(t, set, files)
	for _, p := range problems {
		t.Error(p)
	}
}

// TestPurityCanFail feeds the check with what it is there to find.
func TestPurityCanFail(t *testing.T) {
	tests := map[string]string{
		"import":         `package p; import "time"; func f() { time.Now() }`,
		"import random":  `package p; import _ "math/rand/v2"`,
		"go":             `package p; func f() { go f() }`,
		"select":         `package p; func f() { select {} }`,
		"channel":        `package p; func f(c chan int) { c <- 1 }`,
		"map order":      `package p; func f(m map[int]int) (n int) { for k := range m { n = k }; return n }`,
		"named map":      `package p; type t map[int]int; func f(m t) (n int) { for k := range m { n = k }; return n }`,
		"map in a field": `package p; type t struct { m map[int]int }; func f(v t) (n int) { for k := range v.m { n = k }; return n }`,
		"variable":       `package p; var n int`,
	}
	for name, source := range tests {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, "p.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(impurities(t, set, []*ast.File{file})) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

func sources(t *testing.T, set *token.FileSet) (files []*ast.File) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatal("no source found")
	}
	return files
}

func impurities(t *testing.T, set *token.FileSet, files []*ast.File) (problems []string) {
	t.Helper()
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: importer.ForCompiler(set, "source", nil)}
	if _, err := config.Check("store", set, files, info); err != nil {
		t.Fatalf("type check: %v", err)
	}
	report := func(n ast.Node, what string) {
		problems = append(problems, set.Position(n.Pos()).String()+": "+what)
	}
	for _, file := range files {
		for _, d := range file.Decls {
			variables(d, report)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				if path, _ := strconv.Unquote(n.Path.Value); !allowedImports[path] {
					report(n, "import of "+path)
				}
			case *ast.GoStmt:
				report(n, "goroutine")
			case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				report(n, "channel")
			case *ast.RangeStmt:
				if _, isMap := info.TypeOf(n.X).Underlying().(*types.Map); isMap {
					report(n, "the order of a map")
				}
			}
			return true
		})
	}
	return problems
}

// variables reports package-level variables other than error values.
func variables(d ast.Decl, report func(ast.Node, string)) {
	g, ok := d.(*ast.GenDecl)
	if !ok || g.Tok != token.VAR {
		return
	}
	for _, spec := range g.Specs {
		for _, name := range spec.(*ast.ValueSpec).Names {
			if !strings.HasPrefix(strings.ToLower(name.Name), "err") {
				report(name, "package-level variable "+name.Name)
			}
		}
	}
}
