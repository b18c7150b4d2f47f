package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestSourceLines(t *testing.T) {
	s := newSource(strings.NewReader("a\n\nb c\r\n"+strings.Repeat("k", 1025)+"\nend"), true)
	want := []struct {
		key, value string
		end        int64
		bad        bool
	}{{"a", "1", 2, false}, {"b c", "3", 8, false}, {"", "", 1034, true}, {"end", "5", 1037, false}}
	for _, w := range want {
		line, err := s.next()
		var bad *badLine
		if errors.As(err, &bad) != w.bad || line.end != w.end {
			t.Fatalf("%+v, %v; want %+v", line, err, w)
		}
		if !w.bad && (string(line.key) != w.key || string(line.value) != w.value) {
			t.Fatalf("%q %q, want %+v", line.key, line.value, w)
		}
	}
	if _, err := s.next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// Whatever the bytes: no panic, offsets and numbers only grow, and a resumed source goes on with the same line.
func FuzzSource(f *testing.F) {
	f.Add("a\nb\n", true)
	f.Add(`{"key":"a"}`+"\n{", false)
	f.Add("\r\n\r\n\xff\x00", true)
	f.Fuzz(func(t *testing.T, text string, asLines bool) {
		s := newSource(strings.NewReader(text), asLines)
		var state progressState
		for {
			line, err := s.next()
			var bad *badLine
			if err != nil && !errors.As(err, &bad) {
				break
			}
			if line.number <= state.Line || line.end <= state.Offset || line.end > int64(len(text)) {
				t.Fatalf("%+v after %+v", line, state)
			}
			resumed := newSource(strings.NewReader(text), asLines)
			if err := resumed.resume(state); err != nil {
				t.Fatal(err)
			}
			again, _ := resumed.next()
			if again.number != line.number || again.end != line.end || string(again.key) != string(line.key) {
				t.Fatalf("resumed: %+v, want %+v", again, line)
			}
			state.Line, state.Offset = line.number, line.end
			state.HeadBytes, state.HeadSum = s.headSum(state.Offset)
		}
	})
}
