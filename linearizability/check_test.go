package linearizability

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Builders for histories by hand: at(1, 2, put("a", 1)) is a put that lasted from 1 to 2 and was told revision 1.

func at(call, end int64, o Operation) Operation {
	o.Key, o.Call, o.Return = "k", call, end
	return o
}

// lost gives the time at which its client gave up, as recorders do: it must not be taken for the end of the operation.
func lost(call int64, o Operation) Operation {
	o.Key, o.Call, o.Return, o.Outcome, o.Output = "k", call, call, Unknown, Output{}
	return o
}

func put(v string, r uint64) Operation {
	return Operation{Kind: Put, Input: Input{Value: v}, Output: Output{Result: OK, Revision: r}, Outcome: Applied}
}

func create(v string, r uint64) Operation {
	o := put(v, r)
	o.Kind = Create
	return o
}

func update(v string, r uint64) Operation {
	o := put(v, r)
	o.Kind = Update
	return o
}

func cas(v string, expected, r uint64) Operation {
	o := put(v, r)
	o.Kind, o.Input.Revision = CAS, expected
	return o
}

func del(r uint64) Operation {
	return Operation{Kind: Delete, Output: Output{Result: OK, Revision: r}, Outcome: Applied}
}

func read(v string, r uint64) Operation {
	return Operation{Kind: Get, Output: Output{Result: OK, Value: v, Revision: r}, Outcome: Applied}
}

func none() Operation { return Operation{Kind: Get, Output: Output{Result: Absent}, Outcome: Applied} }

func refused(o Operation, told uint64) Operation {
	o.Outcome, o.Output = NotApplied, Output{Result: PreconditionFailed, Revision: told}
	return o
}

func missing() Operation {
	return Operation{Kind: Delete, Output: Output{Result: Absent}, Outcome: NotApplied}
}

