package linearizability

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

// drawn is what the page draws of one key, and whether porcupine finds an order of it there.
func drawn(t *testing.T, m Model, x excerpt) porcupine.CheckResult {
	t.Helper()
	d := newDrawing(m, 0, []excerpt{x})
	b := &budget{ctx: context.Background(), limit: 1 << 30, each: 1000}
	result, _ := porcupine.CheckOperationsVerbose(d.model(b), d.operations, 0)
	if b.stopped.Load() {
		t.Fatal("too much to draw")
	}
	return result
}

// TestExcerptsShowTheViolation: however little is drawn of a key in violation, no order explains it, but one explains
// what is left without the operation by which it shows.
func TestExcerptsShowTheViolation(t *testing.T) {
	cut, seen := 0, 0
	for seed := range uint64(60) {
		w := runWorld(worldConfig{seed: seed, clients: 6, keys: 2, operations: 160, reads: 40, loss: 10, defect: defects[seed%uint64(len(defects))], nth: 20})
		for _, most := range []int{6, 12, 40, 1000} {
			for _, k := range Check(context.Background(), w.history, Options{}).Keys {
				x := excerptOf(context.Background(), Kvorum, k, most)
				if k.Prefix == nil {
					continue
				}
				seen++
				last := lastReturned(k.Prefix)
				if x.unknown {
					if shortest(k.Prefix, last) {
						t.Fatalf("seed %d: no order of what came before was found", seed)
					}
					continue
				}
				if len(x.operations) > most || (x.note != "") != (len(x.operations) < len(k.History)) {
					t.Errorf("seed %d: %d operations are drawn of %d: %q", seed, len(x.operations), len(k.History), x.note)
				}
				if len(x.operations) < len(k.Prefix) {
					cut++
				}
				if !slices.ContainsFunc(x.operations, func(o Operation) bool { return o.Return == last.Return && o.String() == last.String() }) {
					t.Errorf("seed %d: %s is not drawn", seed, last)
				}
				for i := range x.operations[1:] {
					if a, b := x.operations[i], x.operations[i+1]; a.Call > b.Call || a.Call == b.Call && a.Client == b.Client {
						t.Errorf("seed %d: %s is drawn twice or in the wrong place", seed, &b)
					}
				}
				without := x
				without.operations = slices.DeleteFunc(slices.Clone(x.operations), func(o Operation) bool { return o.Outcome != Unknown && o.Return == last.Return })
				if got := drawn(t, Kvorum, without); got != porcupine.Ok && shortest(k.Prefix, last) {
					t.Errorf("seed %d, %d operations at most: without %s the page shows %s, too\n%v", seed, most, last, got, without.operations)
				}
				if got := drawn(t, Kvorum, x); got != porcupine.Illegal {
					t.Errorf("seed %d, %d operations at most: the page shows %s from %s on\n%v", seed, most, got, x.begin, x.operations)
				}
			}
		}
	}
	if cut < 40 {
		t.Errorf("only %d of %d excerpts were cut", cut, seen)
	}
}

// shortest: is the prefix explained without the operation that returns last? On a starved machine the time may not have sufficed
// to find the shortest one.
func shortest(prefix []Operation, last *Operation) bool {
	rest := slices.DeleteFunc(slices.Clone(prefix), func(o Operation) bool { return o.Outcome != Unknown && o.Return == last.Return })
	return Check(context.Background(), rest, Options{}).Verdict != Violation
}

// longViolation is a stale read after n writes one after another, of which a few lose their reply.
func longViolation(key string, client, n int, began int64) []Operation {
	var history []Operation
	for i := range n {
		when := began + 10*int64(i)
		o := at(when, when+5, put(fmt.Sprintf("v%d", i), 0))
		if o.Client = client; i%500 == 1 {
			o = lost(when, o)
			o.Client = client
		}
		history = append(history, keyed(key, o))
	}
	stale := at(began+10*int64(n), began+10*int64(n)+3, read("v7", 0))
	stale.Client = client + 1
	return append(history, keyed(key, stale))
}

