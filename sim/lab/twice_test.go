package lab

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/machine"
)

func traceOf(texts ...string) []byte {
	var kept bytes.Buffer
	trace := machine.NewTrace(&kept)
	for i, text := range texts {
		trace.Note(int64(i), text)
	}
	trace.Sum()
	return kept.Bytes()
}

func TestParting(t *testing.T) {
	for _, c := range []struct {
		first, second []byte
		want          string
	}{
		{traceOf("a", "b"), traceOf("a", "b"), "they did not differ"},
		{traceOf("a", "b", "c"), traceOf("a", "x", "c"), "record 1: 1ns: an event of the world ("},
		{traceOf("a", "b"), traceOf("a"), "record 1: one run had ended"},
		{traceOf("a"), traceOf("a", "b"), "record 1: one run had ended"},
		{nil, traceOf("a"), "record 0: one run had ended"},
	} {
		p := &parting{kept: bufio.NewReader(bytes.NewReader(c.first))}
		for rest := c.second; len(rest) > 0; rest = rest[machine.RecordBytes:] { // in pieces
			if n, err := p.Write(rest[:machine.RecordBytes]); n != machine.RecordBytes || err != nil {
				t.Fatal(n, err)
			}
		}
		if got := p.text(); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