var cases = []struct {
	name    string
	want    Verdict
	history []Operation
}{
	{"write then read", Linearizable, []Operation{at(1, 2, put("a", 1)), at(3, 4, read("a", 1))}},
	{"absent at first", Linearizable, []Operation{at(1, 2, none()), at(3, 4, put("a", 1))}},
	{"overlap seen or not", Linearizable, []Operation{at(1, 9, put("a", 1)), at(2, 3, none()), at(4, 5, read("a", 1))}},
	{"touching intervals overlap", Linearizable, []Operation{at(1, 2, put("a", 1)), at(2, 3, none())}},
	{"revisions with gaps", Linearizable, []Operation{at(1, 2, put("a", 7)), at(3, 4, put("b", 12)), at(5, 6, read("b", 12))}},
	{"lost put seen", Linearizable, []Operation{at(1, 2, put("a", 1)), lost(3, put("b", 0)), at(5, 6, read("b", 3))}},
	{"lost put seen late", Linearizable, []Operation{at(1, 2, put("a", 1)), lost(3, put("b", 0)), at(5, 6, read("a", 1)), at(7, 8, read("b", 2))}},
	{"lost put never seen", Linearizable, []Operation{at(1, 2, put("a", 1)), lost(3, put("b", 0)), at(5, 6, put("c", 2)), at(7, 8, read("c", 2))}},
	{"lost put then told revision", Linearizable, []Operation{lost(1, put("a", 0)), at(3, 4, put("b", 2)), at(5, 6, read("b", 2))}},
	{"lost cas applied", Linearizable, []Operation{at(1, 2, put("a", 1)), lost(3, cas("b", 1, 0)), at(5, 6, read("b", 2))}},
	{"refusal tells", Linearizable, []Operation{at(1, 2, put("a", 1)), at(3, 4, refused(cas("b", 9, 0), 1)), at(5, 6, refused(create("c", 0), 1))}},
	{"refused when absent", Linearizable, []Operation{at(1, 2, refused(update("a", 0), 0)), at(3, 4, refused(cas("a", 4, 0), 0)), at(5, 6, missing())}},
	{"delete untold", Linearizable, []Operation{at(1, 2, put("a", 1)), at(3, 4, del(0)), at(5, 6, none()), at(7, 8, create("b", 3))}},
	{"two cas, one wins", Linearizable, []Operation{at(1, 2, put("a", 1)), at(3, 9, cas("b", 1, 2)), at(3, 9, refused(cas("c", 1, 0), 2))}},
	{"cas pins a lost write's revision", Linearizable, []Operation{lost(1, put("a", 0)), at(2, 3, cas("b", 4, 5)), at(4, 5, read("b", 5))}},

	{"stale read", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, put("b", 2)), at(5, 6, read("a", 1))}},
	{"reads go back", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 20, put("b", 2)), at(4, 5, read("b", 2)), at(6, 7, read("a", 1))}},
	{"lost acknowledged write", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, none())}},
	{"write executed twice", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, put("b", 2)), at(5, 6, read("a", 3))}},
	{"write executed twice, seen by revision only", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, read("a", 2))}},
	{"lost put executed twice", Violation, []Operation{lost(1, put("a", 0)), at(2, 3, read("a", 1)), at(4, 5, read("a", 2))}},
	{"phantom value", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, read("z", 1))}},
	{"read before the write was called", Violation, []Operation{at(1, 2, read("a", 1)), at(3, 4, put("a", 1))}},
	{"wrong revision", Violation, []Operation{at(1, 2, put("a", 5)), at(3, 4, read("a", 4))}},
	{"revision used twice", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, put("b", 1))}},
	{"revision goes back", Violation, []Operation{at(1, 2, put("a", 5)), at(3, 4, put("b", 4))}},
	{"lost write leaves no room", Violation, []Operation{at(1, 2, put("a", 1)), lost(3, put("b", 0)), at(4, 5, read("b", 2)), at(6, 7, put("c", 2))}},
	{"two cas both win", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 9, cas("b", 1, 2)), at(3, 9, cas("c", 1, 3))}},
	{"two creates both win", Violation, []Operation{at(1, 9, create("a", 1)), at(1, 9, create("b", 2))}},
	{"update of nothing", Violation, []Operation{at(1, 2, update("a", 1))}},
	{"delete of nothing", Violation, []Operation{at(1, 2, del(1))}},
	{"refused without a cause", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, refused(cas("b", 1, 0), 1))}},
	{"refused with a stale revision", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, put("b", 2)), at(5, 6, refused(cas("c", 9, 0), 1))}},
	{"delete undone", Violation, []Operation{at(1, 2, put("a", 1)), at(3, 4, del(2)), at(5, 6, read("a", 1))}},
	{"not applied but seen", Violation, []Operation{at(1, 2, Operation{Kind: Put, Input: Input{Value: "a"}, Outcome: NotApplied}), at(3, 4, read("a", 1))}},
}

func TestCheckByHand(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, o := range c.history {
				if err := o.Validate(); err != nil {
					t.Fatalf("%s: %v", &o, err)
				}
			}
			report := Check(context.Background(), c.history, Options{})
			if report.Verdict != c.want {
				t.Errorf("verdict %s, want %s", report.Verdict, c.want)
			}
			var judged []Operation
			if len(report.Keys) == 1 {
				judged = report.Keys[0].History
			}
			if got := explains(judged); got != (c.want == Linearizable) {
				t.Errorf("trying all orders says %v, the table says %s", got, c.want)
			}
			if report.Verdict == Violation && explains(report.Keys[0].Prefix) {
				t.Error("the prefix shown is no violation")
			}
		})
	}
}

