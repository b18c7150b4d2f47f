package house

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxLines  = 400
	toolchain = "go1.26.8"
)

func shortFiles(all []source) (violations []string) {
	for _, s := range all {
		if s.lines > maxLines {
			violations = append(violations, fmt.Sprintf("%s has %d lines, %d are allowed: split it by what it is about", s.name, s.lines, maxLines))
		}
	}
	return violations
}

func TestShortFiles(t *testing.T) { holds(t, shortFiles) }

func TestLongFilesAreSeen(t *testing.T) {
	judge(t, shortFiles, map[string]snippet{
		"long":      {"node/a.go", "package node\n" + strings.Repeat("\n", maxLines), "node/a.go has 401 lines"},
		"just fits": {"node/a.go", "package node\n" + strings.Repeat("\n", maxLines-1), ""},
		"a test":    {"node/a_test.go", "package node\n" + strings.Repeat("\n", maxLines), "has 401 lines"},
	})
}

// sleeper is a file that may name time.Sleep so many times, and why.
type sleeper struct {
	times  int
	reason string
}

func sleepersAllowed() map[string]sleeper {
	return map[string]sleeper{
		"node/dev_test.go":                         {1, "polls a condition over HTTP, at most 30 s"},
		"replica/controller/harness_test.go":       {1, "eventually: polls a condition, at most 20 s"},
		"replica/controller/guard_g2_test.go":      {1, "gives a wrong implementation time to go wrong; a right one passes without"},
		"replica/controller/guard_g7_full_test.go": {1, "watches for six election timeouts that nothing happens"},
	}
}

// noSleepInTests: a test that sleeps is slow when it is right and flaky when it is not.
func noSleepInTests(all []source) (violations []string) {
	for _, s := range all {
		if !s.test() && !within(s.folder(), "jepsen-lite") {
			continue
		}
		allowed := sleepersAllowed()[s.name].times
		timeName := s.imports()["time"]
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if x, ok := n.(*ast.SelectorExpr); ok && x.Sel.Name == "Sleep" {
				if p, ok := x.X.(*ast.Ident); ok && p.Name == timeName {
					if allowed--; allowed < 0 {
						violations = append(violations, s.at(n, "time.Sleep in a test: wait for the condition, or list it in sleepersAllowed() with the reason"))
					}
				}
			}
			return true
		})
		if allowed > 0 {
			violations = append(violations, fmt.Sprintf("%s sleeps less often than sleepersAllowed() says: shorten the list", s.name))
		}
	}
	return violations
}

func TestNoSleepInTests(t *testing.T) {
	holds(t, noSleepInTests)
	for name := range sleepersAllowed() {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("sleepersAllowed() lists %s: %v", name, err)
		}
	}
}

func TestSleepIsSeen(t *testing.T) {
	judge(t, noSleepInTests, map[string]snippet{
		"sleep":      {"node/a_test.go", `package node; import "time"; func f() { time.Sleep(1) }`, "time.Sleep in a test"},
		"renamed":    {"node/a_test.go", `package node; import clock "time"; func f() { clock.Sleep(1) }`, "time.Sleep in a test"},
		"as a value": {"node/a_test.go", `package node; import "time"; var pause = time.Sleep`, "time.Sleep in a test"},
		"harness":    {"jepsen-lite/cluster/a.go", `package cluster; import "time"; func f() { time.Sleep(1) }`, "time.Sleep in a test"},
		"once more":  {"node/dev_test.go", `package node; import "time"; func f() { time.Sleep(1); time.Sleep(2) }`, "time.Sleep in a test"},
		"not needed": {"node/dev_test.go", `package node`, "shorten the list"},
		"listed":     {"node/dev_test.go", `package node; import "time"; func f() { time.Sleep(1) }`, ""},
		"timer":      {"node/a_test.go", `package node; import "time"; func f() { <-time.After(1) }`, ""},
		"production": {"node/a.go", `package node; import "time"; func f() { time.Sleep(1) }`, ""},
	})
}

// pinned checks the text of go.mod.
func pinned(mod string) (violations []string) {
	lines := strings.Split(mod, "\n")
	has := func(want string) bool {
		for _, l := range lines {
			if strings.TrimSpace(l) == want {
				return true
			}
		}
		return false
	}
	if !has("toolchain " + toolchain) {
		violations = append(violations, "go.mod does not pin the toolchain: toolchain "+toolchain)
	}
	if !has("tool honnef.co/go/tools/cmd/staticcheck") {
		violations = append(violations, "go.mod does not pin staticcheck: go get -tool honnef.co/go/tools/cmd/staticcheck")
	}
	if strings.Contains(mod, "=>") {
		violations = append(violations, "go.mod replaces a module: then go install of the program fails, and users get other code than we test")
	}
	bbolt := regexp.MustCompile(`go\.etcd\.io/bbolt v1\.(\d+)\.(\d+)`).FindStringSubmatch(mod)
	if bbolt == nil || len(bbolt[1]) == 1 && bbolt[1]+"."+bbolt[2] < "4.3" {
		violations = append(violations, "go.mod must require bbolt v1.4.3 or later: what raft-boltdb asks for has known defects")
	}
	return violations
}

func TestPinned(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range pinned(string(mod)) {
		t.Error(v)
	}
	if _, err := os.Stat(filepath.Join(root, "vendor")); err == nil {
		t.Error("there is a vendor folder: modules come from the module cache")
	}
}

func TestUnpinnedIsSeen(t *testing.T) {
	const good = "module x\n\ntoolchain go1.26.8\n\nrequire go.etcd.io/bbolt v1.5.0\n\ntool honnef.co/go/tools/cmd/staticcheck\n"
	if got := pinned(good); len(got) > 0 {
		t.Errorf("found fault: %q", got)
	}
	for _, c := range []struct{ old, new, want string }{
		{"go1.26.8", "go1.26.7", "pin the toolchain"},
		{"toolchain go1.26.8\n", "", "pin the toolchain"},
		{"tool honnef.co", "// honnef.co", "pin staticcheck"},
		{"v1.5.0", "v1.5.0\n\nreplace a => b", "replaces a module"},
		{"v1.5.0", "v1.3.5", "v1.4.3 or later"},
		{"v1.5.0", "v1.4.2", "v1.4.3 or later"},
	} {
		got := pinned(strings.Replace(good, c.old, c.new, 1))
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%q: got %q, want %q", c.new, got, c.want)
		}
	}
}
