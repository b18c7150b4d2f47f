package linearizability

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxLineBytes bounds one line of a history: a key and two values of 1 MiB fit, also in base64.
const MaxLineBytes = 4 << 20

type operationJSON struct {
	Op        Kind       `json:"op"`
	Key       *string    `json:"key,omitempty"`
	KeyBase64 *string    `json:"key_base64,omitempty"`
	Input     inputJSON  `json:"input"`
	Output    outputJSON `json:"output"`
	Outcome   Outcome    `json:"outcome"`
	Call      int64      `json:"call"`
	Return    *int64     `json:"return,omitempty"`
	Client    int        `json:"client"`
	Node      string     `json:"node,omitempty"`
	Receipt   *Receipt   `json:"receipt,omitempty"`
}

type inputJSON struct {
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"value_base64,omitempty"`
	Revision    uint64  `json:"revision,omitempty"`
	Consistency string  `json:"consistency,omitempty"`
}

type outputJSON struct {
	Result      Result  `json:"result,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"value_base64,omitempty"`
	Revision    uint64  `json:"revision,omitempty"`
}

// split gives the text field for UTF-8, the base64 field for all else, neither for an empty optional value.
func split(s string, required bool) (text, encoded *string) {
	if s == "" && !required {
		return nil, nil
	}
	if utf8.ValidString(s) {
		return &s, nil
	}
	b := base64.StdEncoding.EncodeToString([]byte(s))
	return nil, &b
}

func join(name string, text, encoded *string) (string, error) {
	switch {
	case text != nil && encoded != nil:
		return "", fmt.Errorf("%s and %s_base64 are both given", name, name)
	case text != nil:
		return *text, nil
	case encoded == nil:
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(*encoded)
	if err != nil {
		return "", fmt.Errorf("%s_base64: %w", name, err)
	}
	return string(b), nil
}

// MarshalJSON writes the line of the history format, without the line feed.
func (o Operation) MarshalJSON() ([]byte, error) {
	j := operationJSON{Op: o.Kind, Outcome: o.Outcome, Call: o.Call, Client: o.Client, Node: o.Node, Receipt: o.Receipt}
	j.Key, j.KeyBase64 = split(o.Key, true)
	j.Input.Revision, j.Input.Consistency = o.Input.Revision, o.Input.Consistency
	j.Input.Value, j.Input.ValueBase64 = split(o.Input.Value, false)
	j.Output.Result, j.Output.Revision = o.Output.Result, o.Output.Revision
	j.Output.Value, j.Output.ValueBase64 = split(o.Output.Value, false)
	if o.Outcome != Unknown {
		j.Return = &o.Return
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads one line and validates it. Members it does not know are ignored, so that recorders may add to the
// format what reports want to show.
func (o *Operation) UnmarshalJSON(b []byte) error {
	var j operationJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if j.Key == nil && j.KeyBase64 == nil {
		return errors.New("key is missing")
	}
	n := Operation{Kind: j.Op, Outcome: j.Outcome, Call: j.Call, Return: Open, Client: j.Client, Node: j.Node, Receipt: j.Receipt}
	var errs [3]error
	n.Key, errs[0] = join("key", j.Key, j.KeyBase64)
	n.Input.Value, errs[1] = join("input.value", j.Input.Value, j.Input.ValueBase64)
	n.Output.Value, errs[2] = join("output.value", j.Output.Value, j.Output.ValueBase64)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	n.Input.Revision, n.Input.Consistency = j.Input.Revision, j.Input.Consistency
	n.Output.Result, n.Output.Revision = j.Output.Result, j.Output.Revision
	if n.Outcome != Unknown {
		if j.Return == nil {
			return fmt.Errorf("outcome %s needs return", n.Outcome)
		}
		n.Return = *j.Return
	}
	if err := n.Validate(); err != nil {
		return err
	}
	*o = n
	return nil
}

// Read reads a whole history. An error names the line; a history with a bad line is not judged at all, since a dropped
// write could make a sound store look wrong and a dropped read a wrong one sound.
func Read(r io.Reader) ([]Operation, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), MaxLineBytes)
	var history []Operation
	number := 0
	for lines.Scan() {
		number++
		if len(lines.Bytes()) == 0 {
			continue
		}
		var o Operation
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		history = append(history, o)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	return history, nil
}

// Writer writes a history line by line. Not for several goroutines at once.
type Writer struct {
	w *bufio.Writer
}

// NewWriter returns a Writer that buffers; call Flush at the end.
func NewWriter(w io.Writer) *Writer { return &Writer{w: bufio.NewWriter(w)} }

// Write appends one operation. It refuses one that Read would refuse.
func (w *Writer) Write(o Operation) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	line, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if len(line) >= MaxLineBytes {
		return fmt.Errorf("history: a line of %d bytes is over the limit of %d", len(line), MaxLineBytes)
	}
	if _, err = w.w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// Flush writes out what is buffered.
func (w *Writer) Flush() error { return w.w.Flush() }
