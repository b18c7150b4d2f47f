package house

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// dependency is what go list says of one package in a binary.
type dependency struct {
	ImportPath string
	Imports    []string
}

// dependencies lists all packages that a main package of the module is linked from.
func dependencies(t *testing.T, main string) (all []dependency) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports", main)
	cmd.Dir = root
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list %s: %v\n%s", main, err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var one dependency
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// noTestTools: the production binary holds no simulator, no checker and no test library. Tools that others bring along are
// named by who brings them.
func noTestTools(all []dependency) (violations []string) {
	banned := []string{"github.com/tetratelabs/wazero", "github.com/bytecodealliance/wasmtime-go", "github.com/anishathalye/porcupine", "pgregory.net/rapid", "github.com/getkin/kin-openapi",
		module + "/sim", module + "/linearizability", module + "/jepsen-lite", module + "/internal", "net/http/httptest", "net/http/pprof", "testing"}
	excused := map[string]string{ // importer -> what it may bring
		"github.com/hashicorp/raft": "testing", // its testing.go is no _test file
	}
	for _, d := range all {
		for _, imported := range d.Imports {
			if within(d.ImportPath, "testing") || excused[d.ImportPath] == imported {
				continue
			}
			if slices.ContainsFunc(banned, func(b string) bool { return within(imported, b) }) && !within(d.ImportPath, topOf(imported)) {
				violations = append(violations, fmt.Sprintf("the production binary contains %s: %s imports it", imported, d.ImportPath))
			}
		}
	}
	return violations
}

// topOf cuts a package path down to host/owner/name, so that a banned module is named once and not for each of its packages.
func topOf(p string) string {
	parts := strings.SplitN(p, "/", 4)
	if !strings.Contains(parts[0], ".") || parts[0]+"/"+parts[min(1, len(parts)-1)] == "github.com/kvorum" {
		return p
	}
	return strings.Join(parts[:min(3, len(parts))], "/")
}

func TestNoTestToolsInTheBinary(t *testing.T) {
	all := dependencies(t, "./cmd/kvorum")
	if !slices.ContainsFunc(all, func(d dependency) bool { return d.ImportPath == "github.com/hashicorp/raft" }) {
		t.Errorf("raft is not among the %d packages of the binary: is this the right one?", len(all))
	}
	for _, v := range noTestTools(all) {
		t.Error(v)
	}
}

func TestTestToolsAreSeen(t *testing.T) {
	for _, imported := range []string{"github.com/tetratelabs/wazero", "github.com/tetratelabs/wazero/api", "github.com/anishathalye/porcupine",
		"pgregory.net/rapid", "testing", "net/http/httptest", module + "/sim/disk", module + "/jepsen-lite/cluster"} {
		got := noTestTools([]dependency{{module + "/cmd/kvorum", []string{"fmt", imported}}})
		if len(got) != 1 || !strings.Contains(got[0], imported) {
			t.Errorf("%s was not seen: %q", imported, got)
		}
	}
	innocent := []dependency{
		{module + "/cmd/kvorum", []string{"fmt", module + "/node", "github.com/hashicorp/raft"}},
		{"github.com/hashicorp/raft", []string{"testing"}},
		{"github.com/tetratelabs/wazero", []string{"github.com/tetratelabs/wazero/api"}}, // counted where it comes in
	}
	if got := noTestTools(innocent); len(got) > 0 {
		t.Errorf("found fault: %q", got)
	}
}
