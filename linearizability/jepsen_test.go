package linearizability

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

const goodEDN = `; knossos' example, with a nemesis
{:process 0, :type :invoke, :f :read, :value nil, :time 10}
{:process 1, :type :invoke, :f :write, :value 1, :time 11}
{:process :nemesis, :type :info, :f :start, :value nil, :time 12}
{:process :nemesis, :type :info, :f :start, :value {"n1" [:a #{"n2"}]}, :time 20}
{:process 0, :type :ok, :f :read, :value nil, :time 21}
{:process 1, :type :ok, :f :write, :value 1, :time 22}
#jepsen.history.Op{:index 6, :process 2, :type :invoke, :f :cas, :value [1 2], :time 23}
{:process 2, :type :ok, :f :cas, :value [1 2], :time 24} #_{:process 9}
{:process 3, :type :invoke, :f :cas, :value [1 3]} {:process 3, :type :fail, :f :cas, :value [1 3], :error [:no "\"x\""]}
{:process 4, :type :invoke, :f :write, :value 7}{:process 4, :type :info, :f :write, :value 7}
{:process 5, :type :invoke, :f :write, :value 8}
{:process 0, :type :invoke, :f :read, :value nil}
{:process 0, :type :ok, :f :read, :value 2}
`

func TestReadEDN(t *testing.T) {
	h, err := ReadEDN(strings.NewReader(goodEDN))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range h.Operations {
		o := &h.Operations[i]
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", o, err)
		}
		end := o.Return
		if end == Open {
			end = -1
		}
		got = append(got, fmt.Sprintf("%d %s %d..%d", o.Client, o, o.Call, end))
	}
	want := []string{
		`0 get() -> absent 10..21`, `1 put("1") -> ok 11..22`, `2 cas("2" if "1") -> ok 23..24`, `3 cas("3" if "1") -> not-applied 25..26`,
		`4 put("7") -> unknown 27..-1`, `5 put("8") -> unknown 29..-1`, `0 get() -> "2" 30..31`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if len(h.Annotations) != 1 || h.Annotations[0] != (Annotation{Kind: "fault", Text: `:start {"n1" [:a ["n2"]]}`, Node: ":nemesis", Start: 12, End: 31}) {
		t.Errorf("annotations %+v", h.Annotations)
	}
	if v := Check(context.Background(), h.Operations, Options{Model: Register}).Verdict; v != Linearizable {
		t.Error(v)
	}
}

// TestVerdictsOnEDN: short histories written as process, type, f, value.
func TestVerdictsOnEDN(t *testing.T) {
	for _, c := range []struct {
		name    string
		want    Verdict
		history string
	}{
		{"stale read", Violation, "0 invoke write 1; 0 ok write 1; 0 invoke write 2; 0 ok write 2; 1 invoke read nil; 1 ok read 1"},
		{"overlap", Linearizable, "0 invoke write 1; 0 ok write 1; 0 invoke write 2; 1 invoke read nil; 1 ok read 1; 0 ok write 2"},
		{"failed write seen", Violation, "0 invoke write 1; 0 fail write 1; 1 invoke read nil; 1 ok read 1"},
		{"unknown write seen", Linearizable, "0 invoke write 1; 0 info write 1; 1 invoke read nil; 1 ok read nil; 1 invoke read nil; 1 ok read 1"},
		{"unknown write unseen again", Violation, "0 invoke write 1; 0 info write 1; 1 invoke read nil; 1 ok read 1; 1 invoke read nil; 1 ok read nil"},
		{"two cas from one value", Violation, "0 invoke write 1; 0 ok write 1; 0 invoke cas [1 2]; 1 invoke cas [1 3]; 0 ok cas [1 2]; 1 ok cas [1 3]"},
		{"cas from nil", Linearizable, "0 invoke cas [nil 2]; 0 ok cas [nil 2]; 0 invoke cas [2 nil]; 0 ok cas [2 nil]; 0 invoke cas [nil nil]; 0 ok cas [nil nil]"},
		{"cas from nil, present", Violation, "0 invoke write 1; 0 ok write 1; 0 invoke cas [nil 2]; 0 ok cas [nil 2]"},
		{"write of nil", Linearizable, "0 invoke write nil; 0 ok write nil; 0 invoke read nil; 0 ok read nil"},
		{"write of nil lost", Violation, `0 invoke write "a"; 0 ok write "a"; 0 invoke write nil; 0 ok write nil; 0 invoke read nil; 0 ok read "a"`},
		{"two keys", Linearizable, "0 invoke write [:x 1]; 0 ok write [:x 1]; 0 invoke read [:y nil]; 0 ok read [:y nil]; 0 invoke cas [:x [1 2]]; 0 ok cas [:x [1 2]]"},
		{"two keys, one stale", Violation, "0 invoke write [:x 1]; 0 ok write [:x 1]; 0 invoke read [:x nil]; 0 ok read [:x nil]"},
		{"an unknown value that a cas finds", Linearizable, "0 invoke write 1; 0 info write 1; 1 invoke cas [1 2]; 1 ok cas [1 2]; 1 invoke read nil; 1 ok read 2"},
		{"two unknown values, cas finds the later", Linearizable, "0 invoke write 1; 0 info write 1; 2 invoke write 5; 2 info write 5; 1 invoke cas [5 2]; 1 ok cas [5 2]"},
		{"two unknown values, cas finds the later first", Linearizable, "0 invoke write 5; 0 info write 5; 2 invoke write 1; 2 info write 1; 1 invoke cas [1 3]; 1 ok cas [1 3]; 1 invoke cas [5 4]; 1 ok cas [5 4]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var file strings.Builder
			for _, event := range strings.Split(c.history, "; ") {
				f := strings.SplitN(event, " ", 4)
				fmt.Fprintf(&file, "{:process %s :type :%s :f :%s :value %s}\n", f[0], f[1], f[2], f[3])
			}
			for _, text := range []string{file.String(), "[" + file.String() + "]"} {
				h, err := ReadEDN(strings.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if got := Check(context.Background(), h.Operations, Options{Model: Register}).Verdict; got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			}
		})
	}
}

