package machine

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestRecordsAreReadBack(t *testing.T) {
	var kept bytes.Buffer
	trace := NewTrace(&kept)
	trace.Note(int64(time.Second), "a fault begins")
	trace.Note(int64(2*time.Second), "a fault ends")
	trace.Sum()
	if kept.Len() != 2*RecordBytes {
		t.Fatalf("%d bytes of 2 records", kept.Len())
	}
	first, second := ParseRecord(kept.Bytes()), ParseRecord(kept.Bytes()[RecordBytes:])
	if first.At != time.Second || second.At != 2*time.Second || first.Function != "" || first.Arguments == second.Arguments {
		t.Errorf("%+v and %+v", first, second)
	}
	for record, want := range map[Record]string{
		first: "1s: an event of the world",
		{At: time.Millisecond, Machine: 3, Function: FunctionName(0), Result: ^uint64(0)}: "1ms: machine 3 calls args_get (0000000000000000) = -1",
	} {
		if got := record.String(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