// TestLongViolationsAreDrawnAroundThem: of each the end, with its faults, and what is left out is said.
func TestLongViolationsAreDrawnAroundThem(t *testing.T) {
	const long = 4000
	h := History{Model: Register, Operations: append(longViolation("a", 1, long, 1000), longViolation("b", 5, long+1, 2000)...)}
	end := int64(1000 + 10*long)
	h.Annotations = []Annotation{{Kind: "fault", Text: "the culprit", Node: "n1", Start: end - 30, End: end}, {Kind: "fault", Text: "after all", Start: end + 5000}}
	for i := range 50 {
		h.Annotations = append(h.Annotations, Annotation{Kind: "fault", Text: fmt.Sprintf("long ago %d.", i), Start: int64(1000 + i), End: int64(1001 + i)})
	}
	index, search, text := reportOn(t, h, Options{Model: Register})
	for name, page := range map[string]string{"index": index, "search": search} {
		for _, key := range []string{"a", "b"} {
			if !regexp.MustCompile(`Key &#34;` + key + `&#34; \(violation\): the last \d+ operations up to the moment at which the violation shows are drawn; an order of those before them leaves the key as &#34;v\d+&#34;; \d+ operations are left out`).MatchString(page) {
				t.Errorf("%s does not say what is left out of %s", name, key)
			}
		}
	}
	for want, present := range map[string]bool{
		`a: get() -\u003e \"v7\"`: true, `b: get() -\u003e \"v7\"`: true, `put(\"v3999\")`: true, `put(\"v20\")`: false,
		"the culprit": true, "after all": false, "long ago 49.": true, "long ago 29.": false, "31 events of before or after what is drawn are left out": true,
	} {
		if strings.Contains(search, want) != present {
			t.Errorf("the page has %s: %v, want %v", want, !present, present)
		}
	}
	if n := strings.Count(search, `"OriginalStart"`); n < maxDrawn/2 || n > maxDrawn {
		t.Errorf("%d operations are drawn", n)
	}
	if !strings.Contains(text, `it shows when get() -> "v7" of client 2 returns, at 0.040 ms`) {
		t.Errorf("the text does not say when it shows:\n%s", text)
	}
}

// TestWhereTheSearchForAnOrderFails: the page then takes the first operations at their word.
func TestWhereTheSearchForAnOrderFails(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	h := longViolation("a", 1, 200, 0)
	r := Check(context.Background(), h, Options{Model: Register})
	x := excerptOf(over, Register, r.Keys[0], 30)
	if !x.unknown || len(x.operations) != 30 || !strings.Contains(x.note, "not known here") {
		t.Errorf("%d operations, %q", len(x.operations), x.note)
	}
	if got := drawn(t, Register, x); got != porcupine.Illegal {
		t.Errorf("the page shows %s", got)
	}
	for _, c := range []struct {
		o    Operation
		want string // "": nothing
	}{
		{at(1, 2, read("a", 3)), `"a"@3`}, {at(1, 2, put("a", 3)), `"a"@3`}, {at(1, 2, del(3)), "absent@3"}, {at(1, 2, del(0)), "absent@≥1"},
		{at(1, 2, none()), "absent@≥0"}, {at(1, 2, missing()), "absent@≥0"}, {lost(1, put("a", 0)), ""}, {at(1, 2, refused(cas("a", 1, 0), 2)), ""},
	} {
		s, known := stateAfter(&c.o)
		if known != (c.want != "") || known && s.String() != c.want {
			t.Errorf("after %s: %s (%v), want %q", &c.o, s, known, c.want)
		}
	}
}

