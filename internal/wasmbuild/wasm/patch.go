package wasm

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Patch is a change to one module. It is made for one version and refuses another: a change of the module must be looked at.
type Patch struct {
	Module  string
	Version string
	Replace map[string]string // path in the module -> new content of a file that is there; before the edits of any patch
	Files   map[string]string // path in the module -> content; the file must be new
	Edits   []Edit
}

// Edit replaces a text that occurs exactly once in a file.
type Edit struct{ File, Old, New string }

// replace does the first step of apply. All patches do theirs before any goes on, so edits work on what was replaced.
func (p Patch) replace(folder string) error {
	for file, content := range p.Replace {
		name := filepath.Join(folder, file)
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("patch %s: %w", p.Module, err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return fmt.Errorf("patch %s: %w", p.Module, err)
		}
	}
	return nil
}

// apply changes the copy of the module in folder.
func (p Patch) apply(folder string) error {
	for _, e := range p.Edits {
		name := filepath.Join(folder, e.File)
		b, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("patch %s: %w", p.Module, err)
		}
		if n := strings.Count(string(b), e.Old); n != 1 {
			return fmt.Errorf("patch %s: %s has %q %d times, want once", p.Module, e.File, e.Old, n)
		}
		if err := os.WriteFile(name, []byte(strings.Replace(string(b), e.Old, e.New, 1)), 0o644); err != nil {
			return fmt.Errorf("patch %s: %w", p.Module, err)
		}
	}
	for file, content := range p.Files {
		if err := writeNew(filepath.Join(folder, file), content); err != nil {
			return fmt.Errorf("patch %s: %w", p.Module, err)
		}
	}
	return nil
}

func writeNew(name, content string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(content); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Our files for the modules end in .txt so that they are no part of this module's own build.
//
//go:embed files
var files embed.FS

func ours(name string) string {
	b, err := files.ReadFile("files/" + name + ".txt")
	if err != nil {
		panic(err) // embedded: it is there or the build is broken
	}
	return string(b)
}

// LogPatches make raft-boltdb compile and work on wasip1: bbolt by a copy of the file on the heap, the old boltdb/bolt,
// which is imported but not used, by functions that say no.
func LogPatches() []Patch {
	const notWasip1 = " && !wasip1\n"
	return []Patch{{
		Module:  "go.etcd.io/bbolt",
		Version: "v1.5.0",
		Files: map[string]string{
			"bolt_wasip1.go":               ours("bbolt/bolt_wasip1.go"),
			"internal/common/bolt_wasm.go": ours("bbolt/common_bolt_wasm.go"),
		},
		Edits: []Edit{
			{"bolt_unix.go", "!solaris && !aix && !android\n", "!solaris && !aix && !android" + notWasip1},
			{"mlock_unix.go", "//go:build !windows\n", "//go:build !windows" + notWasip1},
			// wasm's own page has 64 KiB; a machine shall write and tear the pages that a server does.
			{"internal/common/types.go", "var DefaultPageSize = os.Getpagesize()", "var DefaultPageSize = 4096"},
			{"internal/common/types.go", "\t\"os\"\n", ""},
		},
	}, {
		Module:  "github.com/boltdb/bolt",
		Version: "v1.3.1",
		Files: map[string]string{
			"go.mod":         "module github.com/boltdb/bolt\n\ngo 1.16\n", // it is older than modules
			"bolt_wasm.go":   ours("boltdb/bolt_wasm.go"),
			"bolt_wasip1.go": ours("boltdb/bolt_wasip1.go"),
		},
		Edits: []Edit{{"bolt_unix.go", "// +build !windows,!plan9,!solaris\n", "// +build !windows,!plan9,!solaris,!wasip1\n"}},
	}}
}
