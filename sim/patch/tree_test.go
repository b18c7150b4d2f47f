package patch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const projectRoot = "../.."

func tree(t *testing.T) *Tree {
	t.Helper()
	tr, err := OpenTree(t.Context(), projectRoot)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// changing is a patch of a real file: its first line becomes another.
func changing(t *testing.T, tr *Tree, name string) string {
	t.Helper()
	at, err := tr.place(name)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(at.path)
	if err != nil {
		t.Fatal(err)
	}
	return Diff(name, string(before), "// changed\n"+string(before))
}

func TestPrepare(t *testing.T) {
	tr, work := tree(t), t.TempDir()
	const ours, raft, log = "store/apply.go", "github.com/hashicorp/raft/raft.go", "github.com/hashicorp/raft-boltdb/v2/bolt_store.go"
	text := "# breaks: nothing\n" + changing(t, tr, ours) + changing(t, tr, raft) + changing(t, tr, log) +
		Diff("github.com/hashicorp/raft/extra.go", "", "package raft\n") + Diff("store/extra.go", "", "package store\n")
	text = strings.ReplaceAll(text, "--- a/github.com/hashicorp/raft/extra.go", "--- /dev/null")
	text = strings.ReplaceAll(text, "--- a/store/extra.go", "--- /dev/null") + "--- a/store/doc.go\n+++ /dev/null\n" + deletion(t, "store/doc.go")
	got, err := Prepare(t.Context(), projectRoot, work, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(got.Overlay[filepath.Join(tr.root, "store", "apply.go")])
	if err != nil || !strings.HasPrefix(string(copied), "// changed\npackage store\n") {
		t.Errorf("%s was not replaced (%v): %v", ours, err, got.Overlay)
	}
	if b, err := os.ReadFile(got.Overlay[filepath.Join(tr.root, "store", "extra.go")]); err != nil || string(b) != "package store\n" {
		t.Errorf("the new file: %q, %v", b, err)
	}
	if to, ok := got.Overlay[filepath.Join(tr.root, "store", "doc.go")]; !ok || to != "" || len(got.Overlay) != 3 {
		t.Errorf("the deleted file is not deleted, or there is more: %v", got.Overlay)
	}
	if len(got.Patches) != 2 {
		t.Fatalf("patches of %d modules", len(got.Patches))
	}
	if p := got.Patches[0]; p.Module != "github.com/hashicorp/raft" || p.Version != "v1.7.3" || p.Files["extra.go"] != "package raft\n" || !strings.HasPrefix(p.Replace["raft.go"], "// changed\n") {
		t.Errorf("raft: %s %s", p.Module, p.Version)
	}
	if p := got.Patches[1]; p.Module != "github.com/hashicorp/raft-boltdb/v2" || len(p.Replace["bolt_store.go"]) == 0 {
		t.Errorf("log: %s %s", p.Module, p.Version)
	}
	again, err := Prepare(t.Context(), projectRoot, work, []byte(text))
	if err != nil || len(again.Overlay) != 3 || again.Overlay[filepath.Join(tr.root, "store", "apply.go")] != got.Overlay[filepath.Join(tr.root, "store", "apply.go")] {
		t.Errorf("the second time: %v, %v", again.Overlay, err)
	}
	if left, _ := filepath.Glob(filepath.Join(work, "*", "making-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func docGo(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(projectRoot, "store", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func deletion(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(projectRoot, name))
	if err != nil {
		t.Fatal(err)
	}
	d := Diff(name, string(b), "")
	return d[strings.Index(d, "@@"):]
}

func TestFilesThatDoNotFit(t *testing.T) {
	const hunk = "@@ -1 +1 @@\n-no such line\n+b\n"
	for name, c := range map[string]struct{ text, want string }{
		"unknown file":   {"--- a/store/none.go\n+++ b/store/none.go\n" + hunk, "no file of this project, nor of a module"},
		"unknown module": {"--- a/example.org/x/y.go\n+++ b/example.org/x/y.go\n" + hunk, "no file of this project, nor of a module"},
		"not in module":  {"--- a/go.etcd.io/bbolt/none.go\n+++ b/go.etcd.io/bbolt/none.go\n" + hunk, "no file of module go.etcd.io/bbolt v1.5.0"},
		"other text":     {"--- a/store/doc.go\n+++ b/store/doc.go\n" + hunk, "store/doc.go: hunk 1 of 1"},
		"there already":  {"--- /dev/null\n+++ b/store/doc.go\n@@ -0,0 +1 @@\n+x\n", "is to be added, but is there"},
		"half deleted":   {"--- a/store/doc.go\n+++ /dev/null\n@@ -1 +0,0 @@\n-" + strings.SplitN(docGo(t), "\n", 2)[0] + "\n", "the patch leaves lines of it"},
		"requirements":   {"--- a/go.mod\n+++ b/go.mod\n" + hunk, "go.mod cannot be patched"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Prepare(t.Context(), projectRoot, t.TempDir(), []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want %q", got, err, c.want)
			}
		})
	}
	if _, err := Write([]Change{{Name: "x/y.go", Module: &Module{Path: "x"}, File: "y.go", Deleted: true}}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "cannot be deleted") {
		t.Errorf("deleting a dependency's file: %v", err)
	}
}