// TestReplayViolationsAreDrawnAroundThem: although the search finds an order of the replies.
func TestReplayViolationsAreDrawnAroundThem(t *testing.T) {
	var history []Operation
	var commits []Commit
	for i := range 3000 {
		o := at(int64(10*i), int64(10*i+5), put(fmt.Sprint("v", i), uint64(i+1)))
		history = append(history, o)
		if i != 2800 {
			commits = append(commits, did(uint64(i+1), o))
		}
	}
	r := Check(context.Background(), history, Options{Commits: commits})
	s := newSearchPage(context.Background(), History{Operations: history}, r)
	x := s.drawing.excerpts[0]
	if last := x.operations[len(x.operations)-1]; last.Input.Value != "v2800" || len(x.operations) != maxDrawn {
		t.Errorf("%d operations, the last %s", len(x.operations), &last)
	}
	if notes := strings.Join(s.notes, "\n"); !strings.Contains(notes, "order of the commits stands in index.html") {
		t.Error(notes)
	}
}

// TestKeysThatAreNotDrawnAreNamed: and one long history leaves room to the others.
func TestKeysThatAreNotDrawnAreNamed(t *testing.T) {
	var h History
	for i := range 30 {
		h.Operations = append(h.Operations, keyed(fmt.Sprintf("bad%02d", i), at(1, 2, read("x", 1))))
	}
	h.Operations = append(h.Operations, keyed("good", at(1, 2, none())))
	s := newSearchPage(context.Background(), h, Check(context.Background(), h.Operations, Options{}))
	if want := `7 keys are not drawn, 6 of them not linearizable: "bad24", "bad25", "bad26", "bad27", "bad28", "bad29", "good".`; len(s.notes) != 1 || s.notes[0] != want {
		t.Errorf("%q, want %s", s.notes, want)
	}
	h.Operations = nil
	for i := range 10 {
		for k := range 3000 {
			h.Operations = append(h.Operations, keyed(fmt.Sprint("good", i), at(int64(10*k), int64(10*k+5), none())))
		}
	}
	s = newSearchPage(context.Background(), h, Check(context.Background(), h.Operations, Options{}))
	if want := `Key "good0" (linearizable): only the first 2000 of 3000 operations are drawn.`; len(s.notes) != 2 || s.notes[0] != want || !strings.HasPrefix(s.notes[1], "9 keys are not drawn, 0 of them") {
		t.Errorf("%q", s.notes)
	}
}

