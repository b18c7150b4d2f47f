// Package mutants holds patches that each plant one bug, in kvorum or in a module that it is built on. What a test or a
// simulator is worth is told by which of them it finds. Each patch begins with two lines:
//
//	# breaks: the promise that it breaks
//	# class: raft, disk, read, outcome or store
//
// Those in wild/ take out a guard of ours against a known defect of hashicorp/raft: found without them, the bug is one that
// nobody planted. Those in harmless/ break nothing: who finds a bug in them is wrong.
package mutants

import (
	"embed"
	"io/fs"
	"path"
	"strings"

	"github.com/kvorum/kvorum/sim/patch"
)

// Mutant is one patch.
type Mutant struct {
	Name   string // of its file, without folder and .patch
	Breaks string // the promise
	Class  string // raft, disk, read, outcome or store; "" of a harmless one
	Patch  string // a unified diff that package patch reads
}

//go:embed *.patch wild/*.patch harmless/*.patch
var files embed.FS

// List gives all that break something, by name, those of Wild behind the others.
func List() []Mutant { return append(folder("."), Wild()...) }

// Wild gives those that take out a guard against a known defect of a module.
func Wild() []Mutant { return folder("wild") }

// Harmless gives those that break nothing.
func Harmless() []Mutant { return folder("harmless") }

func folder(name string) []Mutant {
	names, err := fs.Glob(files, path.Join(name, "*.patch"))
	if err != nil {
		panic(err) // the pattern is ours
	}
	list := make([]Mutant, 0, len(names))
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // embedded: it is there
		}
		parsed, err := patch.Parse(text)
		if err != nil {
			panic(name + ": " + err.Error()) // a test reads all of them
		}
		list = append(list, Mutant{
			Name: strings.TrimSuffix(path.Base(name), ".patch"), Breaks: parsed.Comment("breaks"), Class: parsed.Comment("class"), Patch: string(text),
		})
	}
	return list
}
