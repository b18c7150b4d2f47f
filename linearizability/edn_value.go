package linearizability

import (
	"fmt"
	"strings"
)

// ednText writes a value as EDN, so that equal values have equal texts.
func ednText(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
	case ednList:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = ednText(v[i])
		}
		return "[" + strings.Join(texts, " ") + "]"
	case ednMap:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = ednText(v[i].key) + " " + ednText(v[i].value)
		}
		return "{" + strings.Join(texts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// ednShort is ednText for messages.
func ednShort(v any) string { return clip(ednText(v), maxShownBytes) }

// names lists the keys, for messages.
func (m ednMap) names() string {
	names := make([]string, len(m))
	for i := range m {
		names[i] = ednShort(m[i].key)
	}
	return clip("{"+strings.Join(names, " ")+"}", 3*maxShownBytes)
}

func (m ednMap) has(keyword ednAtom) bool {
	for _, p := range m {
		if p.key == any(keyword) {
			return true
		}
	}
	return false
}

func (m ednMap) get(keyword ednAtom) any {
	for _, p := range m {
		if p.key == any(keyword) {
			return p.value
		}
	}
	return nil
}