// TestClientsKeepTheirNumbers: in the text and on the page, where an operation that stays open has a row of its own.
func TestClientsKeepTheirNumbers(t *testing.T) {
	by := func(client int, o Operation) Operation {
		o.Client = client
		return o
	}
	h := History{Operations: []Operation{
		by(7, lost(1, put("a", 0))), by(7, at(2, 3, put("b", 1))), by(7, at(4, 5, read("b", 1))), by(7, lost(6, put("c", 0))), by(1000003, at(7, 8, read("z", 9))),
	}}
	r := Check(context.Background(), h.Operations, Options{})
	s := newSearchPage(context.Background(), h, r)
	if got, want := fmt.Sprint(s.drawing.lanes), "[7 7 1000003]"; got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	var lanes []int
	for _, o := range s.drawing.operations {
		lanes = append(lanes, o.ClientId)
	}
	if got, want := fmt.Sprint(lanes), "[1 0 0 0 2]"; got != want {
		t.Errorf("operations in rows %s, want %s", got, want)
	}
	_, search, text := reportOn(t, h, Options{})
	for _, want := range []string{`const lanes = ["7","7","1000003"]`, `lanes[i] ?? ""`, "client 7, 0.000 .. open ms"} {
		if !strings.Contains(search, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := strings.Count(search, "lanes[i]"); n != 2 {
		t.Errorf("the rows are named in %d places", n)
	}
	for _, want := range []string{"open ms  client 7 ", "client 1000003 "} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

// TestValuesDoNotRunInThePage: porcupine's page takes states for markup.
func TestValuesDoNotRunInThePage(t *testing.T) {
	evil := `<img src=x onerror=alert(1)>`
	h := History{Operations: []Operation{at(1, 2, put(evil, 1)), at(3, 4, read(evil, 1))}, Annotations: []Annotation{{Kind: evil, Text: evil, Node: evil, Start: 1}}}
	h.Operations[0].Node = evil
	_, search, _ := reportOn(t, h, Options{})
	for _, member := range []string{"StateDescription", "Metadata"} {
		for _, found := range regexp.MustCompile(`"`+member+`":"[^\n]*?"[,}]`).FindAllString(search, -1) {
			if strings.Contains(found, `\u003cimg`) {
				t.Errorf("markup: %s", found)
			}
		}
	}
	if !strings.Contains(search, `\u0026lt;img`) {
		t.Error("the value is not shown")
	}
}

// TestLongValuesAreShortened: 3 MiB make no page of 9.
func TestLongValuesAreShortened(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	h := History{Operations: []Operation{keyed(long, at(1, 2, put(long, 1))), keyed(long, at(3, 4, put(long+"y", 2))), keyed(long, at(5, 6, read(long, 1)))}}
	h.Annotations = []Annotation{{Kind: "fault", Text: long, Node: long, Start: 1}}
	index, search, text := reportOn(t, h, Options{})
	for name, page := range map[string]string{"index": index, "search": search, "text": text} {
		if len(page) > 60<<10 || !strings.Contains(page, "(3145728 bytes, CRC-32 ") {
			t.Errorf("%s has %d bytes", name, len(page))
		}
	}
}

// TestOneTimeBase: the text and both pages count from the first call, also when something happened before it.
func TestOneTimeBase(t *testing.T) {
	const began, ms = int64(1_700_000_000_000_000_000), int64(1_000_000)
	h := History{
		Operations:  []Operation{keyed("other", at(began, began+ms, none())), at(began+2000*ms, began+2001*ms, put("a", 1)), at(began+2002*ms, began+2003*ms, none())},
		Annotations: []Annotation{{Kind: "leader", Text: strings.Repeat("n1 ", 60), Start: began - 500*ms}},
	}
	index, search, text := reportOn(t, h, Options{})
	for _, c := range []struct{ name, page, want string }{
		{"text", text, "2002.000 ..     2003.000 ms"}, {"text", text, "at 2003.000 ms"}, {"index", index, "2002.000 ..     2003.000 ms"}, {"search", search, `"OriginalStart":"2002000000"`},
		{"search", search, "2002.000 .. 2003.000 ms"}, {"index", index, "at -500ms"}, {"index", index, `class="time">0s<`}, {"index", index, `class="time">2s<`}, {"index", index, `class="time">-500ms<`},
	} {
		if !strings.Contains(c.page, c.want) {
			t.Errorf("%s lacks %q", c.name, c.want)
		}
	}
}

// TestExcerptOfManyAtOnce: more operations than are drawn return at the last moment of all. They are in no order that could be cut.
func TestExcerptOfManyAtOnce(t *testing.T) {
	const most = 30
	var history []Operation
	write := func(value string, revision uint64, call, back int64) {
		history = append(history, Operation{Kind: Put, Key: "k", Input: Input{Value: value}, Output: Output{Result: OK, Revision: revision}, Outcome: Applied, Call: call, Return: back})
	}
	write("a", 1, 0, 1)
	write("b", 2, 2, 3)
	for i := range 3 * most {
		o := Operation{Kind: Get, Key: "k", Output: Output{Result: OK, Value: "b", Revision: 2}, Outcome: Applied, Call: 10, Return: 20, Client: i + 1}
		if i == most {
			o.Output.Value, o.Output.Revision = "a", 1
		}
		history = append(history, o)
	}
	r := Check(t.Context(), history, Options{Model: Kvorum})
	if r.Verdict != Violation {
		t.Fatalf("verdict %s", r.Verdict)
	}
	x := excerptOf(t.Context(), Kvorum, r.Keys[0], most)
	if !slices.ContainsFunc(x.operations, func(o Operation) bool { return o.Output.Value == "a" && o.Kind == Get }) {
		t.Errorf("the stale read is not among the %d operations that are drawn", len(x.operations))
	}
}