// TestNothingJudgedIsNoLicence: and the summary says why.
func TestNothingJudgedIsNoLicence(t *testing.T) {
	failed := Operation{Kind: Get, Outcome: Unknown}
	weak := read("a", 1)
	weak.Input.Consistency = "stale"
	refusedWrite := Operation{Kind: Put, Outcome: NotApplied}
	for _, c := range []struct {
		name    string
		history []Operation
		commits []Commit
		want    Verdict
		reason  string
	}{
		{"empty", nil, nil, Undecided, "nothing was judged: the history has no operation"},
		{"empty, and nothing committed", nil, []Commit{}, Undecided, "has no operation"},
		{"nothing told", []Operation{at(1, 2, failed), at(1, 2, weak), at(1, 2, refusedWrite)}, nil, Undecided, "of 3 operations 2 said nothing (reads that failed, writes that were not applied), 1 are reads that asked for less"},
		{"nothing told, yet committed", []Operation{at(1, 2, refusedWrite)}, []Commit{did(1, put("", 1))}, Violation, "of 1 operations 1 said nothing"},
		{"one", []Operation{at(1, 2, failed), at(1, 2, none())}, nil, Linearizable, ""},
	} {
		report := Check(context.Background(), c.history, Options{Commits: c.commits})
		var text strings.Builder
		if err := report.WriteSummary(&text); err != nil {
			t.Fatal(err)
		}
		if report.Verdict != c.want || !strings.Contains(text.String(), c.reason) || (len(report.Reasons) == 0) != (c.reason == "") {
			t.Errorf("%s: %s, want %s and %q:\n%s", c.name, report.Verdict, c.want, c.reason, &text)
		}
	}
}

// TestUndecidedSaysWhy: time, memory and an interruption are told apart.
func TestUndecidedSaysWhy(t *testing.T) {
	history := hardHistory(40)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancelLate()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		opt    Options
		lacked Lack
		reason string
	}{
		{"memory", context.Background(), Options{MaxMemory: 1 << 20, Workers: 1}, LackOfMemory, "the memory did not suffice; the search of this key could remember 1 MiB"},
		{"time", context.Background(), Options{Timeout: 50 * time.Millisecond}, LackOfTime, "the time did not suffice; the whole check had 50ms"},
		{"time of the caller", late, Options{}, LackOfTime, "the time did not suffice"},
		{"interrupted", over, Options{}, Interrupted, "interrupted"},
	} {
		k := Check(c.ctx, history, c.opt).Keys[0]
		if k.Verdict != Undecided || k.Lacked != c.lacked || !strings.Contains(strings.Join(k.Reasons, "\n"), c.reason) {
			t.Errorf("%s: %s for lack of %q: %q", c.name, k.Verdict, k.Lacked, k.Reasons)
		}
	}
	shared := searcher{memory: 1 << 20, workers: 4}
	if got := shared.why(LackOfMemory); !strings.Contains(got, "its share of 4 MiB for 4 keys at once") {
		t.Error(got)
	}
	if k := Check(context.Background(), []Operation{at(1, 2, none())}, Options{}).Keys[0]; k.Lacked != "" || k.Reasons != nil {
		t.Errorf("linearizable, and yet %q, %q", k.Lacked, k.Reasons)
	}
}

func TestSmallestViolationFirst(t *testing.T) {
	rekey := func(key string, history ...Operation) []Operation {
		for i := range history {
			history[i].Key = key
		}
		return history
	}
	var all []Operation
	all = append(all, rekey("good", at(1, 2, put("a", 1)))...)
	all = append(all, rekey("large", at(1, 2, put("a", 1)), at(3, 4, read("a", 1)), at(5, 6, read("z", 1)), at(7, 8, read("a", 1)))...)
	all = append(all, rekey("small", at(1, 2, put("a", 1)), at(3, 4, none()))...)
	weak := at(9, 10, read("stale", 1))
	weak.Input.Consistency = "stale"
	all = append(all, weak, at(11, 12, Operation{Kind: Get, Outcome: NotApplied}), lost(11, Operation{Kind: Get}))
	report := Check(context.Background(), all, Options{})
	var order []string
	for _, k := range report.Keys {
		order = append(order, fmt.Sprintf("%s:%s", k.Key, k.Verdict))
	}
	if got, want := strings.Join(order, " "), "small:violation large:violation good:linearizable"; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	if report.Weak != 1 || report.Dropped != 2 || report.Judged != 7 || report.Operations != 10 {
		t.Errorf("counts: %+v", report)
	}
	if n := len(report.Keys[1].Prefix); n != 3 {
		t.Errorf("the violation of %q shows after 3 operations, the prefix has %d", report.Keys[1].Key, n)
	}
	var text strings.Builder
	if err := report.WriteSummary(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"violation: 7 of 10 operations judged (2 said nothing, 1 weak reads) on 3 keys", `key "small"`, `put("a") -> ok@1`, `get() -> absent`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the summary lacks %q:\n%s", want, &text)
		}
	}
	if strings.Index(text.String(), `"small"`) > strings.Index(text.String(), `"large"`) || strings.Contains(text.String(), `key "good"`) {
		t.Errorf("wrong order or too much:\n%s", &text)
	}
}

