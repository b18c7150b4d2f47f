package patch

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Patch is a parsed diff.
type Patch struct {
	comments []string // the leading lines that begin with #, without it
	files    []*file
}

// file is the part of a patch about one file.
type file struct {
	name           string // as in the patch, without a/ or b/
	added, deleted bool
	hunks          []hunk
}

// hunk replaces some lines. Lines keep their newline, which the last one of a file may lack.
type hunk struct {
	at     int // line of the patch, from 1, for messages
	header string
	start  int // first old line, from 1; where there is none, the line to insert behind
	lines  []line
}

type line struct {
	op   byte // ' ', '-' or '+'
	text string
}

// old and new are the lines before and after.
func (h hunk) old() []string { return h.without('+') }
func (h hunk) new() []string { return h.without('-') }

func (h hunk) without(op byte) (lines []string) {
	for _, l := range h.lines {
		if l.op != op {
			lines = append(lines, l.text)
		}
	}
	return lines
}

// Parse reads a patch. Text before the first file is passed over, so that what git format-patch writes can be read; of it,
// lines that begin with # are comments. Errors name the line.
func Parse(text []byte) (*Patch, error) {
	r := &reader{lines: strings.SplitAfter(string(text), "\n")}
	p := &Patch{}
	for {
		f, err := r.header(p)
		if err == nil && f != nil {
			err = r.hunks(f)
		}
		if err != nil {
			return nil, fmt.Errorf("patch, line %d: %w", r.next+1, err)
		}
		if f == nil {
			break
		}
		if slices.ContainsFunc(p.files, func(o *file) bool { return o.name == f.name }) {
			return nil, fmt.Errorf("patch: %s is changed twice", f.name)
		}
		p.files = append(p.files, f)
	}
	if len(p.files) == 0 {
		return nil, errors.New("patch: it changes no file: where are its lines --- a/... and +++ b/...?")
	}
	return p, nil
}

