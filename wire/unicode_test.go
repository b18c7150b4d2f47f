package wire

import (
	"strings"
	"testing"
)

func TestLoneSurrogates(t *testing.T) {
	for line, want := range map[string]bool{
		`"\ud800"`: true, `"\udc00"`: true, `"\ud83d\ude00"`: false, `"\ud83d\ud83d"`: true, `"\ud83dx"`: true, `"\\ud800"`: false, `"\\\ud800"`: true,
		`"\uD83D\uDE00\uDE00"`: true, `"a\u0041"`: false, `"\n\t\""`: false, `"\u`: false, ``: false, `\`: false, `"\ud83d\u0041"`: true,
	} {
		if got := loneSurrogate([]byte(line)); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}

// TestParseEntry: an import must not store what its author did not write.
func TestParseEntry(t *testing.T) {
	for line, want := range map[string]string{
		`{"key":"k","value":"v","revision":3}`:       "",
		`{"key_base64":"/w==","value":""}`:           "",
		`{"key":"k","value_base64":"/w=="}`:          "",
		`{"key":"k","vlaue":"v"}`:                    `field "vlaue" is unknown`,
		`{"key":"k","Value":"v"}`:                    `it is spelt "value"`,
		`{"key":"k","value":"v","key":"l"}`:          `field "key" is given twice`,
		`{"key":"k"}`:                                "no value",
		`{"key":"k","value":null}`:                   "no value",
		`{"key":"k","value":5}`:                      "want text in quotes",
		`{"key":"\ud800","value":"v"}`:               "not valid Unicode",
		"{\"key\":\"\xff\",\"value\":\"v\"}":         "not valid Unicode",
		`{"key":"k","key_base64":"aw==","value":""}`: "not both",
		`[]`: "want one object",
	} {
		entry, err := ParseEntry([]byte(line))
		if want == "" && (err != nil || len(entry.Key) != 1) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v, want %q", line, entry, err, want)
		}
	}
}
