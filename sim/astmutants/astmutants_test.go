package astmutants

import (
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/patch"
)

const projectRoot = "../.."

// in wraps statements into a formatted function.
func in(statements string) string {
	return "package p\n\nfunc f(a, b int) int {\n" + statements + "\treturn a\n}\n"
}

func TestOperators(t *testing.T) {
	for name, c := range map[string]struct {
		before string
		want   []string // "operator: statements after"
	}{
		"if": {"\tif a == b {\n\t\tb = a\n\t}\n", []string{
			"negate: \tif !(a == b) {\n\t\tb = a\n\t}\n", "compare: \tif a != b {\n\t\tb = a\n\t}\n", "drop: \tif a == b {\n\n\t}\n",
		}},
		"comparisons": {"\tc := []bool{a < b, a <= b, a > b, a >= b, a != b}\n\t_ = c\n", []string{
			"compare: \tc := []bool{a <= b, a <= b, a > b, a >= b, a != b}\n\t_ = c\n", "compare: \tc := []bool{a < b, a < b, a > b, a >= b, a != b}\n\t_ = c\n",
			"compare: \tc := []bool{a < b, a <= b, a >= b, a >= b, a != b}\n\t_ = c\n", "compare: \tc := []bool{a < b, a <= b, a > b, a > b, a != b}\n\t_ = c\n",
			"compare: \tc := []bool{a < b, a <= b, a > b, a >= b, a == b}\n\t_ = c\n", "drop: \tc := []bool{a < b, a <= b, a > b, a >= b, a != b}\n\n",
		}},
		"logic":        {"\tx, y := true, false\n\tz := x && y || x\n\tuse(z)\n", []string{"logic: \tx, y := true, false\n\tz := x || y || x\n\tuse(z)\n", "logic: \tx, y := true, false\n\tz := x && y && x\n\tuse(z)\n", "drop: \tx, y := true, false\n\tz := x && y || x\n\n"}},
		"constants":    {"\tvar c = 41 + 0x10 + 1_000\n", []string{"constant: \tvar c = 42 + 0x10 + 1_000\n", "constant: \tvar c = 41 + 17 + 1_000\n", "constant: \tvar c = 41 + 0x10 + 1001\n"}},
		"early return": {"\tif use(a) {\n\t\treturn b\n\t}\n", []string{"negate: \tif !(use(a)) {\n\t\treturn b\n\t}\n", "return: \tif use(a) {\n\n\t}\n"}},
		"count":        {"\ta++\n", []string{"drop: \n"}},
		"in a case":    {"\tswitch a {\n\tcase b:\n\t\tuse(a)\n\t}\n", []string{"drop: \tswitch a {\n\tcase b:\n\n\t}\n"}},
		"left alone":   {"\ts.log.Info(\"x\", 1)\n\tc.metrics.late.Inc()\n\ts.mu.Lock()\n\tdefer s.mu.Unlock()\n\tx := 1.5\n\terr := fmt.Errorf(\"%d\", 12)\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := mutate(in(c.before))
			if err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for _, f := range found {
				got = append(got, f.operator+": "+f.after)
			}
			for _, w := range c.want {
				operator, after, _ := strings.Cut(w, ": ")
				want = append(want, operator+": "+in(after))
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// TestLastReturnStays: a return that nothing follows on is no early one, nor is one with an else.
func TestLastReturnStays(t *testing.T) {
	found, err := mutate("package p\n\nfunc f(a bool) {\n\tif a {\n\t\tg()\n\t\treturn\n\t}\n}\n\nfunc String() int {\n\treturn 1\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.operator == "return" || f.operator == "constant" {
			t.Errorf("%s in line %d", f.operator, f.line)
		}
	}
}

// TestDraw: the mutants are what their seed says, apply, give the source that was meant, and compile.
func TestDraw(t *testing.T) {
	const n = 30
	drawn, err := Draw(t.Context(), projectRoot, 1, n)
	if err != nil {
		t.Fatal(err)
	}
	operators, names := map[string]int{}, map[string]bool{}
	for _, m := range drawn {
		operators[m.Operator]++
		names[m.Name] = true
		if !strings.HasPrefix(m.Name, m.File+":") || strings.HasSuffix(m.File, "_test.go") || !strings.HasPrefix(m.Patch, "# breaks: ") {
			t.Errorf("odd mutant %+v", m)
		}
	}
	if len(drawn) != n || len(names) != n || len(operators) < 5 {
		t.Errorf("%d mutants with %d names, by operator %v", len(drawn), len(names), operators)
	}
	again, err := Draw(t.Context(), projectRoot, 1, n/2)
	if err != nil || !slices.Equal(again, drawn[:n/2]) {
		t.Errorf("the same seed gave others (%v)", err)
	}
	other, err := Draw(t.Context(), projectRoot, 2, n/2)
	if err != nil || slices.Equal(other, drawn[:n/2]) {
		t.Errorf("another seed gave the same (%v)", err)
	}
}

// TestAllDiffsComeBack: the diff of every place, applied, gives the source that the operator made.
func TestAllDiffsComeBack(t *testing.T) {
	tree, err := patch.OpenTree(t.Context(), projectRoot)
	if err != nil {
		t.Fatal(err)
	}
	all, err := find(projectRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		p, err := patch.Parse([]byte(m.Patch))
		if err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		changes, err := tree.Apply(p)
		if err != nil || len(changes) != 1 {
			t.Fatalf("%s: %d changes, %v", m.Name, len(changes), err)
		}
		if changes[0].After != m.after || m.after == changes[0].Before {
			t.Errorf("%s: the diff gives another source, or none", m.Name)
		}
	}
	t.Logf("%d places", len(all))
}
