package workload

import (
	"fmt"
	"slices"
	"testing"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
)

// TestWeakReads: key k is written at indexes 5, 7 and 9, by client 0, and read by others.
func TestWeakReads(t *testing.T) {
	var all []lin.Commit
	var writes []lin.Operation
	for i, index := range []uint64{5, 7, 9} {
		value := fmt.Sprint("v", index)
		all = append(all, lin.Commit{Index: index, Kind: lin.Put, Key: "k", Input: lin.Input{Value: value}, Output: lin.Output{Result: lin.OK, Revision: index}})
		at := int64(i) * int64(time.Second)
		writes = append(writes, lin.Operation{Kind: lin.Put, Key: "k", Input: lin.Input{Value: value}, Output: lin.Output{Result: lin.OK}, Outcome: lin.Applied, Call: at, Return: at + 1})
	}
	const plain, session = 1, 3
	if HasSession(plain) || !HasSession(session) {
		t.Fatal("other clients have sessions")
	}
	late := int64(time.Minute)
	read := func(client int, consistency, value string, index uint64, call int64) lin.Operation {
		o := lin.Operation{Kind: lin.Get, Key: "k", Client: client, Input: lin.Input{Consistency: consistency}, Output: lin.Output{Result: lin.OK, Value: value}, Outcome: lin.Applied, Call: call, Return: call + 1, Receipt: &lin.Receipt{Index: index}}
		if value == "" {
			o.Output = lin.Output{Result: lin.Absent}
		} else if _, err := fmt.Sscanf(value, "v%d", &o.Output.Revision); err != nil { // each write's revision is its index here
			t.Fatal(err)
		}
		return o
	}
	ofRevision := func(revision uint64, o lin.Operation) lin.Operation {
		o.Output.Revision = revision
		return o
	}
	of := func(key string, o lin.Operation) lin.Operation {
		o.Key = key
		return o
	}
	elsewhere := lin.Operation{Kind: lin.Put, Key: "other", Client: session, Outcome: lin.NotApplied, Call: late - 10, Return: late - 9, Receipt: &lin.Receipt{Index: 8}}
	for name, c := range map[string]struct {
		reads []lin.Operation
		want  string
	}{
		"stale, of long ago":                {[]lin.Operation{read(plain, "stale", "v5", 5, late)}, ""},
		"stale, before any write":           {[]lin.Operation{read(plain, "stale", "", 3, late)}, ""},
		"stale, of a key never written":     {[]lin.Operation{of("never", read(plain, "stale", "v5", 5, late))}, "stale reads"},
		"absent, of a key never written":    {[]lin.Operation{of("never", read(plain, "bounded", "", 5, late))}, ""},
		"stale, never so":                   {[]lin.Operation{read(plain, "stale", "v6", 5, late)}, "stale reads"},
		"stale, with the next revision":     {[]lin.Operation{ofRevision(6, read(plain, "stale", "v5", 5, late))}, "stale reads"},
		"bounded, with another's revision":  {[]lin.Operation{ofRevision(9, read(plain, "bounded", "v7", 7, int64(3*time.Second)))}, "stale reads"},
		"bounded, new":                      {[]lin.Operation{read(plain, "bounded", "v9", 9, late)}, ""},
		"bounded, of long ago":              {[]lin.Operation{read(plain, "bounded", "v7", 7, late)}, "bounded reads"},
		"bounded, just overwritten":         {[]lin.Operation{read(plain, "bounded", "v7", 7, int64(3*time.Second))}, ""},
		"session, first read":               {[]lin.Operation{read(session, "stale", "v5", 5, late)}, ""},
		"session, goes back":                {[]lin.Operation{read(session, "stale", "v9", 9, late), read(session, "stale", "v7", 7, late+10)}, "session reads"},
		"session, told of 8 by another key": {[]lin.Operation{elsewhere, read(session, "stale", "v7", 8, late)}, ""},
		"session, behind another key":       {[]lin.Operation{elsewhere, read(session, "stale", "v5", 6, late)}, "session reads"},
		"no session, goes back":             {[]lin.Operation{read(plain, "stale", "v9", 9, late), read(plain, "stale", "v7", 7, late+10)}, ""},
		"linearizable reads are for others": {[]lin.Operation{read(session, "", "v9", 9, late), read(session, "", "v5", 5, late+10)}, ""},
	} {
		judged, failures := JudgeWeakReads(all, slices.Concat(writes, c.reads))
		got := ""
		for _, f := range failures {
			got += f.Promise
		}
		weak := 0
		for i := range c.reads {
			if c.reads[i].Weak() {
				weak++
			}
		}
		if judged != weak {
			t.Errorf("%s: judged %d reads of %d", name, judged, weak)
		}
		if got != c.want {
			t.Errorf("%s: %v, want %q", name, failures, c.want)
		}
	}
}