func TestPrefixKeepsWhatIsUnderWay(t *testing.T) {
	history := []Operation{
		at(1, 2, put("a", 1)), at(3, 20, put("b", 2)), at(4, 5, read("b", 2)), at(6, 7, read("a", 1)), at(8, 9, read("b", 2)),
	}
	prefix := Check(context.Background(), history, Options{}).Keys[0].Prefix
	var text []string
	for _, o := range prefix {
		text = append(text, o.String())
	}
	if got, want := strings.Join(text, "; "), `put("a") -> ok@1; put("b") -> unknown; get() -> "b"@2; get() -> "a"@1`; got != want {
		t.Errorf("prefix %s\nwant   %s", got, want)
	}
}

// hardHistory has 2^n sets of lost writes to go through: each of n values is written twice, by nobody knows whom, and read
// once; at the end the key is absent though nobody deleted it.
func hardHistory(n int) (history []Operation) {
	for i := range n {
		for range 2 {
			history = append(history, lost(int64(i), put(fmt.Sprint(i), 0)))
		}
	}
	for i := range n {
		t := int64(100 + 2*i)
		history = append(history, at(t, t+1, read(fmt.Sprint(i), uint64(100*(i+1)))))
	}
	return append(history, at(1e6, 1e6+1, none()))
}

func TestUndecidedIsItsOwnVerdict(t *testing.T) {
	hard := hardHistory(40)
	small := at(1, 2, put("a", 1))
	small.Key = "small"
	report := Check(context.Background(), append(hard, small), Options{Timeout: 50 * time.Millisecond})
	if report.Verdict != Undecided || report.Keys[0].Verdict != Undecided || report.Keys[1].Verdict != Linearizable {
		t.Errorf("got %s, %+v", report.Verdict, report.Keys)
	}
	var text strings.Builder
	if err := report.WriteSummary(&text); err != nil || !strings.Contains(text.String(), "0 keys in violation, 1 undecided, 1 linearizable") {
		t.Errorf("summary: %v\n%s", err, &text)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if v := Check(done, []Operation{small}, Options{}).Verdict; v != Undecided {
		t.Errorf("a check that was called off says %s", v)
	}
}

func ExampleCheck() {
	history, err := Read(strings.NewReader(`
{"op":"put","key":"x","input":{"value":"old"},"output":{"result":"ok","revision":1},"outcome":"applied","call":1000000,"return":2000000,"client":0}
{"op":"put","key":"x","input":{"value":"new"},"output":{"result":"ok","revision":2},"outcome":"applied","call":3000000,"return":4000000,"client":0}
{"op":"get","key":"x","output":{"result":"ok","value":"old","revision":1},"outcome":"applied","call":5000000,"return":6000000,"client":1,"node":"n2"}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	report := Check(context.Background(), history, Options{Timeout: time.Minute})
	fmt.Println(report.Verdict)
	for _, o := range report.Keys[0].Prefix {
		fmt.Println(&o)
	}
	// Output:
	// violation
	// put("old") -> ok@1
	// put("new") -> ok@2
	// get() -> "old"@1
}
