package house

import (
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// opensSockets says why package.name opens sockets by itself, or "".
func opensSockets(pkg, name string) string {
	const seam = "only network.Listen and network.Dial open sockets"
	starts := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	var found bool
	switch pkg {
	case "net":
		found = name != "Listener" && starts("Listen", "Dial", "File", "Lookup", "Resolve", "DefaultResolver")
	case "crypto/tls":
		found = name == "Listen" || starts("Dial")
	case "net/http":
		found = starts("ListenAndServe") || slices.Contains([]string{"DefaultTransport", "DefaultClient", "Get", "Head", "Post", "PostForm"}, name)
	case "github.com/hashicorp/raft":
		found = starts("NewTCPTransport")
	case "syscall", "golang.org/x/sys/unix":
		found = slices.Contains([]string{"Socket", "Connect", "Bind", "Listen", "Accept", "Accept4"}, name)
	case "net/rpc", "net/smtp":
		found = true
	}
	if !found {
		return ""
	}
	return seam + ", not " + pkg + "." + name
}

// socketsAllowed are files outside network/ that open sockets, each with the reason.
func socketsAllowed() map[string]string {
	return map[string]string{
		"jepsen-lite/netns/inside_linux.go": "a probe of one direction of a link is a datagram, and network/ has none: kvorum speaks none",
	}
}

// oneSeam looks at production code outside network/. It does not follow values: an http.Client or http.Transport must say
// where it is made how it dials.
func oneSeam(all []source) (violations []string) {
	for _, s := range all {
		if _, allowed := socketsAllowed()[s.name]; allowed || s.test() || s.folder() == "network" {
			continue
		}
		packages := map[string]string{}
		for p, name := range s.imports() {
			packages[name] = p
			if opensSockets(p, "any") != "" || name == "." && opensSockets(p, "Dial")+opensSockets(p, "ListenAndServe") != "" {
				violations = append(violations, s.name+": do not import "+p+" (or not as \".\"): only network.Listen and network.Dial open sockets")
			}
		}
		told := map[ast.Expr]bool{} // types of literals that say how to dial, and types behind a pointer
		ast.Inspect(s.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				told[n.Type] = saysHowToDial(n)
			case *ast.StarExpr:
				told[n.X] = true
			case *ast.SelectorExpr:
				pkg, name := selected(packages, n)
				if why := opensSockets(pkg, name); why != "" {
					violations = append(violations, s.at(n, why))
				} else if pkg == "" && strings.HasPrefix(name, "ListenAndServe") {
					violations = append(violations, s.at(n, "only network.Listen opens a port: use Serve with its listener"))
				} else if pkg == "net/http" && (name == "Client" || name == "Transport") && !told[n] {
					violations = append(violations, s.at(n, "write http."+name+"{...} with the field that leads to network.Dial (Transport, DialContext): the default dials by itself"))
				}
			}
			return true
		})
	}
	return violations
}

func saysHowToDial(literal *ast.CompositeLit) bool {
	return slices.ContainsFunc(literal.Elts, func(e ast.Expr) bool {
		field, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return false
		}
		key, ok := field.Key.(*ast.Ident)
		return ok && (key.Name == "DialContext" || key.Name == "Transport")
	})
}

// selected returns import path and name of package.name, or "" and the name for a field or method.
func selected(packages map[string]string, n *ast.SelectorExpr) (pkg, name string) {
	if x, ok := n.X.(*ast.Ident); ok && x.Obj == nil { // Obj: a variable that shadows the package
		return packages[x.Name], n.Sel.Name
	}
	return "", n.Sel.Name
}

func TestOneSeam(t *testing.T) {
	holds(t, oneSeam)
	for name := range socketsAllowed() {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("socketsAllowed() lists %s: %v", name, err)
		}
	}
}

func TestSocketsAreSeen(t *testing.T) {
	const seam = "only network.Listen"
	judge(t, oneSeam, map[string]snippet{
		"listen":            {"node/a.go", `package node; import "net"; func f() { net.Listen("tcp", "") }`, seam},
		"as a value":        {"node/a.go", `package node; import "net"; var f = net.DialTimeout`, seam},
		"dialer":            {"node/a.go", `package node; import "net"; func f() { var d net.Dialer; _ = d }`, seam},
		"listen config":     {"node/a.go", `package node; import "net"; var c = net.ListenConfig{}`, seam},
		"renamed":           {"node/a.go", `package node; import foo "net"; func f() { foo.Dial("tcp", "") }`, seam},
		"dot":               {"node/a.go", `package node; import . "net"; func f() { Dial("tcp", "") }`, `not as "."`},
		"tls":               {"client/a.go", `package client; import "crypto/tls"; func f() { tls.Dial("tcp", "", nil) }`, seam},
		"listen and serve":  {"node/a.go", `package node; import "net/http"; func f() { http.ListenAndServe("", nil) }`, seam},
		"server's method":   {"node/a.go", `package node; import "net/http"; func f(s *http.Server) { s.ListenAndServe() }`, "use Serve"},
		"default transport": {"client/a.go", `package client; import "net/http"; var t = http.DefaultTransport`, seam},
		"default client":    {"client/a.go", `package client; import "net/http"; var t = http.DefaultClient.Do`, seam},
		"get":               {"client/a.go", `package client; import "net/http"; func f() { http.Get("") }`, seam},
		"bare client":       {"client/a.go", `package client; import "net/http"; var c = &http.Client{Timeout: 1}`, "leads to network.Dial"},
		"declared client":   {"client/a.go", `package client; import "net/http"; func f() { var c http.Client; _ = c }`, "leads to network.Dial"},
		"new client":        {"client/a.go", `package client; import "net/http"; var c = new(http.Client)`, "leads to network.Dial"},
		"bare transport":    {"client/a.go", `package client; import "net/http"; var c = &http.Transport{MaxIdleConns: 1}`, "leads to network.Dial"},
		"raft's own":        {"replica/controller/a.go", `package controller; import "github.com/hashicorp/raft"; var f = raft.NewTCPTransport`, seam},
		"system call":       {"node/a.go", `package node; import "syscall"; func f() { syscall.Socket(0, 0, 0) }`, seam},
		"rpc":               {"node/a.go", `package node; import _ "net/rpc"`, "do not import net/rpc"},
		"resolver":          {"node/a.go", `package node; import "net"; func f() { net.LookupHost("") }`, seam},
		"network itself":    {"network/a.go", `package network; import "net"; func f() { net.Listen("tcp", "") }`, ""},
		"types":             {"peer/a.go", `package peer; import "net"; func f(l net.Listener, c net.Conn) {}`, ""},
		"told":              {"client/a.go", `package client; import "net/http"; var c = &http.Client{Transport: &http.Transport{DialContext: nil}}`, ""},
		"pointer types":     {"client/a.go", `package client; import "net/http"; func f(c *http.Client) *http.Transport { return nil }`, ""},
		"own method":        {"client/a.go", `package client; type c struct{}; func (c) Get() {}; func f(http c) { http.Get() }`, ""},
		"listed":            {"jepsen-lite/netns/inside_linux.go", `package netns; import "net"; var f = net.ListenUDP`, ""},
		"beside it":         {"jepsen-lite/netns/a.go", `package netns; import "net"; var f = net.ListenUDP`, seam},
		"tests":             {"client/a_test.go", `package client; import "net"; var f = net.Listen`, ""},
	})
}
