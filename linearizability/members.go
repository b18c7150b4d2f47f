package linearizability

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A member that nobody knows is most often one that is misspelt: an operation without its call, read as one called at 0,
// would be judged, and wrongly. So every object of a line may have the members of its shape only, written exactly so and
// each once. A name that begins with _ is the recorder's own.

// shape is the names of the members of an object, with spaces between them.
type shape string

const (
	anyShape         shape = ""
	headerShape      shape = "format version model"
	noteShape        shape = "annotation"
	annotationShape  shape = "kind text node start end"
	operationShape   shape = "op key key_base64 input output outcome call return client node receipt"
	commitShape      shape = "shard index position epoch op key key_base64 input output replayed"
	inputShape       shape = "value value_base64 revision expected expected_base64 idempotency_key consistency prefix prefix_base64 after after_base64"
	outputShape      shape = "result value value_base64 revision items more"
	itemShape        shape = "key key_base64 value value_base64 revision"
	receiptShape     shape = "shard epoch term index consistency"
	ownMembersPrefix       = "_"
)

// of is the shape of the object, or of each object of the array, that a member holds.
func (s shape) of(member string) shape {
	switch member {
	case "annotation":
		return annotationShape
	case "input":
		return inputShape
	case "output":
		return outputShape
	case "items":
		return itemShape
	case "receipt":
		return receiptShape
	}
	return anyShape
}

// place is where a name stands among the members, -1 if it is none of them.
func (s shape) place(name string) int {
	i := 0
	for member := range strings.FieldsSeq(string(s)) {
		if member == name {
			return i
		}
		i++
	}
	return -1
}

// checkMembers refuses unknown and repeated members. The text is valid JSON.
func checkMembers(text []byte, s shape) error {
	w := memberWalker{text: text}
	return w.value(s)
}

type memberWalker struct {
	text []byte
	at   int
}

// skip goes on to the next byte that is neither white space nor a comma or colon.
func (w *memberWalker) skip() {
	for w.at < len(w.text) && strings.IndexByte(" \t\r\n,:", w.text[w.at]) >= 0 {
		w.at++
	}
}

func (w *memberWalker) value(s shape) error {
	w.skip()
	switch w.text[w.at] {
	case '{':
		return w.object(s)
	case '[':
		for w.at++; ; {
			if w.skip(); w.text[w.at] == ']' {
				w.at++
				return nil
			}
			if err := w.value(s); err != nil {
				return err
			}
		}
	case '"':
		w.quoted()
	default:
		for w.at < len(w.text) && strings.IndexByte(",]} \t\r\n", w.text[w.at]) < 0 {
			w.at++
		}
	}
	return nil
}

func (w *memberWalker) object(s shape) error {
	var seen uint64 // by place
	for w.at++; ; {
		if w.skip(); w.text[w.at] == '}' {
			w.at++
			return nil
		}
		name := w.name()
		place := s.place(name)
		inner := anyShape
		switch {
		case s == anyShape || strings.HasPrefix(name, ownMembersPrefix):
		case place < 0:
			return fmt.Errorf("unknown member %s%s", quote(name), s.meant(name))
		case seen&(1<<place) != 0:
			return fmt.Errorf("member %q is given twice", name)
		default:
			seen |= 1 << place
			inner = s.of(name)
		}
		if err := w.value(inner); err != nil {
			return err
		}
	}
}

// quoted steps over a string and gives it with its quotes.
func (w *memberWalker) quoted() []byte {
	begin := w.at
	for w.at++; w.text[w.at] != '"'; w.at++ {
		if w.text[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	return w.text[begin:w.at]
}

func (w *memberWalker) name() string {
	quoted := w.quoted()
	var name string
	if err := json.Unmarshal(quoted, &name); err != nil {
		return string(quoted)
	}
	return name
}

// meant says which member was meant, or which there are.
func (s shape) meant(name string) string {
	nearest, least := "", 3
	for member := range strings.FieldsSeq(string(s)) {
		if d := distance(strings.ToLower(head(name, maxShownBytes)), member); d < least && d <= len(member)/2 {
			nearest, least = member, d
		}
	}
	if nearest != "" {
		return fmt.Sprintf(": did you mean %q?", nearest)
	}
	return fmt.Sprintf(": here there are %s; a recorder's own begin with %s", strings.ReplaceAll(string(s), " ", ", "), ownMembersPrefix)
}

// distance is how many bytes have to be put in, left out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
