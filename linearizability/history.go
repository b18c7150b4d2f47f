package linearizability

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// FormatVersion is the version of the history and the commit log format that this package reads and writes.
const FormatVersion = 1

const (
	historyFormat = "kvorum-history"
	commitFormat  = "kvorum-commits"
)

// Model says what a key is.
type Model string

const (
	// Kvorum is a register with create, update, compare-and-set and delete whose writes get growing revisions. Default.
	Kvorum Model = "kvorum"
	// Register is a plain register: read, write, compare-and-set by value; revisions are not looked at.
	Register Model = "register"
)

// Annotation is something that happened beside the operations: a fault, a change of leader. Reports show it.
type Annotation struct {
	Kind  string `json:"kind"`           // "fault", "leader" or any other word
	Text  string `json:"text"`           // for people
	Node  string `json:"node,omitempty"` // whom it befell
	Start int64  `json:"start"`          // nanoseconds, on the clock of the operations
	End   int64  `json:"end,omitempty"`  // nanoseconds, not before Start; 0 = a moment
}

// Validate reports the first thing that makes the annotation meaningless.
func (a *Annotation) Validate() error {
	if a.End != 0 && a.End < a.Start {
		return fmt.Errorf("annotation: end %d is before start %d; leave end out of what lasted a moment", a.End, a.Start)
	}
	return nil
}

// History is a whole file.
type History struct {
	Model       Model // as the file's header says; Kvorum if it says nothing
	Operations  []Operation
	Annotations []Annotation
}

// header is the first line of a file; it may be missing.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Model   Model  `json:"model,omitempty"`
}

func (h header) check(format string) error {
	switch {
	case h.Format != format:
		return fmt.Errorf("format %s is not %q", quote(h.Format), format)
	case h.Version != FormatVersion:
		return fmt.Errorf("version %d of the format is not the one known here, %d", h.Version, FormatVersion)
	case h.Model != "" && h.Model != Kvorum && h.Model != Register:
		return fmt.Errorf("model %s is none of kvorum, register", quote(string(h.Model)))
	}
	return nil
}

// Reader reads a history line by line, in constant memory. Not for several goroutines at once.
type Reader struct {
	lines *lineReader
	model Model
	began bool
}

// NewReader reads from r. The model asked for is kept over the file's own; "" takes the file's.
func NewReader(r io.Reader, model Model) *Reader {
	return &Reader{lines: newLineReader(r), model: model}
}

// Model is what the operations are validated for: known after the first Next.
func (r *Reader) Model() Model {
	if r.model == "" {
		return Kvorum
	}
	return r.model
}

// line is any line of a history.
type line struct {
	Format     *string         `json:"format"`
	Annotation *annotationJSON `json:"annotation"`
}

type annotationJSON struct {
	Annotation
	Start *int64 `json:"start"`
}

// Next gives the next operation or the next annotation: exactly one of them is set. At the end it gives io.EOF. Other
// errors name the line, and end the reading.
func (r *Reader) Next() (o *Operation, a *Annotation, err error) {
	for {
		text, err := r.lines.next()
		if err != nil {
			return nil, nil, err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, nil, r.lines.wrap(explain(err, text))
		}
		first := !r.began
		r.began = true
		switch {
		case l.Format != nil && first:
			err = r.header(text)
		case l.Format != nil:
			err = errors.New("the header may only be the first line")
		case l.Annotation != nil:
			a, err = l.Annotation.annotation(text)
		default:
			o, err = r.operation(text)
		}
		if err != nil {
			return nil, nil, r.lines.wrap(err)
		}
		if o != nil || a != nil {
			return o, a, nil
		}
	}
}

func (r *Reader) header(text []byte) error {
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return explain(err, text)
	}
	if err := checkMembers(text, headerShape); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if r.model == "" {
		r.model = h.Model
	}
	return h.check(historyFormat)
}

func (j *annotationJSON) annotation(text []byte) (*Annotation, error) {
	if err := checkMembers(text, noteShape); err != nil {
		return nil, fmt.Errorf("annotation: %w", err)
	}
	if j.Start == nil {
		return nil, errors.New("annotation: start is missing (nanoseconds, on the clock of the operations)")
	}
	a := j.Annotation
	a.Start = *j.Start
	return &a, a.Validate()
}

func (r *Reader) operation(text []byte) (*Operation, error) {
	o, untold, err := decodeOperation(text)
	if err == nil {
		err = o.validateFor(r.Model())
	}
	if err == nil && untold && r.Model() != Register {
		err = errUntold(r.Model())
	}
	if err != nil {
		return nil, err
	}
	return &o, nil
}

// ReadHistory reads a whole history, for the model asked for or, with "", the file's own. An error names the line; a
// history with a bad line is not judged at all, since a dropped write could make a sound store look wrong and a dropped
// read a wrong one sound.
func ReadHistory(r io.Reader, model Model) (History, error) {
	in := NewReader(r, model)
	var h History
	for {
		o, a, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			h.Model = in.Model()
			return h, nil
		case err != nil:
			return History{}, err
		case o != nil:
			h.Operations = append(h.Operations, *o)
		default:
			h.Annotations = append(h.Annotations, *a)
		}
	}
}

// Read reads the operations of a whole history. See ReadHistory.
func Read(r io.Reader) ([]Operation, error) {
	h, err := ReadHistory(r, "")
	return h.Operations, err
}

// lineWriter writes JSON lines, a header before the first.
type lineWriter struct {
	w      *bufio.Writer
	header header
	began  bool
}

func (w *lineWriter) write(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(text) >= MaxLineBytes {
		return fmt.Errorf("a line of %d bytes is over the limit of %d", len(text), MaxLineBytes)
	}
	if !w.began {
		w.began = true
		if err := w.write(w.header); err != nil {
			return err
		}
	}
	_, err = w.w.Write(append(text, '\n'))
	return err
}

// Writer writes a history line by line. Not for several goroutines at once.
type Writer struct {
	lines lineWriter
}

// NewWriter returns a Writer for the model Kvorum that buffers; call Flush at the end.
func NewWriter(w io.Writer) *Writer { return NewModelWriter(w, Kvorum) }

// NewModelWriter is NewWriter for any model.
func NewModelWriter(w io.Writer, m Model) *Writer {
	return &Writer{lineWriter{w: bufio.NewWriter(w), header: header{historyFormat, FormatVersion, m}}}
}

// Write appends one operation. It refuses one that a Reader would refuse.
func (w *Writer) Write(o Operation) error {
	err := o.Validate()
	if err == nil {
		err = o.validateFor(w.lines.header.Model)
	}
	if err == nil {
		err = w.lines.write(o)
	}
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// Annotate appends an annotation. It refuses one that a Reader would refuse.
func (w *Writer) Annotate(a Annotation) error {
	err := a.Validate()
	if err == nil {
		err = w.lines.write(struct {
			Annotation Annotation `json:"annotation"`
		}{a})
	}
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// Flush writes out what is buffered.
func (w *Writer) Flush() error { return w.lines.w.Flush() }
