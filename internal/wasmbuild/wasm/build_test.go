package wasm

import (
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

func root(t *testing.T) string {
	t.Helper()
	r, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestProgramStartsInAMachine is make wasm, and a first sign of life: the real program runs and says its version.
func TestProgramStartsInAMachine(t *testing.T) {
	c := Config{Root: root(t)}
	if err := Vet(t.Context(), c, "./cmd/kvorum"); err != nil {
		t.Error(err)
	}
	binary := filepath.Join(t.TempDir(), "kvorum.wasm")
	if err := Build(t.Context(), c, "./cmd/kvorum", binary); err != nil {
		t.Fatal(err)
	}
	m := newMachines(t, wazero.NewRuntimeConfigInterpreter())
	m.noNetwork(t)
	m.load(t, binary)
	if got := m.inside(t, newDisk(t), "version"); !strings.Contains(got, "kvorum") {
		t.Errorf("kvorum version said %q", got)
	}
}

// TestUnpatchedDoesNot keeps the patches honest: when the modules compile as published, the patches can go.
func TestUnpatchedDoesNot(t *testing.T) {
	cmd := goCommand(t.Context(), root(t), "build", "-o", filepath.Join(t.TempDir(), "x"), "./cmd/kvorum")
	cmd.Env = append(cmd.Env, "GOOS=wasip1", "GOARCH=wasm")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "bbolt") {
		t.Errorf("an unpatched build gave %v\n%s", err, out)
	}
}

func TestPreparedOnce(t *testing.T) {
	c := Config{Root: root(t), Work: t.TempDir()}
	first, err := c.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for module, folder := range first {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err != nil {
			t.Errorf("%s: %v", module, err)
		}
	}
	mark := filepath.Join(first["go.etcd.io/bbolt"], "mark")
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := c.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err != nil || again["go.etcd.io/bbolt"] != first["go.etcd.io/bbolt"] {
		t.Errorf("nothing changed, but the copy was made anew: %v", err)
	}
	c.Patches = []Patch{{Module: "go.etcd.io/bbolt", Version: "v1.5.0", Files: map[string]string{"extra.go": "package bbolt\n"}}}
	other, err := c.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(other["go.etcd.io/bbolt"], "extra.go")); err != nil || other["go.etcd.io/bbolt"] == first["go.etcd.io/bbolt"] {
		t.Errorf("a further patch got no copy of its own: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(c.Work, "making-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary folders are left: %v %v", left, err)
	}
}

func TestPatchesThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		patch Patch
		want  string
	}{
		"other version":  {Patch{Module: "github.com/hashicorp/raft", Version: "v1.0.0"}, `is for v1.0.0, go.mod has "v1.7.3"`},
		"two versions":   {Patch{Module: "go.etcd.io/bbolt", Version: "v1.4.0"}, "v1.4.0"},
		"text not there": {Patch{Module: "go.etcd.io/bbolt", Version: "v1.5.0", Edits: []Edit{{"db.go", "no such text", ""}}}, "0 times"},
		"text twice":     {Patch{Module: "go.etcd.io/bbolt", Version: "v1.5.0", Edits: []Edit{{"db.go", "db.file", ""}}}, "want once"},
		"nothing there":  {Patch{Module: "go.etcd.io/bbolt", Version: "v1.5.0", Replace: map[string]string{"none.go": ""}}, "none.go"},
		"file exists":    {Patch{Module: "go.etcd.io/bbolt", Version: "v1.5.0", Files: map[string]string{"db.go": ""}}, "exists"},
	} {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			config := Config{Root: root(t), Work: work, Patches: []Patch{c.patch}}
			if _, err := config.prepare(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if left, _ := os.ReadDir(work); len(left) > 0 {
				t.Errorf("the failure left %v", left)
			}
		})
	}
}

// TestReplacedBeforeEdits: a patch from outside that replaces a file which ours edit does not undo our edits.
func TestReplacedBeforeEdits(t *testing.T) {
	found, err := find(t.Context(), root(t), []Patch{{Module: "go.etcd.io/bbolt", Version: "v1.5.0"}})
	if err != nil {
		t.Fatal(err)
	}
	const file = "internal/common/types.go"
	b, err := os.ReadFile(filepath.Join(found["go.etcd.io/bbolt"].Dir, file))
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Root: root(t), Work: t.TempDir(), Patches: []Patch{{
		Module: "go.etcd.io/bbolt", Version: "v1.5.0", Replace: map[string]string{file: "// replaced\n" + string(b)},
	}}}
	folders, err := c.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(folders["go.etcd.io/bbolt"], file))
	if err != nil || !strings.HasPrefix(string(got), "// replaced\n") || !strings.Contains(string(got), "var DefaultPageSize = 4096") {
		t.Errorf("not both changes are there (%v)", err)
	}
}

// TestReplacesAndOverlay uses what a simulator will: a module of its own and a replaced source file.
func TestReplacesAndOverlay(t *testing.T) {
	own, work := t.TempDir(), t.TempDir()
	write := func(name, content string) string {
		name = filepath.Join(own, name)
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	write("go.mod", "module github.com/hashicorp/raft\n")
	c := Config{Root: root(t), Work: work, Replaces: map[string]string{"github.com/hashicorp/raft": own},
		Overlay: map[string]string{filepath.Join(root(t), "network", "network.go"): write("other.go", "package network\n")}}
	flags, err := c.flags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(flags) != 2 {
		t.Fatalf("flags: %q", flags)
	}
	for i, want := range []string{"github.com/hashicorp/raft => " + own, "other.go"} {
		_, name, _ := strings.Cut(flags[i], "=")
		b, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s does not say %q (%v)", flags[i], want, err)
		}
	}
	mod, err := os.ReadFile(filepath.Join(c.Root, "go.mod"))
	if err != nil || strings.Contains(string(mod), "=>") {
		t.Errorf("go.mod itself was changed (%v)", err)
	}
	again, err := c.flags(t.Context())
	if err != nil || again[0] != flags[0] || again[1] != flags[1] {
		t.Errorf("the same config gave %q and %q (%v)", flags, again, err)
	}
}

// TestFilesAreThoseOfTheBuild: for wasip1, with what is patched, and nothing of tests or other systems.
func TestFilesAreThoseOfTheBuild(t *testing.T) {
	work := t.TempDir()
	added := filepath.Join(work, "added.go")
	if err := os.WriteFile(added, []byte("package store\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := Config{Root: root(t), Work: work, Overlay: map[string]string{filepath.Join(root(t), "store", "added.go"): added, filepath.Join(root(t), "store", "apply.go"): ""}}
	files, err := Files(t.Context(), c, "./store", "go.etcd.io/bbolt")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"github.com/kvorum/kvorum/store/added.go": true,
		"github.com/kvorum/kvorum/store/apply.go": false, // deleted
		"go.etcd.io/bbolt/db.go":                  true,
		"go.etcd.io/bbolt/bolt_wasip1.go":         true, // ours
		"go.etcd.io/bbolt/bolt_unix.go":           false,
		"go.etcd.io/bbolt/db_test.go":             false,
		"github.com/tidwall/btree/btreeg.go":      true, // imported
	} {
		if files[name] != want {
			t.Errorf("%s: built %t, want %t", name, files[name], want)
		}
	}
}

func TestOurFilesAreFormatted(t *testing.T) {
	err := fs.WalkDir(files, "files", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		formatted, err := format.Source(b)
		if err != nil || string(formatted) != string(b) {
			t.Errorf("%s: gofmt says otherwise (%v)", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
