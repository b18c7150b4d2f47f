package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/build"
)

// Diffs of whole lines, of the project's files or, by import path, of modules'.
type diffs struct {
	t    *testing.T
	root string
}

func (d diffs) lines(name string) []string {
	b, err := os.ReadFile(filepath.Join(d.root, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
}

// edit changes the first line.
func (d diffs) edit(name, to string) string {
	return "--- a/" + name + "\n+++ b/" + name + "\n@@ -1 +1 @@\n-" + d.lines(name)[0] + "+" + to + "\n"
}

func (d diffs) remove(name string) string {
	lines := d.lines(name)
	return "--- a/" + name + "\n+++ /dev/null\n@@ -1," + strconv.Itoa(len(lines)) + " +0,0 @@\n-" + strings.Join(lines, "-") + "\n"
}

func (d diffs) add(name, line string) string {
	return "--- /dev/null\n+++ b/" + name + "\n@@ -0,0 +1 @@\n+" + line + "\n"
}

// TestPatchMustTouchTheBuild: what no program is compiled from is no patch of it; a patch of comments is one.
func TestPatchMustTouchTheBuild(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	config := build.Config{Root: root, Work: t.TempDir()}
	d := diffs{t, root}
	for name, c := range map[string]struct{ patch, refused string }{
		"a comment":                 {d.edit("store/table.go", "package store // here"), ""},
		"a page":                    {d.edit("CHANGELOG.md", "# Changes"), "changes nothing that the machines run: none of CHANGELOG.md is compiled into ./cmd/kvorum"},
		"a test":                    {d.edit("store/entry_test.go", "package store // here"), "changes nothing"},
		"another command":           {d.edit("cmd/kvsim/main.go", "// Another."), "changes nothing"},
		"a page and a comment":      {d.edit("CHANGELOG.md", "# Changes") + d.edit("store/table.go", "package store // here"), ""},
		"the clients' program":      {d.edit("sim/guest/main.go", "// Another."), ""},
		"a file goes":               {d.remove("store/doc.go"), ""},
		"a file goes elsewhere":     {d.remove("cmd/kvsim/main.go"), "changes nothing"},
		"a new file":                {d.add("store/new.go", "package store"), ""},
		"a new test":                {d.add("store/new_test.go", "package store"), "changes nothing"},
		"a new file elsewhere":      {d.add("store/new_windows.go", "package store"), "changes nothing"},
		"a new package":             {d.add("store/new/new.go", "package new"), "changes nothing"},
		"a module's file":           {d.add("github.com/hashicorp/raft/new.go", "package raft"), ""},
		"a module's file elsewhere": {d.add("github.com/hashicorp/raft/new_windows.go", "package raft"), "changes nothing"},
		"a module's test":           {d.add("github.com/hashicorp/raft/new_test.go", "package raft"), "changes nothing"},
		"no such file":              {d.add("store/apply.go", "package store"), "does not apply"},
		"no such import":            {d.add("store/new.go", `package store; import _ "no/such/package"`), "does not build"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := patchedBuild(t.Context(), config, []byte(c.patch))
			if c.refused == "" && err != nil {
				t.Error(err)
			}
			if c.refused != "" && (!errors.As(err, new(*BuildError)) || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("%v, want %q", err, c.refused)
			}
		})
	}
}
