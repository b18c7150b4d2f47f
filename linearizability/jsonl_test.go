package linearizability

import (
	"bytes"
	"encoding/json"
	"errors"
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
		{`[]`, "an array begins"},
		{`5`, "the line must be an object {...}, and is a number"},
		{`{"op":"get","key":"x","outcome":"unknown"}`, "call is missing"},
		{`{"op":"get","key":"x","outcome":"unknown","call":null}`, "call is missing"},
		{`{"op":"get","key":"x","output":{"result":"ok","value":"1"},"outcome":"applied","cal":40,"return":50}`, `unknown member "cal": did you mean "call"?`},
		{`{"op":"get","key":"x","outcome":"unknown","Call":1}`, `unknown member "Call": did you mean "call"?`},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,"call":2}`, `member "call" is given twice`},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,"weather":{"a":[1,{"b":"}"}]}}`, `unknown member "weather": here there are op, key`},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,"input":{"consistancy":"stale"}}`, `unknown member "consistancy": did you mean "consistency"?`},
		{`{"op":"get","key":"x","outcome":"applied","call":1,"return":2,"output":{"result":"absent","valu\u0065s":""}}`, `unknown member "values": did you mean "value"?`},
		{`{"op":"list","outcome":"applied","call":1,"return":2,"output":{"result":"ok","items":[{"key":"a","revision":1},{"key":"b","rev":1}]}}`, `unknown member "rev"`},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,"receipt":{"shard":0,"indx":3}}`, `unknown member "indx": did you mean "index"?`},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,"client":"c1"}`, "client must be a whole number, without quotes, point or exponent, and is a string"},
		{`{"op":"get","key":"x","outcome":"applied","call":1,"return":2,"output":{"result":"ok","value":5,"revision":1}}`, `output.value must be text in quotes, such as "5", and is a number`},
		{`{"op":"get","key":"x","outcome":"unknown","call":1.5}`, "call must be a whole number, without quotes, point or exponent (nanoseconds), and is 1.5"},
		{`{"op":"get","key":"x","outcome":"unknown","call":"1"}`, "(nanoseconds), and is a string"},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,"input":[]}`, "input must be an object {...}, and is an array"},
		{`{"op":"cas","key":"x","outcome":"unknown","call":1,"input":{"revision":-1}}`, "input.revision must be a whole number from 0 on"},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,}`, "no JSON: invalid character"},
		{`{:process 0, :type :invoke, :f :read}`, "--format edn"},
		{`[{:process 0, :type :invoke, :f :read}`, "--format edn"},
		{`; of a test`, "--format edn"},
		{`{"op":"get","key":"x","outcome":"unknown","call":1,"input":{"consistency":"Linearizable"}}`, `input.consistency "Linearizable" is none of linearizable, bounded, stale`},
		{`{"op":"list","outcome":"unknown","call":1,"input":{"consistency":"strong"}}`, `"strong" is none of`},
		{`{"op":"create","key":"x","output":{"result":"precondition-failed"},"outcome":"not-applied","call":1,"return":2}`, "needs output.revision in the model kvorum: the present one, 0 if the key was absent"},
		{`{"annotation":{"kind":"fault","text":"kill"}}`, "start is missing"},
		{`{"annotation":{"kind":"fault","text":"kill","start":5,"end":4}}`, "end 4 is before start 5"},
		{`{"annotation":{"kind":"fault","text":"kill","start":5,"ende":6}}`, `annotation: unknown member "ende": did you mean "end"?`},
		{`{"annotation":{"kind":"fault","text":"kill","start":"5"}}`, "annotation.start must be a whole number"},
		{`{"annotation":{"kind":"fault","text":"kill","start":5},"call":5}`, `annotation: unknown member "call"`},
		{`{"op":"` + strings.Repeat("x", 1<<20) + `","key":"x","outcome":"unknown","call":1}`, "(1048576 bytes, CRC-32 "},
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
		{`{"op":"delete","key":"x","output":{"result":"precondition-failed"},"outcome":"not-applied","call":1,"return":2}`, "if it found nothing, the result is absent"},
		{`{"op":"delete","key":"x","output":{"result":"absent"},"outcome":"applied","call":1,"return":2}`, "result absent of a delete contradicts outcome applied: it goes with not-applied"},
		{`{"op":"update","key":"x","output":{"result":"absent"},"outcome":"not-applied","call":1,"return":2}`, "is precondition-failed"},
		{`{"op":"create","key":"x","output":{"result":"precondition-failed","revision":1},"outcome":"applied","call":1,"return":2}`, "contradicts"},
		{`{"op":"get","key":"x","output":{"result":"absent"},"outcome":"not-applied","call":1,"return":2}`, "it goes with applied"},
		{`{"op":"get","key":"x","output":{"result":"odd"},"outcome":"applied","call":1,"return":2}`, `result "odd"`},
		{`{"op":"cas","key":"x","outcome":"unknown","call":1}`, "cas needs input.revision"},
		{strings.Repeat(" ", MaxLineBytes+1), "too long"},
	} {
		history, err := Read(strings.NewReader(good + "\n\n" + c.line + "\n" + good))
		if err == nil || history != nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%.80s: got %v, want line 3 and %q", c.line, err, c.want)
		}
	}
	if history, err := Read(strings.NewReader("\xef\xbb\xbf" + good + "\r\n \t\r\n" + good)); err != nil || len(history) != 2 {
		t.Errorf("two good lines, a blank one, a byte order mark: %d, %v", len(history), err)
	}
}

// TestOwnMembersOfRecorders: what begins with _ is skipped, whatever it holds.
func TestOwnMembersOfRecorders(t *testing.T) {
	const line = `{"_run":{"call":7,"x":[{}, [], "]", "\\\"}", -1.5e3, null]},"op":"get","key":"x","output":{"result":"absent","_call":[]},"outcome":"applied", "call" : 1,"return":2, "receipt":{"shard":0,"_x":true}}`
	history, err := Read(strings.NewReader(line))
	if err != nil || len(history) != 1 || history[0].Call != 1 {
		t.Errorf("%v, %v", history, err)
	}
	const commit = `{"_run":3,"index":1,"op":"put","key":"x","output":{"result":"ok","revision":1,"_x":{}}}`
	if commits, err := ReadCommits(strings.NewReader(commit)); err != nil || len(commits) != 1 {
		t.Errorf("%v, %v", commits, err)
	}
}

// TestRefusedWritesAreToldByWhat: what refused a write is written and asked for, also where it is 0, for absent.
func TestRefusedWritesAreToldByWhat(t *testing.T) {
	o := at(1, 2, refused(update("a", 0), 0))
	for _, m := range []Model{Kvorum, Register} {
		var file bytes.Buffer
		w := NewModelWriter(&file, m)
		if err := errors.Join(w.Write(o), w.Flush()); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&file)
		if err != nil || !reflect.DeepEqual(got, []Operation{o}) {
			t.Errorf("%s: %v, %v", m, got, err)
		}
	}
	const line = `{"op":"create","key":"x","output":{"result":"precondition-failed"},"outcome":"not-applied","call":1,"return":2}`
	if _, err := ReadHistory(strings.NewReader(line), Register); err != nil {
		t.Errorf("the model register asks for a revision: %v", err)
	}
	const commit = `{"index":1,"op":"create","key":"x","output":{"result":"precondition-failed"}}`
	if _, err := ReadCommits(strings.NewReader(commit)); err == nil || !strings.Contains(err.Error(), "line 1: result precondition-failed needs output.revision") {
		t.Errorf("commit: %v", err)
	}
	if commits, err := ReadModelCommits(strings.NewReader(commit), Register); err != nil || len(commits) != 1 {
		t.Errorf("commit of a register: %v, %v", commits, err)
	}
}

// TestForeignFilesAreNamed: what is no text is said to be so, not that a character is wrong.
func TestForeignFilesAreNamed(t *testing.T) {
	for begin, want := range map[string]string{
		"\x1f\x8b\x08": "gzip -dc", "\x28\xb5\x2f\xfd": "zstd -dc", "\xfd7zXZ\x00": "xz -dc", "BZh9": "bzip2 -dc", "PK\x03\x04": "unzip -p",
		"\xff\xfe{\x00": "UTF-16", "\xfe\xff\x00{": "UTF-16",
	} {
		text := begin + strings.Repeat("x", 5<<20)
		for name, read := range map[string]func() error{
			"history": func() error { _, err := Read(strings.NewReader(text)); return err },
			"commits": func() error { _, err := ReadCommits(strings.NewReader(text)); return err },
			"edn":     func() error { _, err := ReadEDN(strings.NewReader(text)); return err },
		} {
			if err := read(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 1") {
				t.Errorf("%q as %s: %v, want line 1 and %q", begin, name, err, want)
			}
		}
	}
}

func TestWhatIsShownOfAValue(t *testing.T) {
	long := strings.Repeat("é", 2<<20)
	for value, want := range map[string]string{
		"":                      `""`,
		strings.Repeat("x", 64): `"` + strings.Repeat("x", 64) + `"`,
		long:                    `"` + strings.Repeat("é", 16) + `"... (4194304 bytes, CRC-32 `,
		"x" + long:              `"x` + strings.Repeat("é", 15) + `"... (4194305 bytes, CRC-32 `,
	} {
		if got := quote(value); !strings.HasPrefix(got, want) || len(got) > 100 {
			t.Errorf("%.200s, want %s", got, want)
		}
	}
	if quote(long+"a") == quote(long+"b") {
		t.Error("two values look the same")
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
	if err := w.Annotate(Annotation{Start: 2, End: 1}); err == nil {
		t.Error("an annotation that ends before it starts was written")
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
