package linearizability

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWriteAndReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := drawHistory(t, 20)
		for i := range history {
			history[i].Key = string(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "key"))
			if history[i].Input.Value != "" {
				history[i].Input.Value = string(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "value"))
			}
			if rapid.Bool().Draw(t, "receipt") {
				history[i].Receipt = &Receipt{Shard: 1, Epoch: 2, Term: 3, Index: 4, Consistency: "linearizable; leader"}
			}
		}
		var file bytes.Buffer
		w := NewWriter(&file)
		for _, o := range history {
			if err := w.Write(o); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&file)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, history) {
			t.Fatalf("got  %v\nwant %v", got, history)
		}
	})
}

func TestBadLinesAreNamed(t *testing.T) {
	const good = `{"op":"get","key":"x","output":{"result":"absent"},"outcome":"applied","call":1,"return":2,"client":0}`
	for _, c := range []struct{ line, want string }{
		{`{`, "unexpected end"},
		{`[]`, "cannot unmarshal"},
		{`{"op":"get","outcome":"unknown","call":1}`, "key is missing"},
		{`{"op":"get","key":"x","key_base64":"eA==","outcome":"unknown","call":1}`, "both given"},
		{`{"op":"get","key_base64":"!","outcome":"unknown","call":1}`, "illegal base64"},
		{`{"op":"append","key":"x","outcome":"unknown","call":1}`, `op "append"`},
		{`{"op":"get","key":"x","outcome":"fine","call":1,"return":2}`, `outcome "fine"`},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,"client":-1}`, "negative"},
		{`{"op":"put","key":"x","outcome":"not-applied","call":1}`, "needs return"},
		{`{"op":"put","key":"x","outcome":"not-applied","call":3,"return":2}`, "before call"},
		{`{"op":"put","key":"x","outcome":"applied","call":1,"return":2}`, "needs output.result"},
		{`{"op":"put","key":"x","output":{"result":"ok"},"outcome":"applied","call":1,"return":2}`, "needs output.revision"},
		{`{"op":"put","key":"x","output":{"result":"ok","revision":1},"outcome":"unknown","call":1}`, "contradicts"},
		{`{"op":"put","key":"x","output":{"revision":3},"outcome":"unknown","call":1}`, "means nothing"},
		{`{"op":"put","key":"x","output":{"result":"absent"},"outcome":"not-applied","call":1,"return":2}`, "can't have the result absent"},
		{`{"op":"put","key":"x","output":{"result":"precondition-failed"},"outcome":"not-applied","call":1,"return":2}`, "unconditional"},
		{`{"op":"create","key":"x","output":{"result":"precondition-failed","revision":1},"outcome":"applied","call":1,"return":2}`, "contradicts"},
		{`{"op":"get","key":"x","output":{"result":"absent"},"outcome":"not-applied","call":1,"return":2}`, "contradicts"},
		{`{"op":"get","key":"x","output":{"result":"odd"},"outcome":"applied","call":1,"return":2}`, `result "odd"`},
		{`{"op":"cas","key":"x","outcome":"unknown","call":1}`, "cas needs input.revision"},
		{strings.Repeat(" ", MaxLineBytes+1), "too long"},
	} {
		history, err := Read(strings.NewReader(good + "\n\n" + c.line + "\n" + good))
		if err == nil || history != nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%.80s: got %v, want line 3 and %q", c.line, err, c.want)
		}
	}
	if history, err := Read(strings.NewReader(good + "\n" + good)); err != nil || len(history) != 2 {
		t.Errorf("two good lines: %d, %v", len(history), err)
	}
}

func TestWriterRefusesWhatCanNotBeRead(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file)
	huge := at(1, 2, put(strings.Repeat("x", MaxLineBytes), 1))
	for _, o := range []Operation{{}, huge} {
		if err := w.Write(o); err == nil {
			t.Errorf("%.40s... was written", &o)
		}
	}
	if err := w.Flush(); err != nil || file.Len() != 0 {
		t.Errorf("%v, %d bytes written", err, file.Len())
	}
}

func FuzzOperation(f *testing.F) {
	for _, c := range cases {
		for _, o := range c.history {
			line, err := json.Marshal(o)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(line)
		}
	}
	f.Add([]byte(`{"op":"get","key_base64":"/w==","outcome":"unknown","call":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var o Operation
		if json.Unmarshal(line, &o) != nil {
			return
		}
		again, err := json.Marshal(o)
		if err != nil {
			t.Fatalf("read but can't be written: %v", err)
		}
		var second Operation
		if err := json.Unmarshal(again, &second); err != nil || !reflect.DeepEqual(o, second) {
			t.Fatalf("%s\nread again: %v\n%+v\n%+v", again, err, o, second)
		}
	})
}