// Comment is the value of the leading line "# key: value", "" if there is none.
func (p *Patch) Comment(key string) string {
	for _, c := range p.comments {
		if k, v, ok := strings.Cut(c, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Names are the files that the patch changes, without a/ and b/, in its order.
func (p *Patch) Names() []string {
	names := make([]string, len(p.files))
	for i, f := range p.files {
		names[i] = f.name
	}
	return names
}

// reader walks over the lines of a patch.
type reader struct {
	lines []string
	next  int
}

// peek is the next line without its newline; false at the end.
func (r *reader) peek() (string, bool) {
	if r.next >= len(r.lines) || r.lines[r.next] == "" {
		return "", false
	}
	return strings.TrimSuffix(r.lines[r.next], "\n"), true
}

// isUnsupported reports lines of git's extended headers that say more than a change of text.
func isUnsupported(text string) bool {
	return beginsWithAny(text, "rename ", "copy ", "old mode ", "new mode ", "GIT binary patch", "Binary files ")
}

// isExtended reports lines that may stand between two files.
func isExtended(text string) bool {
	return beginsWithAny(text, "#", "diff ", "index ", "new file mode ", "deleted file mode ")
}

func beginsWithAny(text string, starts ...string) bool {
	return slices.ContainsFunc(starts, func(s string) bool { return strings.HasPrefix(text, s) })
}

// header reads up to and including the two name lines of the next file; nil at the end.
func (r *reader) header(p *Patch) (*file, error) {
	first := len(p.files) == 0
	for text, more := r.peek(); more; text, more = r.peek() {
		switch {
		case strings.HasPrefix(text, "--- "):
			return r.names()
		case strings.HasPrefix(text, "@@ "):
			return nil, errors.New("a hunk that belongs to no file, or a hunk before it that is longer than its header says")
		case isUnsupported(text):
			return nil, fmt.Errorf("%q is not supported: text of files can be changed, added and deleted, nothing else", text)
		case text == "-- ": // the signature that git format-patch ends with
			r.next = len(r.lines)
			return nil, nil
		case first && strings.HasPrefix(text, "#"):
			p.comments = append(p.comments, strings.TrimSpace(text[1:]))
		case !first && text != "" && !isExtended(text):
			return nil, fmt.Errorf("%q belongs to no hunk: a hunk's header may count too few lines", text)
		}
		r.next++
	}
	return nil, nil
}

const devNull = "/dev/null"

func (r *reader) names() (*file, error) {
	text, _ := r.peek()
	from, err := name(strings.TrimPrefix(text, "--- "), "a/")
	if err != nil {
		return nil, err
	}
	r.next++
	text, _ = r.peek()
	if !strings.HasPrefix(text, "+++ ") {
		return nil, errors.New("no +++ b/path/of/file follows on --- a/path/of/file")
	}
	to, err := name(strings.TrimPrefix(text, "+++ "), "b/")
	if err != nil {
		return nil, err
	}
	f := &file{name: to, added: from == devNull, deleted: to == devNull}
	switch {
	case f.added && f.deleted:
		return nil, errors.New("both names are " + devNull)
	case f.deleted:
		f.name = from
	case !f.added && from != to:
		return nil, fmt.Errorf("%s becomes %s: renames are not supported", from, to)
	}
	r.next++
	return f, nil
}

// name takes the prefix and a timestamp off. A name that leads out of the tree is refused.
func name(text, prefix string) (string, error) {
	text, _, _ = strings.Cut(strings.TrimSuffix(text, "\r"), "\t")
	if text == devNull {
		return text, nil
	}
	name, ok := strings.CutPrefix(text, prefix)
	if !ok || name == "" || name == "." || path.Clean(name) != name || path.IsAbs(name) || strings.HasPrefix(name, "../") || name == ".." || strings.ContainsAny(name, "\"\\\x00") {
		return "", fmt.Errorf("%q is no name of the form %spath/of/file", text, prefix)
	}
	return name, nil
}

// hunks reads all hunks of f.
func (r *reader) hunks(f *file) error {
	for {
		text, more := r.peek()
		if !more || !strings.HasPrefix(text, "@@ ") {
			break
		}
		h, err := r.hunk(text)
		if err != nil {
			return err
		}
		if (f.added && len(h.old()) > 0) || (f.deleted && len(h.new()) > 0) {
			return fmt.Errorf("%s is added or deleted, but the hunk before this line has lines on both sides", f.name)
		}
		f.hunks = append(f.hunks, h)
	}
	if len(f.hunks) == 0 && !f.added && !f.deleted {
		return fmt.Errorf("no hunk follows on the names of %s", f.name)
	}
	return nil
}

func (r *reader) hunk(header string) (hunk, error) {
	h := hunk{at: r.next + 1}
	ranges, _, ok := strings.Cut(strings.TrimPrefix(header, "@@ "), " @@")
	from, to, both := strings.Cut(ranges, " ")
	start, before, err1 := span(from, "-")
	_, after, err2 := span(to, "+")
	if !ok || !both || err1 != nil || err2 != nil {
		return h, fmt.Errorf("%q is no header of a hunk: @@ -line,count +line,count @@", header)
	}
	h.header, h.start = "@@ "+ranges+" @@", start
	r.next++
	changes := false
	for before > 0 || after > 0 {
		text, more := r.peek()
		if !more {
			return h, fmt.Errorf("the hunk of line %d ends too early: %d old and %d new lines are missing", h.at, before, after)
		}
		l := line{' ', "\n"} // an empty line of context whose blank an editor took away
		if text != "" {
			l = line{text[0], r.lines[r.next][1:]}
		}
		switch {
		case l.op == ' ':
			before, after = before-1, after-1
		case l.op == '-':
			before, changes = before-1, true
		case l.op == '+':
			after, changes = after-1, true
		default:
			return h, fmt.Errorf("%q is no line of a hunk; the hunk of line %d lacks %d old and %d new lines", text, h.at, before, after)
		}
		if before < 0 || after < 0 {
			return h, fmt.Errorf("the hunk of line %d has more lines than its header says", h.at)
		}
		if !strings.HasSuffix(l.text, "\n") {
			l.text += "\n" // the patch itself lacks its last newline
		}
		h.lines = append(h.lines, l)
		r.next++
		r.noNewline(&h)
	}
	if !changes {
		return h, fmt.Errorf("the hunk of line %d changes nothing", h.at)
	}
	return h, nil
}

// noNewline takes the newline off the last line if the patch says that the file ends without one.
func (r *reader) noNewline(h *hunk) {
	if text, more := r.peek(); more && strings.HasPrefix(text, `\ `) {
		last := &h.lines[len(h.lines)-1]
		last.text = strings.TrimSuffix(last.text, "\n")
		r.next++
	}
}

// span reads -12,3 or -12, which means one line. maxLine keeps arithmetic on it from overflowing.
func span(text, sign string) (start, count int, err error) {
	const maxLine = 1 << 30
	text, ok := strings.CutPrefix(text, sign)
	startText, countText, counted := strings.Cut(text, ",")
	if !counted {
		countText = "1"
	}
	s, err1 := strconv.ParseUint(startText, 10, 64)
	c, err2 := strconv.ParseUint(countText, 10, 64)
	if !ok || err1 != nil || err2 != nil || s > maxLine || c > maxLine {
		return 0, 0, errors.New("malformed")
	}
	return int(s), int(c), nil
}