func TestBadEDNIsNamed(t *testing.T) {
	const good = "{:process 0 :type :invoke :f :read}\n"
	for _, c := range []struct{ text, want string }{
		{"{:process 0 :type :ok :f :read", "unexpected EOF"},
		{"{:process 1 :type :ok :f :read}", "returns from nothing"},
		{"{:process 0 :type :ok :f :read}", "the :ok of a read needs :value (nil: absent): this has {:process :type :f}"},
		{"{:process 0 :type :ok :f :write :value 1}", "process 0 called :read, and returns from :f :write"},
		{"{:process 0 :type :ok :value 1}", "returns from :f nil"},
		{"{:process 0 :type :fail :f :write :value 1}", "returns from :f :write"},
		{"{:process 0 :type :info :f [:read]}", "returns from :f [:read]"},
		{"{:process 0 :type :ok :f :read :value [:x 1]}", "a read of register returns a value of :x; a key must stand in the invocation"},
		{"{:process 0 :type :ok :f :read :key :x :value 1}", "a read of register returns a value of :x"},
		{"{:process 1 :type :invoke :f :write :value 1} {:process 1 :type :ok :f :write :value 2}", "process 1 called :write with 1 of register, and its :ok says 2 of register"},
		{"{:process 1 :type :invoke :f :write :value 1} {:process 1 :type :ok :f :write :value nil}", "its :ok says nil of register"},
		{"{:process 1 :type :invoke :f :cas :value [1 2]} {:process 1 :type :ok :f :cas :value [1 3]}", "its :ok says [1 3]"},
		{"{:process 1 :type :invoke :f :write :key :x :value 1} {:process 1 :type :ok :f :write :key :y :value 1}", "called :write with 1 of :x, and its :ok says 1 of :y"},
		{"{:process 1 :type :invoke :f :write :value [:x 1]} {:process 1 :type :ok :f :write :value [:y 1]}", "its :ok says 1 of :y"},
		{"{:process 1 :type :invoke :f :write}", "a write needs :value (nil makes the key absent)"},
		{"{:process :client-1 :type :invoke :f :read}", ":process :client-1 is neither a client, which is a number up to 9223372036854775807, nor :nemesis"},
		{"{:process 99999999999999999999 :type :invoke :f :read}", ":process 99999999999999999999 is neither"},
		{`{:process "1" :type :invoke :f :read}`, `:process "1" is neither`},
		{`{:process 0 :type "invoke" :f :read}`, `:type "invoke" is none of :invoke, :ok`},
		{"{:process 0 :type :jepsen/invoke :f :read}", ":type :jepsen/invoke is none of"},
		{"{:process :nemesis :type nil :f :start}", ":type nil is none of"},
		{"{:op/process 0 :op/type :invoke}", "without :process: it has {:op/process :op/type}"},
		{"#jepsen.history.DenseHistory", "unexpected EOF"},
		{"{:process 0 :type :invoke :f :read}", "has not returned"},
		{"{:process 0 :type :odd :f :read}", ":type :odd"},
		{"{:process 1 :type :invoke :f :append}", "only registers"},
		{"{:process 1 :type :invoke :f :cas :value 3}", "cas wants"},
		{"{:process -1 :type :invoke :f :read}", "negative"},
		{"{:type :invoke}", "without :process"},
		{"7", "no map"},
		{"}", "closing bracket"},
		{"{:a}", "no value"},
		{`"abc`, "unexpected EOF"},
		{"#", "unexpected EOF"},
		{"# x", "after #"},
		{strings.Repeat("[", 100), "nested deeper"},
		{`"` + strings.Repeat("x", ednMaxAtom+1) + `"`, "more than"},
	} {
		_, err := ReadEDN(strings.NewReader(good + c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%.60s: got %v, want line 2 and %q", c.text, err, c.want)
		}
	}
}

// TestEDNInOneVector: the ways in which a whole history can be written.
func TestEDNInOneVector(t *testing.T) {
	const events = "{:process 0 :type :invoke :f :write :value 1} #jepsen.history.Op{:process 0 :type :ok :f :write :value 1}"
	for _, text := range []string{
		events, "[" + events + "]", "(" + events + ")", "#jepsen.history.DenseHistory [" + events + "]", "#jepsen.history.DenseHistory[" + events + "] ; end",
		"#a #b (" + events + ")", "#:jepsen" + events, "\xef\xbb\xbf" + events, "#_ [1] " + events + " #_ 2",
	} {
		h, err := ReadEDN(strings.NewReader(text))
		if err != nil || len(h.Operations) != 1 || h.Operations[0].Outcome != Applied {
			t.Errorf("%s: %v, %v", text, h.Operations, err)
		}
	}
	for _, text := range []string{`{"op":"get"}`, "\n [ { \"op\" : 1}", "\xef\xbb\xbf{\"op\":1}"} {
		if _, err := ReadEDN(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "--format jsonl") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestKeysOfTheInvocation: the completion has it, too, or leaves it out.
func TestKeysOfTheInvocation(t *testing.T) {
	for _, c := range []struct{ call, back, want string }{
		{":read :key :x", ":read :value 1", `:x get() -> "1"`},
		{":read :key :x", ":read :key :x :value 1", `:x get() -> "1"`},
		{":read :key :x :value nil", ":read :value [1 2]", `:x get() -> "[1 2]"`},
		{":read :value [:x nil]", ":read :value [:x 1]", `:x get() -> "1"`},
		{":read :value [:x nil]", ":read :key :x :value 1", `:x get() -> "1"`},
		{":read :value [:x nil]", ":read :value [:x nil]", `:x get() -> absent`},
		{":read :value [:x nil]", ":read :value nil", `:x get() -> absent`},
		{":write :key :x :value 1", ":write :value 1", `:x put("1") -> ok`},
		{":write :key :x :value 1", ":write", `:x put("1") -> ok`},
		{":write :value [:x 1]", ":write", `:x put("1") -> ok`},
		{":write :value nil", ":write :value nil", `register delete() -> ok`},
		{":cas :key :x :value [1 2]", ":cas :value [1 2]", `:x cas("2" if "1") -> ok`},
		{":cas :value [:x [1 2]]", ":cas :value [:x [1 2]]", `:x cas("2" if "1") -> ok`},
		{":cas :value [nil nil]", ":cas :value [nil nil]", `register get() -> absent`},
	} {
		h, err := ReadEDN(strings.NewReader(fmt.Sprintf("{:process 0 :type :invoke :f %s}\n{:process 0 :type :ok :f %s}", c.call, c.back)))
		if err != nil {
			t.Errorf("%s: %v", c.call, err)
			continue
		}
		if got := h.Operations[0].Key + " " + h.Operations[0].String(); got != c.want {
			t.Errorf("%s, then %s: %s, want %s", c.call, c.back, got, c.want)
		}
	}
}

// TestWindowsOfTheNemesis: each event is :f and :value, at the times 10, 20, ...; a client's read ends the history at 1000.
func TestWindowsOfTheNemesis(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []string
		want   string
	}{
		{"partition", []string{":start-partition :majority", `:start-partition [:isolated {"n1" #{"n2"}}]`, ":stop-partition nil", ":stop-partition :healed"}, `10-40 :start-partition :majority [:isolated {"n1" ["n2"]}]`},
		{"never healed", []string{":start-partition :majority", ":start-partition :done"}, "10-1000 :start-partition :majority :done"},
		{"as the only nemesis", []string{":start nil", ":start :cut", ":stop nil", ":stop nil"}, "10-40 :start :cut"},
		{"twice", []string{":start-x 1", ":start-x 1", ":start-x 2", ":start-x 2", ":stop-x nil", ":stop-x nil"}, "10-30 :start-x 1; 30-60 :start-x 2"},
		{"side by side", []string{":start-x 1", ":start-x 1", ":start-y 2", ":start-y 2", ":stop-x nil", ":stop-x nil"}, "10-60 :start-x 1; 30-1000 :start-y 2"},
		{"kill and start", []string{":kill [n1]", ":kill [n1]", ":start nil", ":start nil"}, "10-40 :kill [n1]"},
		{"kill alone", []string{":kill [n1]", ":kill [n1]"}, "10-20 :kill [n1]"},
		{"pause and resume", []string{":pause nil", ":pause [n1]", ":resume nil", ":resume nil"}, "10-40 :pause [n1]"},
		{"an operation that lasts", []string{":bump-clock {n1 5}", ":bump-clock {n1 5}"}, "10-20 :bump-clock {n1 5}"},
		{"stop without a start", []string{":stop-x nil", ":stop-x :healed"}, "10-20 :stop-x :healed"},
		{"begun and no more", []string{":bump-clock nil"}, "10-0 :bump-clock"},
	} {
		var text strings.Builder
		for i, e := range c.events {
			f, value, _ := strings.Cut(e, " ")
			fmt.Fprintf(&text, "{:process :nemesis, :type :info, :f %s, :value %s, :time %d}\n", f, value, 10*(i+1))
		}
		text.WriteString("{:process 0 :type :invoke :f :read :time 1000}")
		h, err := ReadEDN(strings.NewReader(text.String()))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var got []string
		for _, a := range h.Annotations {
			got = append(got, fmt.Sprintf("%d-%d %s", a.Start, a.End, a.Text))
			if err := a.Validate(); err != nil || a.Kind != "fault" || a.Node != ":nemesis" {
				t.Errorf("%s: %+v: %v", c.name, a, err)
			}
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}

func FuzzReadEDN(f *testing.F) {
	f.Add(goodEDN)
	f.Add("[{:process 0 :type :invoke :f :write :value [:k 1]} #_ #{1} \\newline #tag [] ; end")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadEDN(strings.NewReader(text))
		if err != nil {
			return
		}
		var out strings.Builder
		w := NewModelWriter(&out, Register)
		for _, o := range h.Operations {
			if err := w.Write(o); err != nil {
				t.Fatalf("read but can't be written: %v", err)
			}
		}
	})
}

func FuzzReadCommits(f *testing.F) {
	f.Add(`{"format":"kvorum-commits","version":1}` + "\n" + `{"shard":0,"index":91,"position":2,"op":"cas","key":"x","input":{"value":"b","revision":7,"idempotency_key":"q1"},"output":{"result":"ok","revision":9}}`)
	f.Add(`{"shard":1,"index":1,"op":"delete","key_base64":"/w==","input":{},"output":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ReadCommits(strings.NewReader(text))
		if err != nil {
			return
		}
		var out strings.Builder
		w := NewCommitWriter(&out)
		for _, c := range all {
			if err := w.Write(c); err != nil {
				t.Fatalf("read but can't be written: %v", err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		again, err := ReadCommits(strings.NewReader(out.String()))
		if err != nil || fmt.Sprint(all) != fmt.Sprint(again) {
			t.Fatalf("%v\n%v\n%v", err, all, again)
		}
	})
}

func FuzzReadHistory(f *testing.F) {
	f.Add(`{"format":"kvorum-history","version":1,"model":"register"}` + "\n" + `{"annotation":{"kind":"fault","text":"kill","start":1}}`)
	f.Add(`{"op":"list","input":{"prefix":"a"},"output":{"result":"ok","items":[{"key":"ab","revision":1}],"more":true},"outcome":"applied","call":1,"return":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadHistory(strings.NewReader(text), "")
		if err != nil {
			return
		}
		var out strings.Builder
		w := NewModelWriter(&out, h.Model)
		for _, a := range h.Annotations {
			if err := w.Annotate(a); err != nil {
				t.Fatal(err)
			}
		}
		for _, o := range h.Operations {
			if err := w.Write(o); err != nil {
				t.Fatalf("read but can't be written: %v", err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		again, err := ReadHistory(strings.NewReader(out.String()), h.Model)
		if err != nil || len(again.Operations) != len(h.Operations) || len(again.Annotations) != len(h.Annotations) {
			t.Fatalf("%v: %d operations, then %d", err, len(h.Operations), len(again.Operations))
		}
	})
}
