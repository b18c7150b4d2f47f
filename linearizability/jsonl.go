package linearizability

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxLineBytes bounds one line of a history or commit log: a key and two values of 1 MiB fit, also in base64. A listing
// whose line would be longer is written as several, each with its After and More.
const MaxLineBytes = 4 << 20

type operationJSON struct {
	Op        Kind       `json:"op"`
	Key       *string    `json:"key,omitempty"`
	KeyBase64 *string    `json:"key_base64,omitempty"`
	Input     inputJSON  `json:"input"`
	Output    outputJSON `json:"output"`
	Outcome   Outcome    `json:"outcome"`
	Call      *int64     `json:"call"`
	Return    *int64     `json:"return,omitempty"`
	Client    int        `json:"client"`
	Node      string     `json:"node,omitempty"`
	Receipt   *Receipt   `json:"receipt,omitempty"`
}

type inputJSON struct {
	Value          *string `json:"value,omitempty"`
	ValueBase64    *string `json:"value_base64,omitempty"`
	Revision       uint64  `json:"revision,omitempty"`
	Expected       *string `json:"expected,omitempty"`
	ExpectedBase64 *string `json:"expected_base64,omitempty"`
	IdempotencyKey string  `json:"idempotency_key,omitempty"`
	Consistency    string  `json:"consistency,omitempty"`

	Prefix       *string `json:"prefix,omitempty"`
	PrefixBase64 *string `json:"prefix_base64,omitempty"`
	After        *string `json:"after,omitempty"`
	AfterBase64  *string `json:"after_base64,omitempty"`
}

type outputJSON struct {
	Result      Result     `json:"result,omitempty"`
	Value       *string    `json:"value,omitempty"`
	ValueBase64 *string    `json:"value_base64,omitempty"`
	Revision    *uint64    `json:"revision,omitempty"`
	Items       []itemJSON `json:"items,omitempty"`
	More        bool       `json:"more,omitempty"`
}

