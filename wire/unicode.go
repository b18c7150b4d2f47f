package wire

import (
	"strconv"
	"unicode/utf8"
)

// ValidText reports whether a JSON text is Unicode throughout, also where it is escaped. encoding/json silently turns what
// is not into U+FFFD: another key than was meant.
func ValidText(text []byte) bool { return utf8.Valid(text) && !loneSurrogate(text) }

// loneSurrogate reports whether a JSON text has an escaped half of a surrogate pair without its other half.
func loneSurrogate(line []byte) bool {
	for i := 0; i+1 < len(line); i++ {
		if line[i] != '\\' {
			continue
		}
		unit, ok := escapedUnit(line[i:])
		if !ok {
			i++ // skip the escaped character, which may be a backslash
			continue
		}
		i += 5
		if unit < 0xD800 || unit > 0xDFFF {
			continue
		}
		low, ok := escapedUnit(line[i+1:])
		if unit > 0xDBFF || !ok || low < 0xDC00 || low > 0xDFFF {
			return true
		}
		i += 6
	}
	return false
}

// escapedUnit reads \uXXXX at the start of text.
func escapedUnit(text []byte) (uint16, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return uint16(unit), err == nil
}
