package linearizability

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"unicode/utf8"
)

// maxShownBytes bounds what is shown of one value, key or name: texts and pages are for people, and a value may have 3 MiB.
const maxShownBytes = 64

// quote is a value in quotes. Of a long one it shows the beginning, its length, and a checksum by which it can be told from
// others that begin so.
func quote(s string) string {
	if len(s) <= maxShownBytes {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%q... (%d bytes, CRC-32 %08x)", head(s, maxShownBytes/2), len(s), crc32.ChecksumIEEE([]byte(s)))
}

// clip is the beginning of a text that is no value: no more than so many bytes.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return head(s, most) + "..."
}

// head is no more than so many bytes of s, cut between characters.
func head(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
