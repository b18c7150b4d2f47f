package patch

import (
	"slices"
	"strings"
	"testing"
)

const numbers = "1\n2\n3\n4\n5\n6\n7\n8\n9\n"

// one builds a patch of the file f from hunks.
func one(hunks string) string { return "--- a/f\n+++ b/f\n" + hunks }

func applied(t *testing.T, patch, text string) (string, error) {
	t.Helper()
	p, err := Parse([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}
	return p.files[0].apply(text)
}

func TestApply(t *testing.T) {
	for name, c := range map[string]struct{ hunks, text, want string }{
		"change":              {"@@ -2,3 +2,3 @@ func f()\n 2\n-3\n+drei\n 4\n", numbers, "1\n2\ndrei\n4\n5\n6\n7\n8\n9\n"},
		"no counts":           {"@@ -3 +3 @@\n-3\n+drei\n", numbers, "1\n2\ndrei\n4\n5\n6\n7\n8\n9\n"},
		"too high":            {"@@ -5,3 +5,3 @@\n 2\n-3\n+drei\n 4\n", numbers, "1\n2\ndrei\n4\n5\n6\n7\n8\n9\n"},
		"too low":             {"@@ -1,2 +1,1 @@\n 8\n-9\n", numbers, "1\n2\n3\n4\n5\n6\n7\n8\n"},
		"far too high":        {"@@ -900,2 +900,1 @@\n 1\n-2\n", numbers, "1\n3\n4\n5\n6\n7\n8\n9\n"},
		"two hunks":           {"@@ -1,2 +1,1 @@\n-1\n 2\n@@ -8,2 +7,3 @@\n 8\n+acht\n 9\n", numbers, "2\n3\n4\n5\n6\n7\n8\nacht\n9\n"},
		"offset goes on":      {"@@ -2,1 +2,1 @@\n-a\n+b\n@@ -6,1 +6,1 @@\n-x\n+y\n", "x\n\n\na\n\nx\n\nx\n", "x\n\n\nb\n\nx\n\ny\n"},
		"nearest":             {"@@ -5,1 +5,1 @@\n-x\n+y\n", "x\n1\n2\n3\n4\nx\n", "x\n1\n2\n3\n4\ny\n"},
		"insert by number":    {"@@ -2,0 +3,1 @@\n+zweieinhalb\n", "1\n2\n3\n", "1\n2\nzweieinhalb\n3\n"},
		"insert at the start": {"@@ -0,0 +1,1 @@\n+0\n", "1\n", "0\n1\n"},
		"blank was cut":       {"@@ -1,3 +1,2 @@\n 1\n\n-2\n", "1\n\n2\n", "1\n\n"},
		"last newline goes":   {"@@ -9 +9 @@\n-9\n+9\n\\ No newline at end of file\n", numbers, strings.TrimSuffix(numbers, "\n")},
		"last newline comes":  {"@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n", "a", "a\n"},
		"patch's own newline": {"@@ -9 +9 @@\n-9\n+neun", numbers, "1\n2\n3\n4\n5\n6\n7\n8\nneun\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := applied(t, one(c.hunks), c.text); err != nil || got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

func TestDoesNotApply(t *testing.T) {
	const first = "@@ -1,2 +1,1 @@\n-1\n 2\n"
	for name, c := range map[string]struct{ hunks, want string }{
		"other line":     {first + "@@ -6,2 +5,1 @@\n-sechs\n 7\n", `hunk 2 of 2 (@@ -6,2 +5,1 @@, line 6 of the patch) does not apply: its old lines stand nowhere; line 6 is "6\n", not "sechs\n"`},
		"blank differs":  {"@@ -3,1 +3,1 @@\n-3 \n+x\n", "stand nowhere"},
		"past the end":   {"@@ -9,2 +9,1 @@\n 9\n-10\n", "the file has only 9 lines"},
		"overlap":        {first + "@@ -2,2 +1,1 @@\n-2\n 3\n", "hunk 2 of 2"},
		"backwards":      {"@@ -8,1 +8,1 @@\n-8\n+acht\n@@ -2,1 +2,1 @@\n-2\n+zwei\n", "hunk 2 of 2"},
		"insert nowhere": {"@@ -10,0 +11,1 @@\n+x\n", "no line 10 to insert behind"},
		"newline inside": {"@@ -3 +3 @@\n-3\n+3\n\\ No newline at end of file\n", "in the middle"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := applied(t, one(c.hunks), numbers); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v; want an error with %q", got, err, c.want)
			}
		})
	}
	if got, err := applied(t, one("@@ -3,1 +3,1 @@\n-x\n+y\n"), "1\nx\n3\nx\n5\n"); err == nil || !strings.Contains(err.Error(), "more context") {
		t.Errorf("a hunk that fits equally well before and behind was taken: %q, %v", got, err)
	}
}

func TestRefused(t *testing.T) {
	const hunk = "@@ -1 +1 @@\n-a\n+b\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":           {"", "changes no file"},
		"only text":       {"# breaks: something\n", "changes no file"},
		"no prefix":       {"--- f\n+++ f\n" + hunk, "no name of the form a/"},
		"one name":        {"--- a/f\n" + hunk, "no +++ b/path"},
		"rename":          {"--- a/f\n+++ b/g\n" + hunk, "renames"},
		"git rename":      {"diff --git a/f b/g\nrename from f\n", "not supported"},
		"binary":          {"diff --git a/f b/f\nBinary files a/f and b/f differ\n", "not supported"},
		"mode":            {"diff --git a/f b/f\nold mode 100644\n", "not supported"},
		"upwards":         {"--- a/../f\n+++ b/../f\n" + hunk, "no name"},
		"not clean":       {"--- a/x//f\n+++ b/x//f\n" + hunk, "no name"},
		"absolute":        {"--- a//etc/f\n+++ b//etc/f\n" + hunk, "no name"},
		"no hunk":         {"--- a/f\n+++ b/f\n", "no hunk follows"},
		"hunk without":    {hunk, "line 1: a hunk that belongs to no file"},
		"bad header":      {one("@@ -1 @@\n-a\n"), "line 3: \"@@ -1 @@\" is no header"},
		"negative":        {one("@@ --1 +1 @@\n-a\n+b\n"), "no header"},
		"huge":            {one("@@ -99999999999 +1 @@\n-a\n+b\n"), "no header"},
		"too short":       {one("@@ -1,2 +1,2 @@\n-a\n+b\n"), "ends too early: 1 old and 1 new"},
		"too long":        {one("@@ -1 +1 @@\n-a\n+b\n c\n"), `line 6: " c" belongs to no hunk`},
		"miscounted":      {one("@@ -1,1 +1,2 @@\n-a\n+b\n-c\n"), "more lines than its header"},
		"stray line":      {one("@@ -1,2 +1,2 @@\nhello\n"), "no line of a hunk"},
		"changes nothing": {one("@@ -1,1 +1,1 @@\n a\n"), "changes nothing"},
		"twice":           {one(hunk) + one(hunk), "f is changed twice"},
		"added with old":  {"--- /dev/null\n+++ b/f\n" + hunk, "lines on both sides"},
		"both null":       {"--- /dev/null\n+++ /dev/null\n" + hunk, "both names"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestParseWhatOthersWrite(t *testing.T) {
	const hunk = "@@ -1 +1 @@\n-a\n+b\n"
	for name, text := range map[string]string{
		"ours":         "# breaks: reads are linearizable\n# class: read\n" + one(hunk),
		"git":          "diff --git a/f b/f\nindex 123..456 100644\n" + one(hunk),
		"diff -u":      "--- a/f\t2026-11-22 10:00:00 +0000\n+++ b/f\t2026-11-22 10:01:00 +0000\n" + hunk,
		"format-patch": "From 0123 Mon Sep 17\nSubject: [PATCH] x\n\n---\n f | 2 +-\n\ndiff --git a/f b/f\n" + one(hunk) + "-- \n2.39.5\n\n",
	} {
		p, err := Parse([]byte(text))
		if err != nil || !slices.Equal(p.Names(), []string{"f"}) || len(p.files[0].hunks) != 1 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	p, err := Parse([]byte("# breaks: reads: linearizable \n# class: read\n" + one(hunk) + "# comment\ndiff --git a/g b/g\nnew file mode 100644\n--- /dev/null\n+++ b/g\n@@ -0,0 +1 @@\n+new\n--- a/h\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Comment("breaks") != "reads: linearizable" || p.Comment("class") != "read" || p.Comment("other") != "" {
		t.Errorf("comments: %q", p.comments)
	}
	if !slices.Equal(p.Names(), []string{"f", "g", "h"}) || !p.files[1].added || !p.files[2].deleted || p.files[0].added {
		t.Errorf("files: %+v", p.files)
	}
}
