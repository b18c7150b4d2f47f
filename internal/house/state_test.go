package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// readOnlyTables are the package variables that are neither sentinel nor constant in form, each with the reason why it may
// be one. That nobody writes to them is checked too.
func readOnlyTables() map[string]string {
	return map[string]string{
		"network.keepAlive":                   "a struct constant: Go has none",
		"wire.batchFields":                    "the names of a batch line's fields, looked through for each line",
		"wire.Codes":                          "the table of problem codes, shared by server, client and checker",
		"wire.openAPI":                        "the embedded OpenAPI file",
		"replica.octetStream":                 "a header value that many replies share",
		"replica.zeroLength":                  "a header value that many replies share",
		"replica.yes":                         "a header value that many replies share",
		"replica.outcomes":                    "header values that many replies share",
		"replica/controller.castagnoli":       "a CRC table",
		"replica/controller.keyTerm":          "a byte string constant: Go has none",
		"replica/controller.keyHardState":     "a byte string constant: Go has none",
		"replica/controller.keyVoteUnchecked": "a byte string constant: Go has none",
		"replica/controller.keyVoteTerm":      "a byte string constant: Go has none",
		"replica/controller.keyVoteCandidate": "a byte string constant: Go has none",
		"shardrouter.errNoTable":              "a sentinel of another make",
		"shardrouter.forwardedHeaders":        "a list of header names",
		"shardrouter.receiptHeaders":          "a list of header names",
		"shardrouter.connectionHeaders":       "a set of header names",
		"shardrouter.busyElsewhere":           "a list of problem codes",
		"linearizability.reportTemplate":      "an embedded file",
		"internal/wasmbuild/wasm.files":       "embedded files",
		"sim/mutants.files":                   "embedded patches",
	}
}

// variable is one package-level variable of production code.
type variable struct {
	source source
	ident  *ast.Ident
	value  ast.Expr // nil if there is none
}

func (v variable) name() string { return v.source.folder() + "." + v.ident.Name }

func variables(all []source) (found []variable) {
	for _, s := range all {
		if s.test() {
			continue
		}
		for _, d := range s.tree.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				spec := spec.(*ast.ValueSpec)
				for i, ident := range spec.Names {
					v := variable{source: s, ident: ident}
					if i < len(spec.Values) {
						v.value = spec.Values[i]
					}
					if ident.Name != "_" {
						found = append(found, v)
					}
				}
			}
		}
	}
	return found
}

// sentinel: is the value an error or expression that is made once and compared or used, never changed.
func sentinel(value ast.Expr) bool {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := f.X.(*ast.Ident)
	return ok && slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile"}, pkg.Name+"."+f.Sel.Name)
}

// noSharedState: ten nodes live in one process, so nothing may be kept in package variables.
func noSharedState(all []source) (violations []string) {
	tables := readOnlyTables()
	readOnly := map[string]bool{} // folder.name of all package variables that are allowed
	for _, v := range variables(all) {
		if _, listed := tables[v.name()]; listed || sentinel(v.value) {
			readOnly[v.name()] = true
			continue
		}
		violations = append(violations, v.source.at(v.ident, fmt.Sprintf("package variable %s: keep state in a struct; a table that is never written goes into readOnlyTables() with its reason", v.ident.Name)))
	}
	for _, s := range all {
		if !s.test() {
			violations = append(violations, writes(s, readOnly)...)
		}
	}
	return violations
}

// writes finds assignments to package variables of s's folder, to their elements and fields, and pointers taken of them.
func writes(s source, readOnly map[string]bool) (violations []string) {
	own := map[any]bool{} // the declarations at the file's top level
	for _, d := range s.tree.Decls {
		if g, ok := d.(*ast.GenDecl); ok {
			for _, spec := range g.Specs {
				own[spec] = true
			}
		}
	}
	check := func(n ast.Node, e ast.Expr) {
		if name := rootOf(e, own); name != "" && readOnly[s.folder()+"."+name] {
			violations = append(violations, s.at(n, "package variable "+name+" is written to"))
		}
	}
	ast.Inspect(s.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					check(n, e)
				}
			}
		case *ast.IncDecStmt:
			check(n, n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				check(n, n.X)
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"delete", "clear"}, f.Name) && len(n.Args) > 0 {
				check(n, n.Args[0])
			}
		}
		return true
	})
	return violations
}

// rootOf is the package variable at the left end of a.b[c].d, or "" when it is a local one.
func rootOf(e ast.Expr, own map[any]bool) string {
	for {
		switch x := e.(type) {
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.Ident:
			if x.Obj == nil || own[x.Obj.Decl] { // nil: declared in another file of the package
				return x.Name
			}
			return ""
		default:
			return ""
		}
	}
}

func TestNoSharedState(t *testing.T) { holds(t, noSharedState) }

// TestReadOnlyTablesAreInUse keeps the list short.
func TestReadOnlyTablesAreInUse(t *testing.T) {
	there := map[string]bool{}
	for _, v := range variables(repository(t)) {
		there[v.name()] = true
	}
	for name := range readOnlyTables() {
		if !there[name] {
			t.Errorf("readOnlyTables() lists %s, which is not there", name)
		}
	}
}

func TestSharedStateIsSeen(t *testing.T) {
	judge(t, noSharedState, map[string]snippet{
		"counter":         {"node/a.go", `package node; var count int`, "package variable count"},
		"map":             {"node/a.go", `package node; var cache = map[string]int{}`, "package variable cache"},
		"mutex in group":  {"node/a.go", "package node\nimport \"sync\"\nvar (\n\tmu sync.Mutex\n)", "a.go:4: package variable mu"},
		"second of two":   {"node/a.go", `package node; import "errors"; var errA, state = errors.New("a"), 1`, "package variable state"},
		"sentinel":        {"node/a.go", `package node; import "errors"; var errA = errors.New("a")`, ""},
		"expression":      {"node/a.go", `package node; import "regexp"; var word = regexp.MustCompile("a")`, ""},
		"assertion":       {"node/a.go", `package node; var _ error = (*e)(nil); type e struct{ error }`, ""},
		"listed":          {"wire/a.go", `package wire; var Codes = map[string]int{}`, ""},
		"listed, written": {"wire/a.go", `package wire; var Codes = map[string]int{}; func f() { Codes["a"] = 1 }`, "Codes is written to"},
		"listed, deleted": {"wire/a.go", `package wire; var Codes = map[string]int{}; func f() { delete(Codes, "a") }`, "Codes is written to"},
		"field written":   {"network/a.go", `package network; var keepAlive struct{ A int }; func f() { keepAlive.A++ }`, "keepAlive is written to"},
		"pointer taken":   {"network/a.go", `package network; var keepAlive struct{ A int }; func f() { g(&keepAlive) }; func g(any) {}`, "keepAlive is written to"},
		"sentinel moved":  {"node/a.go", `package node; import "errors"; var errA = errors.New("a"); func f() { errA = nil }`, "errA is written to"},
		"local":           {"node/a.go", `package node; func f() { var n int; n++ }`, ""},
		"shadowed":        {"wire/a.go", `package wire; var Codes = map[string]int{}; func f(Codes map[string]int) { Codes["a"] = 1 }`, ""},
		"shadowed by var": {"wire/a.go", `package wire; var Codes = map[string]int{}; func f() { var Codes map[string]int; Codes["a"] = 1 }`, ""},
		"tests":           {"node/a_test.go", `package node; var update bool`, ""},
	})
}
