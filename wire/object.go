package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// readObject reads one JSON object into a struct whose fields have the names known. encoding/json alone takes names in any
// case, and of two fields of one name the last: here both are errors, like names that are not known.
func readObject(text []byte, into any, known []string) error {
	if err := checkFields(text, known); err != nil {
		return err
	}
	err := json.Unmarshal(text, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" { // said without Go's types
		want := map[string]string{"string": "text in quotes", "bool": "true or false", "uint64": "a whole number from 0"}[wrong.Type.String()]
		return fmt.Errorf("field %q holds a JSON %s: want %s", wrong.Field, wrong.Value, want)
	}
	return err
}

// ParseEntry reads one line of an import file. Where Entry.UnmarshalJSON takes what a newer node may send, it refuses what
// could be meant otherwise: unknown and doubled fields, a missing value, and text that is not Unicode, which encoding/json
// would silently change into other text. A revision is read and of no use.
func ParseEntry(line []byte) (Entry, error) {
	if !ValidText(line) {
		return Entry{}, errors.New("not valid Unicode: give bytes that are not text as key_base64 and value_base64")
	}
	var j entryJSON
	if err := readObject(line, &j, []string{"key", "key_base64", "value", "value_base64", "revision"}); err != nil {
		return Entry{}, err
	}
	if j.Value == nil && j.ValueBase64 == "" {
		return Entry{}, errors.New(`no value: give value or value_base64 ("value":"" for the empty value)`)
	}
	return j.entry()
}

// checkFields looks at the names of an object's own fields. Of a text that is no JSON it may find fault with nothing.
func checkFields(text []byte, known []string) error {
	var room [16]string
	seen := room[:0]
	depth, isName := 0, false
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth == 1 && text[i] == '[' {
				return errNoObject
			}
			isName = depth == 1
		case '}', ']':
			depth--
		case ',':
			isName = depth == 1
		case '"':
			end := stringEnd(text, i)
			if depth == 0 {
				return errNoObject
			}
			if isName {
				isName = false
				name, err := checkField(text[i:end], known, seen)
				if err != nil {
					return err
				}
				seen = append(seen, name)
			}
			i = end - 1
		}
	}
	if len(seen) == 0 && !strings.Contains(string(text), "{") {
		return errNoObject
	}
	return nil
}

var errNoObject = errors.New("want one object, {...}")

// stringEnd is the position behind the string that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func checkField(quoted []byte, known, seen []string) (string, error) {
	name := ""
	if len(quoted) > 2 {
		if i := slices.Index(known, string(quoted[1:len(quoted)-1])); i >= 0 { // the usual case, without allocating
			name = known[i]
		}
	}
	if name == "" {
		if err := json.Unmarshal(quoted, &name); err != nil {
			return "", err
		}
	}
	switch lower := strings.ToLower(name); {
	case slices.Contains(seen, name):
		return "", fmt.Errorf("field %q is given twice: give it once", name)
	case slices.Contains(known, name):
		return name, nil
	case slices.Contains(known, lower):
		return "", fmt.Errorf("field %q is unknown: it is spelt %q", name, lower)
	}
	const most = 40 // bytes of a name that a message can bear
	if len(name) > most {
		name = name[:most] + "..."
	}
	return "", fmt.Errorf("field %q is unknown: there are %s", name, strings.Join(known, ", "))
}
