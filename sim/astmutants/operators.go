package astmutants

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"math/big"
	"strings"
)

// candidate is one changed source. It parses, and may not compile.
type candidate struct {
	operator string
	line     int // of the change in the source before, from 1
	after    string
}

// finder walks over one file. The source is cut by byte offsets, so that all else stays as it is.
type finder struct {
	source string
	set    *token.FileSet
	found  []candidate
}

// mutate gives all that the operators make of a file, in the order of the places.
func mutate(source string) ([]candidate, error) {
	f := &finder{source: source, set: token.NewFileSet()}
	tree, err := parser.ParseFile(f.set, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.FuncDecl:
			return n.Name.Name != "String" && n.Name.Name != "Error" // what they give is for people
		case *ast.CallExpr:
			return !isReport(n)
		case *ast.IfStmt:
			f.replace("negate", n.Cond, "!("+f.text(n.Cond)+")")
		case *ast.BinaryExpr:
			f.binary(n)
		case *ast.BasicLit:
			f.constant(n)
		case *ast.BlockStmt:
			f.statements(n.List)
		case *ast.CaseClause:
			f.statements(n.Body)
		case *ast.CommClause:
			f.statements(n.Body)
		}
		return true
	})
	return f.found, nil
}

func (f *finder) offset(p token.Pos) int { return f.set.Position(p).Offset }
func (f *finder) text(n ast.Node) string { return f.source[f.offset(n.Pos()):f.offset(n.End())] }
func (f *finder) splice(from, to token.Pos, text string) string {
	return f.source[:f.offset(from)] + text + f.source[f.offset(to):]
}

func (f *finder) replace(operator string, n ast.Node, text string) {
	f.add(operator, n.Pos(), f.splice(n.Pos(), n.End(), text))
}

// add keeps what still parses, formatted as the rest is.
func (f *finder) add(operator string, at token.Pos, text string) {
	formatted, err := format.Source([]byte(text))
	if err != nil || string(formatted) == f.source {
		return
	}
	f.found = append(f.found, candidate{operator, f.set.Position(at).Line, string(formatted)})
}

func (f *finder) binary(n *ast.BinaryExpr) {
	swap := func(operator string, to token.Token) {
		end := n.OpPos + token.Pos(len(n.Op.String()))
		f.add(operator, n.OpPos, f.splice(n.OpPos, end, to.String()))
	}
	switch n.Op {
	case token.LSS:
		swap("compare", token.LEQ)
	case token.LEQ:
		swap("compare", token.LSS)
	case token.GTR:
		swap("compare", token.GEQ)
	case token.GEQ:
		swap("compare", token.GTR)
	case token.EQL:
		swap("compare", token.NEQ)
	case token.NEQ:
		swap("compare", token.EQL)
	case token.LAND:
		swap("logic", token.LOR)
	case token.LOR:
		swap("logic", token.LAND)
	}
}

func (f *finder) constant(n *ast.BasicLit) {
	if n.Kind != token.INT {
		return
	}
	if value, ok := new(big.Int).SetString(strings.ReplaceAll(n.Value, "_", ""), 0); ok {
		f.replace("constant", n, fmt.Sprint(value.Add(value, big.NewInt(1))))
	}
}

// statements looks at the statements of one block.
func (f *finder) statements(list []ast.Stmt) {
	for i, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && !isReport(call) && !isLock(call) {
				f.replace("drop", s, "")
			}
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				f.replace("drop", s, "")
			}
		case *ast.IncDecStmt:
			f.replace("drop", s, "")
		case *ast.IfStmt:
			if last := len(s.Body.List) - 1; s.Else == nil && last >= 0 && i < len(list)-1 {
				if r, ok := s.Body.List[last].(*ast.ReturnStmt); ok {
					f.replace("return", r, "")
				}
			}
		}
	}
}

// isReport: a call that only tells people something.
func isReport(call *ast.CallExpr) bool {
	for _, name := range selectors(call.Fun) {
		switch name {
		case "log", "metrics", "Errorf", "newError", "Failure", "observe", "note":
			return true
		}
	}
	return false
}

func isLock(call *ast.CallExpr) bool {
	names := selectors(call.Fun)
	switch names[len(names)-1] {
	case "Lock", "Unlock", "RLock", "RUnlock":
		return true
	}
	return false
}

// selectors are the names in a.b.c, at least one.
func selectors(n ast.Expr) []string {
	switch n := n.(type) {
	case *ast.Ident:
		return []string{n.Name}
	case *ast.SelectorExpr:
		return append(selectors(n.X), n.Sel.Name)
	case *ast.CallExpr:
		return selectors(n.Fun)
	}
	return []string{""}
}