type itemJSON struct {
	Key         *string `json:"key,omitempty"`
	KeyBase64   *string `json:"key_base64,omitempty"`
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

// joiner undoes split for many members and keeps the first error.
type joiner struct{ err error }

func (j *joiner) join(name string, text, encoded *string) string {
	switch {
	case j.err != nil:
		return ""
	case text != nil && encoded != nil:
		j.err = fmt.Errorf("%s and %s_base64 are both given", name, name)
		return ""
	case text != nil:
		return *text
	case encoded == nil:
		return ""
	}
	b, err := base64.StdEncoding.DecodeString(*encoded)
	if err != nil {
		j.err = fmt.Errorf("%s_base64: %w", name, err)
	}
	return string(b)
}

// MarshalJSON writes the line of the history format, without the line feed.
func (o Operation) MarshalJSON() ([]byte, error) {
	j := operationJSON{Op: o.Kind, Outcome: o.Outcome, Call: &o.Call, Client: o.Client, Node: o.Node, Receipt: o.Receipt}
	j.Key, j.KeyBase64 = split(o.Key, o.Kind != List)
	j.Input, j.Output = marshalInput(o.Input), marshalOutput(o.Output)
	if l := o.Listing; l != nil {
		j.Input.Prefix, j.Input.PrefixBase64 = split(l.Prefix, false)
		j.Input.After, j.Input.AfterBase64 = split(l.After, false)
		j.Output.More = l.More
		for _, item := range l.Items {
			i := itemJSON{Revision: item.Revision}
			i.Key, i.KeyBase64 = split(item.Key, true)
			i.Value, i.ValueBase64 = split(item.Value, false)
			j.Output.Items = append(j.Output.Items, i)
		}
	}
	if o.Outcome != Unknown {
		j.Return = &o.Return
	}
	return json.Marshal(j)
}

func marshalInput(i Input) inputJSON {
	j := inputJSON{Revision: i.Revision, IdempotencyKey: i.IdempotencyKey, Consistency: i.Consistency}
	j.Value, j.ValueBase64 = split(i.Value, false)
	j.Expected, j.ExpectedBase64 = split(i.Expected, i.ByValue)
	return j
}

func marshalOutput(o Output) outputJSON {
	j := outputJSON{Result: o.Result}
	if o.Revision != 0 || o.Result == PreconditionFailed { // refused: 0 says that the key was absent
		j.Revision = &o.Revision
	}
	j.Value, j.ValueBase64 = split(o.Value, false)
	return j
}

func (j *joiner) input(i inputJSON) Input {
	return Input{
		Value: j.join("input.value", i.Value, i.ValueBase64), Revision: i.Revision,
		Expected: j.join("input.expected", i.Expected, i.ExpectedBase64), ByValue: i.Expected != nil || i.ExpectedBase64 != nil,
		IdempotencyKey: i.IdempotencyKey, Consistency: i.Consistency,
	}
}

func (j *joiner) output(o outputJSON) Output {
	out := Output{Result: o.Result, Value: j.join("output.value", o.Value, o.ValueBase64)}
	if o.Revision != nil {
		out.Revision = *o.Revision
	}
	return out
}

// untold: refused, and not told at which revision the key was, nor that it was absent. The model Register doesn't ask.
func (o *outputJSON) untold() bool { return o.Result == PreconditionFailed && o.Revision == nil }

func errUntold(m Model) error {
	return fmt.Errorf("result %s needs output.revision in the model %s: the present one, 0 if the key was absent%s", PreconditionFailed, m, registerHint)
}

func (j *joiner) listing(i inputJSON, o outputJSON) *Listing {
	l := &Listing{More: o.More, Prefix: j.join("input.prefix", i.Prefix, i.PrefixBase64), After: j.join("input.after", i.After, i.AfterBase64)}
	for _, item := range o.Items {
		if item.Key == nil && item.KeyBase64 == nil && j.err == nil {
			j.err = errors.New("a listed item without a key")
		}
		l.Items = append(l.Items, Item{
			Key: j.join("output.items.key", item.Key, item.KeyBase64), Value: j.join("output.items.value", item.Value, item.ValueBase64), Revision: item.Revision,
		})
	}
	return l
}

// UnmarshalJSON reads one line and validates it. It refuses members that it does not know, but for those whose names begin
// with _: they are the recorder's own. In the model Kvorum a Reader asks for more.
func (o *Operation) UnmarshalJSON(b []byte) error {
	n, _, err := decodeOperation(b)
	if err == nil {
		*o = n
	}
	return err
}

// decodeOperation also says whether a refused operation was not told what refused it.
func decodeOperation(b []byte) (o Operation, untold bool, err error) {
	var in operationJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return o, false, explain(err, b)
	}
	if err := checkMembers(b, operationShape); err != nil {
		return o, false, err
	}
	switch {
	case in.Op != List && in.Key == nil && in.KeyBase64 == nil:
		return o, false, errors.New("key is missing")
	case in.Call == nil:
		return o, false, errors.New("call is missing: when the operation was called, in nanoseconds")
	}
	var j joiner
	o = Operation{
		Kind: in.Op, Key: j.join("key", in.Key, in.KeyBase64), Input: j.input(in.Input), Output: j.output(in.Output),
		Outcome: in.Outcome, Call: *in.Call, Return: Open, Client: in.Client, Node: in.Node, Receipt: in.Receipt,
	}
	if o.Kind == List {
		o.Listing = j.listing(in.Input, in.Output)
	}
	if j.err != nil {
		return o, false, j.err
	}
	if o.Outcome != Unknown {
		if in.Return == nil {
			return o, false, fmt.Errorf("outcome %s needs return: when the operation came back, in nanoseconds", quote(string(o.Outcome)))
		}
		o.Return = *in.Return
	}
	return o, in.Output.untold(), o.Validate()
}
