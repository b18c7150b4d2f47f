package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// textOrBase64 splits b over the two JSON fields: text when it is valid UTF-8, else base64.
func textOrBase64(b []byte) (text *string, encoded string) {
	if utf8.Valid(b) {
		s := string(b)
		return &s, ""
	}
	return nil, base64.StdEncoding.EncodeToString(b)
}

// joinBytes is the inverse of textOrBase64. It refuses a line that gives both.
func joinBytes(name string, text *string, encoded string) ([]byte, error) {
	switch {
	case text != nil && encoded != "":
		return nil, errors.New("give either " + name + " or " + name + "_base64, not both")
	case text != nil:
		return []byte(*text), nil
	case encoded == "":
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New(name + "_base64 is not base64: " + err.Error())
	}
	return b, nil
}

type entryJSON struct {
	Key         *string `json:"key,omitempty"`
	KeyBase64   string  `json:"key_base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 string  `json:"value_base64,omitempty"`
	Revision    uint64  `json:"revision,omitempty"`
}

// MarshalJSON writes text where it can, base64 where it must.
func (e Entry) MarshalJSON() ([]byte, error) {
	j := entryJSON{Revision: e.Revision}
	j.Key, j.KeyBase64 = textOrBase64(e.Key)
	j.Value, j.ValueBase64 = textOrBase64(e.Value)
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (e *Entry) UnmarshalJSON(b []byte) error {
	var j entryJSON
	err := json.Unmarshal(b, &j)
	if err != nil {
		return err
	}
	*e, err = j.entry()
	return err
}

func (j entryJSON) entry() (e Entry, err error) {
	e.Revision = j.Revision
	if e.Key, err = joinBytes("key", j.Key, j.KeyBase64); err != nil {
		return e, err
	}
	e.Value, err = joinBytes("value", j.Value, j.ValueBase64)
	return e, err
}

type batchOperationJSON struct {
	Op             string  `json:"op"`
	Key            *string `json:"key,omitempty"`
	KeyBase64      string  `json:"key_base64,omitempty"`
	Value          *string `json:"value,omitempty"`
	ValueBase64    string  `json:"value_base64,omitempty"`
	IfAbsent       bool    `json:"if_absent,omitempty"`
	IfPresent      bool    `json:"if_present,omitempty"`
	IfRevision     *uint64 `json:"if_revision,omitempty"`
	IdempotencyKey string  `json:"idempotency_key,omitempty"`
}

// MarshalJSON writes text where it can, base64 where it must.
func (o BatchOperation) MarshalJSON() ([]byte, error) {
	j := batchOperationJSON{Op: o.Op, IfAbsent: o.IfAbsent, IfPresent: o.IfPresent, IdempotencyKey: o.IdempotencyKey}
	if o.IfRevision != 0 {
		j.IfRevision = &o.IfRevision
	}
	j.Key, j.KeyBase64 = textOrBase64(o.Key)
	if o.Op == "put" {
		j.Value, j.ValueBase64 = textOrBase64(o.Value)
	}
	return json.Marshal(j)
}

// batchFields are the names of batchOperationJSON's fields.
var batchFields = [...]string{"op", "key", "key_base64", "value", "value_base64", "if_absent", "if_present", "if_revision", "idempotency_key"}

// UnmarshalJSON is the inverse of MarshalJSON. It refuses what could be meant otherwise than it would be taken: fields that
// are unknown, spelt in another case or given twice, and if_revision 0 (a condition must not become an unconditional write,
// nor one value silently another), a put without a value, a value elsewhere. Errors name the field.
func (o *BatchOperation) UnmarshalJSON(b []byte) error {
	var j batchOperationJSON
	err := readObject(b, &j, batchFields[:])
	if err != nil {
		return err
	}
	given := j.Value != nil || j.ValueBase64 != ""
	switch {
	case j.IfRevision != nil && *j.IfRevision == 0:
		return errors.New("if_revision 0 is no revision: use if_absent for a key that must not be there")
	case j.Op == "put" && !given:
		return errors.New(`a put needs value or value_base64 ("value":"" for the empty value)`)
	case j.Op != "put" && given:
		return errors.New("only a put takes a value")
	}
	*o = BatchOperation{Op: j.Op, IfAbsent: j.IfAbsent, IfPresent: j.IfPresent, IdempotencyKey: j.IdempotencyKey}
	if j.IfRevision != nil {
		o.IfRevision = *j.IfRevision
	}
	if o.Key, err = joinBytes("key", j.Key, j.KeyBase64); err != nil {
		return err
	}
	o.Value, err = joinBytes("value", j.Value, j.ValueBase64)
	return err
}

type batchResultJSON struct {
	Index       int      `json:"index"`
	Status      int      `json:"status"`
	Outcome     Outcome  `json:"outcome"`
	Revision    uint64   `json:"revision,omitempty"`
	Value       *string  `json:"value,omitempty"`
	ValueBase64 string   `json:"value_base64,omitempty"`
	Problem     *Problem `json:"problem,omitempty"`
}

// MarshalJSON writes text where it can, base64 where it must.
func (r BatchResult) MarshalJSON() ([]byte, error) {
	j := batchResultJSON{Index: r.Index, Status: r.Status, Outcome: r.Outcome, Revision: r.Revision, Problem: r.Problem}
	if r.HasValue {
		j.Value, j.ValueBase64 = textOrBase64(r.Value)
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (r *BatchResult) UnmarshalJSON(b []byte) error {
	var j batchResultJSON
	err := json.Unmarshal(b, &j)
	if err != nil {
		return err
	}
	*r = BatchResult{Index: j.Index, Status: j.Status, Outcome: j.Outcome, Revision: j.Revision, Problem: j.Problem, HasValue: j.Value != nil || j.ValueBase64 != ""}
	r.Value, err = joinBytes("value", j.Value, j.ValueBase64)
	return err
}
