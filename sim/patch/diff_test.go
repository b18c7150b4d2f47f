package patch

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDiffComesBack: what Diff writes is read and applied to give the changed text.
func TestDiffComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a", "a", "b", "", " ", "-x", "+y", "@@ -1 +1 @@", "\\ x", "--- a/f", "# c"}), 0, 8)
		text := func(lines []string) string {
			s := strings.Join(lines, "\n")
			if rapid.Bool().Draw(t, "ends with a newline") && s != "" {
				s += "\n"
			}
			return s
		}
		old := some.Draw(t, "before")
		from := rapid.IntRange(0, len(old)).Draw(t, "from")
		to := rapid.IntRange(from, len(old)).Draw(t, "to")
		before, after := text(old), text(slices.Concat(old[:from], some.Draw(t, "instead"), old[to:]))
		patch := Diff("replica/f.go", before, after)
		if before == after {
			if patch != "" {
				t.Fatalf("equal texts give %q", patch)
			}
			return
		}
		p, err := Parse([]byte(patch))
		if err != nil {
			t.Fatalf("%v\n%s", err, patch)
		}
		if got, err := p.files[0].apply(before); err != nil || got != after {
			t.Fatalf("applied: %q (%v), want %q\n%s", got, err, after, patch)
		}
	})
}

// FuzzParse: no patch makes Parse or apply panic or take long, and what it accepts changes something.
func FuzzParse(f *testing.F) {
	f.Add([]byte(one("@@ -2,3 +2,3 @@ func f()\n 2\n-3\n+drei\n 4\n")), numbers)
	f.Add([]byte("diff --git a/f b/f\nnew file mode 100644\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n-- \n2.39\n"), "")
	f.Add([]byte(one("@@ -1,0 +2,1 @@\n+x\n@@ -3 +3 @@\n-3\n+y\n")), numbers)
	f.Fuzz(func(t *testing.T, patch []byte, text string) {
		p, err := Parse(patch)
		if err != nil {
			return
		}
		for _, file := range p.files {
			if strings.HasPrefix(file.name, "/") || strings.HasPrefix(file.name, "../") || strings.Contains(file.name, "/../") {
				t.Errorf("the name %q leads out of the tree", file.name)
			}
			added := 0
			for _, h := range file.hunks {
				added += len(h.new()) - len(h.old())
			}
			if got, err := file.apply(text); err == nil && len(split(got)) != len(split(text))+added {
				t.Errorf("%d lines became %d, the hunks add %d", len(split(text)), len(split(got)), added)
			}
		}
	})
}

func TestDiffLooksLikeGits(t *testing.T) {
	got := Diff("store/f.go", numbers, strings.Replace(numbers, "5\n", "fuenf\n", 1))
	want := "--- a/store/f.go\n+++ b/store/f.go\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+fuenf\n 6\n 7\n 8\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
