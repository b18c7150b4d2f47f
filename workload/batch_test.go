package workload

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

func TestBatchLine(t *testing.T) {
	tests := map[lin.Kind]wire.BatchOperation{
		lin.Get:    {Op: "get"},
		lin.Put:    {Op: "put", Value: []byte("v"), IdempotencyKey: "i"},
		lin.Create: {Op: "put", Value: []byte("v"), IdempotencyKey: "i", IfAbsent: true},
		lin.Update: {Op: "put", Value: []byte("v"), IdempotencyKey: "i", IfPresent: true},
		lin.CAS:    {Op: "put", Value: []byte("v"), IdempotencyKey: "i", IfRevision: 7},
		lin.Delete: {Op: "delete", IdempotencyKey: "i", IfRevision: 7},
	}
	for kind, want := range tests {
		o := &lin.Operation{Kind: kind, Key: "k"}
		if kind != lin.Get {
			o.Input = lin.Input{Value: "v", IdempotencyKey: "i"}
		}
		if kind == lin.CAS || kind == lin.Delete {
			o.Input.Revision = 7
		}
		want.Key = []byte("k")
		if got := batchLine(o); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", kind, got, want)
		}
	}
}

func TestConcludeLine(t *testing.T) {
	refused := func(code wire.Code, outcome wire.Outcome, present uint64) wire.BatchResult {
		return wire.BatchResult{Outcome: outcome, Problem: &wire.Problem{Code: code, Revision: present}}
	}
	tests := map[string]struct {
		kind    lin.Kind
		result  wire.BatchResult
		outcome lin.Outcome
		output  lin.Output
	}{
		"put":            {lin.Put, wire.BatchResult{Outcome: wire.Applied, Revision: 5}, lin.Applied, lin.Output{Result: lin.OK, Revision: 5}},
		"get":            {lin.Get, wire.BatchResult{Outcome: wire.Applied, Revision: 5, Value: []byte("v"), HasValue: true}, lin.Applied, lin.Output{Result: lin.OK, Value: "v", Revision: 5}},
		"get absent":     {lin.Get, refused(wire.CodeNotFound, wire.Applied, 0), lin.Applied, lin.Output{Result: lin.Absent}},
		"delete absent":  {lin.Delete, refused(wire.CodeNotFound, wire.NotApplied, 0), lin.NotApplied, lin.Output{Result: lin.Absent}},
		"cas refused":    {lin.CAS, refused(wire.CodePreconditionFailed, wire.NotApplied, 9), lin.NotApplied, lin.Output{Result: lin.PreconditionFailed, Revision: 9}},
		"overloaded":     {lin.Put, refused(wire.CodeOverloaded, wire.NotApplied, 0), lin.NotApplied, lin.Output{}},
		"lost":           {lin.Put, wire.BatchResult{Outcome: wire.Unknown}, lin.Unknown, lin.Output{}},
		"never answered": {lin.Get, wire.BatchResult{Outcome: wire.NotApplied}, lin.NotApplied, lin.Output{}},
	}
	for name, test := range tests {
		o := &lin.Operation{Kind: test.kind, Key: "k"}
		concludeLine(o, test.result)
		if o.Outcome != test.outcome || o.Output != test.output {
			t.Errorf("%s: %s with %+v, want %s with %+v", name, o.Outcome, o.Output, test.outcome, test.output)
		}
	}
}

func TestOutOfOrder(t *testing.T) {
	told := func(key string, revision uint64) *lin.Operation {
		return &lin.Operation{Kind: lin.Get, Key: key, Output: lin.Output{Result: lin.OK, Revision: revision}}
	}
	made := func(key string, revision uint64) *lin.Operation {
		return &lin.Operation{Kind: lin.Put, Key: key, Output: lin.Output{Result: lin.OK, Revision: revision}}
	}
	refused := func(key string, present uint64) *lin.Operation {
		return &lin.Operation{Kind: lin.CAS, Key: key, Output: lin.Output{Result: lin.PreconditionFailed, Revision: present}}
	}
	tests := map[string]struct {
		list []*lin.Operation
		late int // -1: none
	}{
		"in order":       {[]*lin.Operation{told("a", 1), told("b", 9), told("a", 1), told("a", 4)}, -1},
		"nothing told":   {[]*lin.Operation{told("a", 3), told("a", 0), told("a", 3)}, -1},
		"read, written":  {[]*lin.Operation{told("a", 3), refused("a", 3), made("a", 4), told("a", 4)}, -1},
		"read too late":  {[]*lin.Operation{told("a", 4), made("a", 4)}, 1},
		"out of order":   {[]*lin.Operation{told("a", 3), told("b", 1), told("a", 2)}, 2},
		"across silence": {[]*lin.Operation{told("a", 3), told("a", 0), told("a", 2)}, 2},
	}
	for name, test := range tests {
		var want *lin.Operation
		if test.late >= 0 {
			want = test.list[test.late]
		}
		if got := outOfOrder(test.list); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestConditionalReads: whatever a read asked for besides, it says what the key held, or nothing.
func TestConditionalReads(t *testing.T) {
	present, asked, ignored := `"7"`, map[string]int{}, false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderOutcome, string(wire.Applied))
		w.Header().Set("ETag", present)
		same := r.Header.Get("If-None-Match") == present
		switch match := r.Header.Get("If-Match"); {
		case match != "" && match != present && !ignored:
			asked["if the same, refused"]++
			p := wire.NewProblem(wire.CodePreconditionFailed, "")
			p.Outcome, p.Revision = wire.Applied, 7
			p.Write(w)
		case same && !ignored:
			asked["if changed, unchanged"]++
			w.WriteHeader(http.StatusNotModified)
		default:
			asked["answered"]++
			fmt.Fprint(w, "seven")
		}
	}))
	defer server.Close()
	p, err := newPerson(Config{Seed: 1, Endpoints: []string{server.URL}, EndpointsOnly: true, Wrong: func(error) { asked["wrong"]++ }}, 0, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	for i := range 400 {
		ignored = i >= 300
		if i == 300 && asked["wrong"] > 0 {
			t.Errorf("%d answers were taken for wrong", asked["wrong"])
		}
		p.learn(&lin.Operation{Kind: lin.Put, Key: "k", Input: lin.Input{Value: "seven"}, Output: lin.Output{Result: lin.OK, Revision: 7}})
		if i%2 == 0 {
			p.learn(&lin.Operation{Kind: lin.Get, Key: "k", Output: lin.Output{Result: lin.OK, Value: "six", Revision: 6}})
		}
		o := &lin.Operation{Kind: lin.Get, Key: "k"}
		receipt, err := p.do(t.Context(), o)
		conclude(o, receipt, err)
		if saysNothing := o.Outcome == lin.NotApplied && o.Output == (lin.Output{}) && i%2 == 0; !saysNothing && (o.Outcome != lin.Applied || o.Output != (lin.Output{Result: lin.OK, Value: "seven", Revision: 7})) {
			t.Fatalf("read %d: %s, %+v: %v", i, o.Outcome, o.Output, err)
		}
	}
	for _, what := range []string{"if the same, refused", "if changed, unchanged", "answered", "wrong"} {
		if asked[what] == 0 {
			t.Errorf("never %s: %v", what, asked)
		}
	}
}
