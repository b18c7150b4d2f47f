package mutants

import (
	"errors"
	"fmt"
	"go/parser"
	"go/printer"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/patch"
)

const projectRoot = "../.."

func open(t *testing.T) *patch.Tree {
	t.Helper()
	tree, err := patch.OpenTree(t.Context(), projectRoot)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// apply gives what a mutant changes.
func apply(tree *patch.Tree, m Mutant) ([]patch.Change, error) {
	p, err := patch.Parse([]byte(m.Patch))
	if err != nil {
		return nil, err
	}
	return tree.Apply(p)
}

// code is a Go file without its comments, as one text.
func code(source string) (string, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "", source, parser.SkipObjectResolution) // without comments
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = printer.Fprint(&b, set, f)
	return strings.Join(strings.Fields(b.String()), " "), err
}

// changesCode reports whether any file has other code than before.
func changesCode(changes []patch.Change) (bool, error) {
	for _, c := range changes {
		before, err1 := code(c.Before)
		after, err2 := code(c.After)
		if err := errors.Join(err1, err2); err != nil || before != after {
			return true, err
		}
	}
	return false, nil
}

func TestAllApplyAndCompile(t *testing.T) {
	tree := open(t)
	checker, err := tree.OpenChecker(t.Context(), "./replica/...", "./shardrouter", "./client")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Concat(List(), Harmless()) {
		changes, err := apply(tree, m)
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		if different, err := changesCode(changes); err != nil || !different {
			t.Errorf("%s: changes code: %v (%v)", m.Name, different, err)
		}
		if err := checker.Check(changes); err != nil {
			t.Errorf("%s does not compile: %v", m.Name, err)
		}
		lines := strings.Split(m.Patch, "\n")
		if !strings.HasPrefix(lines[0], "# breaks: ") || m.Breaks == "" {
			t.Errorf("%s: the first line does not say what it breaks", m.Name)
		}
		if changed := strings.Count(m.Patch, "\n+") + strings.Count(m.Patch, "\n-"); changed > 80 {
			t.Errorf("%s changes %d lines: make it smaller", m.Name, changed)
		}
	}
}

// TestChecksSeeBadPatches: what the checks above look for is found.
func TestChecksSeeBadPatches(t *testing.T) {
	tree := open(t)
	checker, err := tree.OpenChecker(t.Context(), "./replica/...", "./shardrouter", "./client")
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) []patch.Change {
		changes, err := apply(tree, Mutant{Patch: "--- a/store/table.go\n+++ b/store/table.go\n@@ -1 +1 @@\n-package store\n+package store // here\n"})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(changes[0].Before, old) {
			t.Fatalf("%q is gone: choose another text", old)
		}
		changes[0].After = strings.Replace(changes[0].Before, old, new, 1)
		return changes
	}
	for old, new := range map[string]string{"changed.Version++": "changed.Version +=  1", "return &changed": "return nil"} {
		if different, err := changesCode(edit(old, new)); !different || err != nil {
			t.Errorf("%q: other code was not seen (%v)", new, err)
		}
	}
	if different, err := changesCode(edit("changed := *t\n", "changed := *t // a comment\n\n")); different || err != nil {
		t.Errorf("comments and blank lines count as code (%v)", err)
	}
	for old, want := range map[string]string{"changed := *t\n": "undefined: changed", "slices.Clone(members)": "declared and not used", "return &changed": "missing return"} {
		new := map[string]string{"slices.Clone(members)": "members; unused := 1"}[old]
		if err := checker.Check(edit(old, new)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q away: %v, want %q", old, err, want)
		}
	}
	if err := checker.Check(edit("changed := *t\n", "changed := *t\n\n")); err != nil {
		t.Errorf("good code was refused: %v", err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "", edit("return &changed", "return &")[0].After, 0); err == nil {
		t.Error("broken syntax parses")
	}
}

// TestEnoughOfEach keeps the counts by class.
func TestEnoughOfEach(t *testing.T) {
	least := map[string]int{"raft": 12, "disk": 8, "read": 8, "outcome": 6, "store": 6}
	have, names := map[string]int{}, map[string]bool{}
	for _, m := range List() {
		if _, known := least[m.Class]; !known {
			t.Errorf("%s is of class %q", m.Name, m.Class)
		}
		if names[m.Name] {
			t.Errorf("two are called %s", m.Name)
		}
		have[m.Class]++
		names[m.Name] = true
	}
	for class, n := range least {
		if have[class] < n {
			t.Errorf("%d of class %s, want at least %d", have[class], class, n)
		}
	}
	for guard := 1; guard <= 15; guard++ {
		if prefix := fmt.Sprintf("guard-g%d-", guard); guard != 9 && !slices.ContainsFunc(List(), func(m Mutant) bool { return strings.HasPrefix(m.Name, prefix) }) {
			t.Errorf("nothing takes out guard G%d", guard) // G9 comes with growth
		}
	}
	if len(Wild()) < 5 || len(Harmless()) < 2 {
		t.Errorf("%d wild, %d harmless", len(Wild()), len(Harmless()))
	}
	for _, m := range Harmless() {
		if m.Class != "" {
			t.Errorf("%s is harmless, yet of class %s", m.Name, m.Class)
		}
	}
}

// TestTouchesModules: of the raft class, enough plant their bug in the library and not in our code.
func TestTouchesModules(t *testing.T) {
	tree, inModules := open(t), 0
	for _, m := range List() {
		changes, err := apply(tree, m)
		if err != nil {
			t.Fatal(err)
		}
		if m.Class == "raft" && slices.ContainsFunc(changes, func(c patch.Change) bool { return c.Module != nil }) {
			inModules++
		}
	}
	if inModules < 12 {
		t.Errorf("%d mutants of class raft are in hashicorp/raft and its log, want 12", inModules)
	}
}
