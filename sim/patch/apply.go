package patch

import (
	"fmt"
	"slices"
	"strings"
)

// apply gives the text after all hunks of f. The error says which one does not apply, and why.
func (f *file) apply(text string) (string, error) {
	lines := split(text)
	var out []string
	done, offset := 0, 0 // lines of the old text that are in out; how far off the last hunk was
	for i, h := range f.hunks {
		old := h.old()
		at, err := h.find(lines, old, done, offset)
		if err != nil {
			return "", fmt.Errorf("patch: %s: hunk %d of %d (%s, line %d of the patch) does not apply: %w", f.name, i+1, len(f.hunks), h.header, h.at, err)
		}
		offset = at - h.expected(old)
		out = append(append(out, lines[done:at]...), h.new()...)
		done = at + len(old)
	}
	out = append(out, lines[done:]...)
	for i, l := range out {
		if !strings.HasSuffix(l, "\n") && i < len(out)-1 {
			return "", fmt.Errorf("patch: %s: a line without newline would stand in the middle of the file", f.name)
		}
	}
	return strings.Join(out, ""), nil
}

// expected is the index of the first old line by the hunk's header.
func (h hunk) expected(old []string) int {
	if len(old) == 0 {
		return h.start // behind that line
	}
	return h.start - 1
}

// find gives the index where all old lines stand, at or behind from: the one nearest to where the header and the offset of
// the hunk before point.
func (h hunk) find(lines, old []string, from, offset int) (int, error) {
	want := h.expected(old) + offset
	if len(old) == 0 { // nothing that could tell the place: the line number counts
		if want < from || want > len(lines) {
			return 0, fmt.Errorf("there is no line %d to insert behind", want)
		}
		return want, nil
	}
	holds := func(at int) bool {
		return at >= from && at+len(old) <= len(lines) && slices.Equal(lines[at:at+len(old)], old)
	}
	if holds(want) {
		return want, nil
	}
	for far := 1; far <= len(lines)+max(want, -want); far++ {
		before, after := holds(want-far), holds(want+far)
		switch {
		case before && after:
			return 0, fmt.Errorf("its old lines stand %d lines before and behind line %d: give more context", far, want+1)
		case before:
			return want - far, nil
		case after:
			return want + far, nil
		}
	}
	return 0, fmt.Errorf("its old lines stand nowhere%s", mismatch(lines, old, want))
}

// mismatch shows the first line that differs at the expected place.
func mismatch(lines, old []string, want int) string {
	for i, l := range old {
		at := want + i
		if at < 0 || at >= len(lines) {
			return fmt.Sprintf("; the file has only %d lines", len(lines))
		}
		if lines[at] != l {
			return fmt.Sprintf("; line %d is %q, not %q", at+1, lines[at], l)
		}
	}
	return ""
}

// split cuts a text behind each newline.
func split(text string) []string {
	lines := strings.SplitAfter(text, "\n")
	return lines[:len(lines)-1+min(len(lines[len(lines)-1]), 1)] // without the empty rest behind the last newline
}
