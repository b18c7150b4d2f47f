package mutants

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/internal/wasmbuild/wasm"
	"github.com/kvorum/kvorum/sim/patch"
)

var build = flag.Bool("build", false, "build all mutants for wasip1; takes minutes")

// batch is some mutants that can be built at once: what one changes is not in the way of the others.
type batch struct {
	names   []string
	changes map[string]patch.Change // the newest of each file
}

func (b batch) list() (all []patch.Change) {
	for _, c := range b.changes {
		all = append(all, c)
	}
	return all
}

// TestAllBuildForWasip1 builds what the machines run. All mutants together take a few builds and not one each.
func TestAllBuildForWasip1(t *testing.T) {
	if !*build && os.Getenv("KVORUM_CI") == "" {
		t.Skip("takes minutes; go test ./sim/mutants -build")
	}
	tree := open(t)
	checker, err := tree.OpenChecker(t.Context(), "./replica/...", "./shardrouter", "./client")
	if err != nil {
		t.Fatal(err)
	}
	var batches []batch
	for _, m := range slices.Concat(List(), Harmless()) {
		batches = place(t, tree, checker, batches, m)
	}
	for i, b := range batches {
		t.Logf("build %d of %d: %s", i+1, len(batches), strings.Join(b.names, " "))
		ready, err := patch.Write(b.list(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		config := wasm.Config{Root: projectRoot, Work: t.TempDir(), Patches: ready.Patches, Overlay: ready.Overlay, Flags: []string{"-trimpath"}}
		for _, pkg := range []string{"./shardrouter", "./client"} {
			if err := wasm.Build(t.Context(), config, pkg, filepath.Join(t.TempDir(), "package.a")); err != nil {
				t.Errorf("one of %v: %v", b.names, err)
			}
		}
	}
}

// place puts a mutant into the first batch that it fits into.
func place(t *testing.T, tree *patch.Tree, checker *patch.Checker, batches []batch, m Mutant) []batch {
	for i, b := range batches {
		changes, err := apply(tree.With(b.list()), m)
		if err != nil || checker.Check(together(b, changes).list()) != nil {
			continue
		}
		batches[i] = together(b, changes)
		batches[i].names = append(batches[i].names, m.Name)
		return batches
	}
	changes, err := apply(tree, m)
	if err != nil {
		t.Fatal(err)
	}
	b := together(batch{}, changes)
	b.names = []string{m.Name}
	return append(batches, b)
}

func together(b batch, changes []patch.Change) batch {
	all := map[string]patch.Change{}
	for name, c := range b.changes {
		all[name] = c
	}
	for _, c := range changes {
		all[c.Name] = c
	}
	return batch{b.names, all}
}
