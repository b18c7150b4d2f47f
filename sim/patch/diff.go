package patch

import (
	"fmt"
	"strings"
)

// contextLines stand before and behind a change, as in git diff.
const contextLines = 3

// Diff writes the change of one file as a patch of one hunk, from the first line that differs to the last. Equal texts give "".
func Diff(name, before, after string) string {
	old, changed := split(before), split(after)
	head := 0
	for head < min(len(old), len(changed)) && old[head] == changed[head] {
		head++
	}
	tail := 0
	for tail < min(len(old), len(changed))-head && old[len(old)-1-tail] == changed[len(changed)-1-tail] {
		tail++
	}
	if before == after {
		return ""
	}
	from, behind := max(head-contextLines, 0), min(tail, contextLines)
	oldEnd, newEnd := len(old)-tail, len(changed)-tail
	var b strings.Builder
	fmt.Fprintf(&b, "--- a/%s\n+++ b/%s\n@@ -%s +%s @@\n", name, name, rangeOf(from, oldEnd+behind), rangeOf(from, newEnd+behind))
	write := func(op byte, lines []string) {
		for _, l := range lines {
			b.WriteByte(op)
			b.WriteString(l)
			if !strings.HasSuffix(l, "\n") {
				b.WriteString("\n\\ No newline at end of file\n")
			}
		}
	}
	write(' ', old[from:head])
	write('-', old[head:oldEnd])
	write('+', changed[head:newEnd])
	write(' ', old[oldEnd:oldEnd+behind])
	return b.String()
}

// rangeOf writes lines from..to-1, counted from 0, as a hunk's header does.
func rangeOf(from, to int) string {
	if from == to {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}
