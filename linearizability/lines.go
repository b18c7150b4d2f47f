package linearizability

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

const byteOrderMark = "\xef\xbb\xbf"

// lineReader reads JSON lines and names the line in errors.
type lineReader struct {
	in     *bufio.Reader
	lines  *bufio.Scanner // of in; nil before the first line
	number int
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{in: bufio.NewReader(r)} }

// next gives the next line that isn't blank; it is valid until the following call.
func (l *lineReader) next() ([]byte, error) {
	if l.lines == nil {
		if err := beginText(l.in); err != nil {
			return nil, fmt.Errorf("line 1: %w", err)
		}
		l.lines = bufio.NewScanner(l.in)
		l.lines.Buffer(make([]byte, 0, 64<<10), MaxLineBytes)
	}
	for l.lines.Scan() {
		l.number++
		if text := bytes.TrimSpace(l.lines.Bytes()); len(text) > 0 {
			return text, nil
		}
	}
	err := l.lines.Err()
	if err == nil {
		return nil, io.EOF
	}
	l.number++
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("the line is too long: %d bytes (4 MiB) are the limit; a listing can be written as several, each with its after and more", MaxLineBytes)
	}
	return nil, l.wrap(err)
}

func (l *lineReader) wrap(err error) error { return fmt.Errorf("line %d: %w", l.number, err) }

// beginText steps over the mark with which some editors begin UTF-8, and refuses what is no such text.
func beginText(in *bufio.Reader) error {
	head, _ := in.Peek(len("\xfd7zXZ\x00")) // an error comes again when it is read
	for _, f := range []struct{ begin, what string }{
		{"\x1f\x8b", "gzip -dc"}, {"\x28\xb5\x2f\xfd", "zstd -dc"}, {"\xfd7zXZ\x00", "xz -dc"}, {"BZh", "bzip2 -dc"}, {"PK\x03\x04", "unzip -p"},
	} {
		if strings.HasPrefix(string(head), f.begin) {
			return fmt.Errorf("the file is compressed: unpack it first, as in %s FILE | lincheck -", f.what)
		}
	}
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(string(head), mark) {
			return errors.New("the file is in UTF-16: make UTF-8 of it first, as in iconv -f UTF-16 -t UTF-8 FILE | lincheck -")
		}
	}
	if strings.HasPrefix(string(head), byteOrderMark) {
		_, err := in.Discard(len(byteOrderMark))
		return err
	}
	return nil
}

// explain says of an error of encoding/json what is wrong with the line and what to do about it.
func explain(err error, text []byte) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch text = bytes.TrimSpace(text); {
	case looksLikeEDN(text):
		return errors.New("this looks like EDN, which Jepsen writes, and is no JSON: lincheck reads it with --format edn")
	case len(text) > 0 && text[0] == '[':
		return errors.New("an array begins: each operation is one object {...} on a line of its own, with no [ ] around them and no commas between them (EDN: --format edn)")
	case errors.As(err, &kind):
		return wrongType(kind)
	case errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return errors.New("unexpected end of the line: each object {...} stands whole on one line")
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON: %w, at byte %d of the line", err, syntax.Offset)
	}
	return err
}

func looksLikeEDN(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	inner := bytes.TrimLeft(text, "([{ \t")
	return strings.IndexByte("#;(", text[0]) >= 0 || len(inner) < len(text) && len(inner) > 0 && inner[0] == ':'
}

// wrongType says which member has a value of the wrong type, and what it must be.
func wrongType(e *json.UnmarshalTypeError) error {
	want := "an object {...}"
	switch t := e.Type; t.Kind() {
	case reflect.String:
		want = `text in quotes, such as "5"`
	case reflect.Bool:
		want = "true or false"
	case reflect.Slice:
		want = "an array [...]"
	case reflect.Int, reflect.Int64:
		want = "a whole number, without quotes, point or exponent"
	case reflect.Uint32, reflect.Uint64:
		want = "a whole number from 0 on, without quotes, point or exponent"
	}
	if e.Field == "call" || e.Field == "return" {
		want += " (nanoseconds)"
	}
	what := e.Field
	if what == "" {
		what = "the line"
	}
	return fmt.Errorf("%s must be %s, and is %s", what, want, shownType(e.Value))
}

// shownType is encoding/json's word for a value with its article.
func shownType(value string) string {
	number, isNumber := strings.CutPrefix(value, "number ")
	switch {
	case isNumber:
		return clip(number, maxShownBytes)
	case value == "array", value == "object":
		return "an " + value
	}
	return "a " + value
}
