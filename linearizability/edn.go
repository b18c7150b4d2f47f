package linearizability

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A reader for as much of EDN (github.com/edn-format/edn) as Jepsen writes. Values: nil, bool, string (text), ednAtom
// (numbers, keywords, symbols and characters, as they stand), ednList (lists, vectors, sets), ednMap.

type (
	ednAtom string
	ednList []any
	ednMap  []ednPair
	ednPair struct{ key, value any }
)

const (
	ednMaxDepth  = 64
	ednMaxAtom   = 1 << 20 // bytes of one string, number, keyword ...
	ednDelimiter = "()[]{}\";"
	ednNoTag     = ednDelimiter + " ,\t\r\n#_" // what no tag begins with
)

type ednReader struct {
	in    *bufio.Reader
	line  int
	back  byte   // read and given back by unread, if not 0
	atoms []byte // scratch
}

func newEDNReader(r io.Reader) *ednReader { return &ednReader{in: bufio.NewReader(r), line: 1} }

// next gives the next byte that is neither white space nor part of a comment.
func (r *ednReader) next() (byte, error) {
	if c := r.back; c != 0 {
		r.back = 0
		return c, nil
	}
	for {
		c, err := r.in.ReadByte()
		switch {
		case err != nil:
			return 0, err
		case c == '\n':
			r.line++
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == ',':
		case c == ';':
			if err := r.skipLine(); err != nil {
				return 0, err
			}
		default:
			return c, nil
		}
	}
}

// unread gives back what next gave. Only next will find it.
func (r *ednReader) unread(c byte) { r.back = c }

func (r *ednReader) skipLine() error {
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		if c == '\n' {
			r.line++
			return nil
		}
	}
}

var errEDNClosed = errors.New("closing bracket without an opening one")

// value reads one value. At the end of the input it gives io.EOF.
func (r *ednReader) value(depth int) (any, error) {
	c, err := r.next()
	if err != nil {
		return nil, err
	}
	if depth > ednMaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", ednMaxDepth)
	}
	switch c {
	case '(':
		return r.list(')', depth)
	case '[':
		return r.list(']', depth)
	case '{':
		return r.mapping(depth)
	case ')', ']', '}':
		return nil, errEDNClosed
	case '"':
		return r.text()
	case '#':
		return r.dispatch(depth)
	case '\\':
		return r.character()
	}
	return r.atom(c)
}

// inner is value inside of something, where the input must not end.
func (r *ednReader) inner(depth int) (any, error) {
	v, err := r.value(depth)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

// more reports whether another value comes before the closing bracket, which it consumes.
func (r *ednReader) more(closing byte) (bool, error) {
	for {
		c, err := r.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || c == closing {
			return false, err
		}
		if c == '#' {
			if skipped, err := r.discarded(); err != nil || skipped {
				if err != nil {
					return false, err
				}
				continue
			}
		}
		r.unread(c)
		return true, nil
	}
}

// discarded skips #_ and the value behind it, after the '#'. If it is something else, the '#' can be unread.
func (r *ednReader) discarded() (bool, error) {
	next, err := r.in.Peek(1)
	if err != nil || next[0] != '_' {
		return false, nil // what is wrong shows when the value is read
	}
	if _, err := r.in.Discard(1); err != nil {
		return false, err
	}
	_, err = r.inner(ednMaxDepth / 2)
	return true, err
}

func (r *ednReader) list(closing byte, depth int) (any, error) {
	list := ednList{}
	for {
		more, err := r.more(closing)
		if err != nil || !more {
			return list, err
		}
		v, err := r.inner(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
}

func (r *ednReader) mapping(depth int) (any, error) {
	flat, err := r.list('}', depth)
	if err != nil {
		return nil, err
	}
	all := flat.(ednList)
	if len(all)%2 != 0 {
		return nil, errors.New("a map with a key but no value")
	}
	m := ednMap{}
	for i := 0; i < len(all); i += 2 {
		m = append(m, ednPair{all[i], all[i+1]})
	}
	return m, nil
}

// dispatch reads what follows '#': a set, something to leave out, or a tag, which is dropped.
func (r *ednReader) dispatch(depth int) (any, error) {
	c, err := r.in.ReadByte()
	if err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	switch {
	case c == '{':
		return r.list('}', depth)
	case c == '_':
		if _, err := r.inner(depth + 1); err != nil {
			return nil, err
		}
		return r.value(depth + 1)
	case strings.IndexByte(ednNoTag, c) >= 0:
		return nil, fmt.Errorf("%q after #", c)
	}
	if _, err := r.atom(c); err != nil {
		return nil, err
	}
	return r.inner(depth + 1)
}

// untagged is next behind the tags that come before it.
func (r *ednReader) untagged() (byte, error) {
	for tags := 0; ; tags++ {
		c, err := r.next()
		if errors.Is(err, io.EOF) && tags > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || c != '#' {
			return c, err
		}
		begin, err := r.in.Peek(1)
		if err != nil || strings.IndexByte(ednNoTag, begin[0]) >= 0 {
			return c, nil // a set, something to leave out, or what shows to be wrong when it is read
		}
		if _, err := r.in.Discard(1); err != nil {
			return c, err
		}
		if _, err := r.atom(begin[0]); err != nil {
			return c, err
		}
	}
}

// text reads a string after its first quote.
func (r *ednReader) text() (any, error) {
	r.atoms = r.atoms[:0]
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		switch c {
		case '"':
			return string(r.atoms), nil
		case '\n':
			r.line++
		case '\\':
			if c, err = r.in.ReadByte(); err != nil {
				return nil, io.ErrUnexpectedEOF
			}
			if c == '\n' {
				r.line++
			}
			if i := strings.IndexByte("tnr", c); i >= 0 {
				c = "\t\n\r"[i]
			}
		}
		if err := r.keep(c); err != nil {
			return nil, err
		}
	}
}

func (r *ednReader) keep(c byte) error {
	if len(r.atoms) >= ednMaxAtom {
		return fmt.Errorf("a value of more than %d bytes", ednMaxAtom)
	}
	r.atoms = append(r.atoms, c)
	return nil
}

func (r *ednReader) character() (any, error) {
	c, err := r.in.ReadByte()
	if err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if c == '\n' {
		r.line++
	}
	rest, err := r.atom(c)
	if err != nil {
		return nil, err
	}
	return ednAtom("\\" + fmt.Sprint(rest)), nil
}

// atom reads a number, keyword, symbol, nil, true or false that begins with c.
func (r *ednReader) atom(c byte) (any, error) {
	r.atoms = append(r.atoms[:0], c)
	for {
		next, err := r.in.Peek(1)
		if err != nil || strings.IndexByte(ednDelimiter+" ,\t\r\n\f", next[0]) >= 0 {
			break
		}
		if _, err := r.in.Discard(1); err != nil {
			return nil, err
		}
		if err := r.keep(next[0]); err != nil {
			return nil, err
		}
	}
	switch s := string(r.atoms); s {
	case "nil":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return ednAtom(s), nil
	}
}
