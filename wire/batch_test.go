package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestBatchOperationRefusesWhatCouldBeMeantOtherwise: each of these would silently lose or ignore something.
func TestBatchOperationRefusesWhatCouldBeMeantOtherwise(t *testing.T) {
	for line, ok := range map[string]bool{
		`{"op":"put","key":"k","value":""}`:                   true,
		`{"op":"put","key":"k","value":"v","if_revision":3}`:  true,
		`{"op":"get","key":"k"}`:                              true,
		`{"op":"put","key":"k"}`:                              false,
		`{"op":"put","key":"k","value":null}`:                 false,
		`{"op":"put","key":"k","value":"v","if_revision":0}`:  false,
		`{"op":"put","key":"k","value":"v","if_absemt":true}`: false,
		`{"op":"delete","key":"k","value":"v"}`:               false,
		` { "op" : "get" , "key" : "k" } `:                    true,
		`{"op":"get"}`:                                        true, // an empty key is the handler's to refuse
		`{}`:                                                  true,
		`null`:                                                false,
		`[]`:                                                  false,
		`"op"`:                                                false,
	} {
		var o BatchOperation
		if err := json.Unmarshal([]byte(line), &o); (err == nil) != ok {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, o := range []BatchOperation{{Op: "put", Key: []byte("k"), Value: []byte{}}, {Op: "delete", Key: []byte{0xff}, IfRevision: 7}} {
		raw, err := json.Marshal(o)
		var back BatchOperation
		if err == nil {
			err = json.Unmarshal(raw, &back)
		}
		if err != nil || back.Op != o.Op || string(back.Key) != string(o.Key) || back.IfRevision != o.IfRevision {
			t.Errorf("%+v: %s gave %+v, %v", o, raw, back, err)
		}
	}
}

// TestBatchOperationFields: what encoding/json would take for another field, or of two fields the last, is refused by name.
func TestBatchOperationFields(t *testing.T) {
	for line, want := range map[string]string{
		`{"op":"put","key":"k","value":"v","key":"l"}`:        `field "key" is given twice`,
		`{"op":"put","key":"k","value":"v","\u006bey":"l"}`:   `field "key" is given twice`,
		`{"op":"put","op":"get","key":"k","value":"v"}`:       `field "op" is given twice`,
		`{"op":"put","key":"k","value":null,"value":"v"}`:     `field "value" is given twice`,
		`{"op":"put","key":"k","value":"v","If_Absent":true}`: `field "If_Absent" is unknown: it is spelt "if_absent"`,
		`{"OP":"put","key":"k","value":"v"}`:                  `field "OP" is unknown: it is spelt "op"`,
		`{"op":"put","\u212aey":"k","value":"v"}`:             `is unknown`, // the Kelvin sign, which folds to k
		`{"op":"put","key":"k","value":"v","ttl":5}`:          `field "ttl" is unknown`,
		`{"":1}`:                                 `field "" is unknown`,
		`{"op":5}`:                               `field "op" holds a JSON number: want text in quotes`,
		`{"op":"put","key":"k","value":{"a":1}}`: `field "value" holds a JSON object: want text in quotes`,
		`{"op":"put","key":"k","value":"v","if_absent":1}`:     `field "if_absent" holds a JSON number: want true or false`,
		`{"op":"put","key":"k","value":"v","if_revision":-1}`:  `field "if_revision" holds a JSON number -1: want a whole number from 0`,
		`{"op":"put","key":"k","value":"v","if_revision":1.5}`: `field "if_revision" holds a JSON number 1.5: want a whole number from 0`,
		`{"op":"put","` + strings.Repeat("x", 100) + `":1}`:    `xxx..." is unknown`,
	} {
		var o BatchOperation
		if err := json.Unmarshal([]byte(line), &o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

// FuzzBatchOperation: what is taken has each field once, in its one spelling; it means the same to a decoder that knows
// neither rule; and it is read back as it was written.
func FuzzBatchOperation(f *testing.F) {
	for _, line := range []string{
		`{"op":"put","key":"k","value":"v","if_revision":3,"idempotency_key":"i"}`, `{"op":"put","key_base64":"/w==","value_base64":"AA=="}`,
		`{"op":"delete","key":"k","if_present":true}`, `{"op":"get","key":"k","Key":"l"}`, `{"op":"get","key":"k","key":"l"}`, `{"op":"get","k\u0065y":"k"}`, `null`, `{"op":"get"}{}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var o BatchOperation
		if json.Unmarshal(line, &o) != nil {
			return
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatalf("%s is no object: %v", line, err)
		}
		for name := range fields {
			if !slices.Contains(batchFields[:], name) {
				t.Fatalf("%s: took a field %q", line, name)
			}
		}
		if names := fieldNames(line); len(names) != len(fields) {
			t.Fatalf("%s: %d names, but %d different ones", line, len(names), len(fields))
		}
		var lax batchOperationJSON
		if err := json.Unmarshal(line, &lax); err != nil || lax.Op != o.Op || lax.IfAbsent != o.IfAbsent || lax.IfPresent != o.IfPresent || lax.IdempotencyKey != o.IdempotencyKey {
			t.Fatalf("%s: took %+v, encoding/json %+v (%v)", line, o, lax, err)
		}
		raw, err := json.Marshal(o)
		var back BatchOperation
		if err == nil {
			err = json.Unmarshal(raw, &back)
		}
		if err != nil || !bytes.Equal(back.Key, o.Key) || !bytes.Equal(back.Value, o.Value) || back.Op != o.Op || back.IfRevision != o.IfRevision {
			t.Fatalf("%s: %+v was written as %s and read as %+v (%v)", line, o, raw, back, err)
		}
	})
}

// fieldNames are the names of a valid object's own fields, by tokens.
func fieldNames(object []byte) (names []string) {
	tokens := json.NewDecoder(bytes.NewReader(object))
	depth, isName := 0, true
	for {
		token, err := tokens.Token()
		if err != nil {
			return names
		}
		if d, is := token.(json.Delim); is {
			if d == '{' || d == '[' {
				depth++
			} else {
				depth--
			}
			isName = true
			continue
		}
		if depth == 1 {
			if isName {
				names = append(names, token.(string))
			}
			isName = !isName
		}
	}
}

func BenchmarkBatchOperation(b *testing.B) {
	line, err := json.Marshal(BatchOperation{Op: "put", Key: []byte("user:a"), Value: bytes.Repeat([]byte("v"), 100), IdempotencyKey: "import-12345"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var o BatchOperation
		if err := json.Unmarshal(line, &o); err != nil {
			b.Fatal(err)
		}
	}
}
