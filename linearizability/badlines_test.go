package linearizability

import (
	"strings"
	"testing"
)

func TestHeadersAndModels(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"format":"kvorum-history","version":1}`, ""},
		{`{"format":"kvorum-history","version":1,"model":"register"}` + "\n" + `{"op":"put","key":"x","output":{"result":"ok"},"outcome":"applied","call":1,"return":2}`, ""},
		{`{"format":"kvorum-history","version":2}`, "line 1: version 2"},
		{`{"format":"kvorum-history","version":1,"modle":"register"}`, `line 1: header: unknown member "modle": did you mean "model"?`},
		{`{"fromat":"kvorum-history","version":1}`, `line 1: unknown member "fromat"`},
		{`{"op":"put","key":"x","output":{"result":"ok"},"outcome":"applied","call":1,"return":2}`, "--model register"},
		{`{"format":"kvorum-commits","version":1}`, "line 1: format"},
		{`{"format":"kvorum-history","version":1,"model":"queue"}`, `line 1: model "queue"`},
		{"\n" + `{"annotation":{"kind":"fault","start":1}}` + "\n" + `{"format":"kvorum-history","version":1}`, "line 3: the header"},
		{`{"format":"kvorum-history","version":1,"model":"register"}` + "\n" + `{"op":"cas","key":"x","input":{"revision":1},"outcome":"unknown","call":1}`, "line 2: the model register compares values"},
		{`{"op":"cas","key":"x","input":{"expected":"1"},"outcome":"unknown","call":1}`, "line 1: the model kvorum compares revisions"},
		{`{"op":"cas","key":"x","input":{"expected":"1","revision":1},"outcome":"unknown","call":1}`, "not together"},
		{`{"op":"put","key":"x","input":{"expected":"1"},"outcome":"unknown","call":1}`, "is for cas and delete"},
		{`{"op":"get","key":"x","input":{"idempotency_key":"q"},"outcome":"unknown","call":1}`, "can't have an idempotency key"},
		{`{"op":"list","key":"x","outcome":"unknown","call":1}`, "has no key"},
		{`{"op":"list","output":{"result":"absent"},"outcome":"applied","call":1,"return":2}`, "ok or none"},
		{`{"op":"list","output":{"result":"ok"},"outcome":"unknown","call":1}`, "contradicts"},
		{`{"op":"list","output":{"items":[{"key":"a","revision":1}]},"outcome":"unknown","call":1}`, "mean nothing"},
		{`{"op":"list","output":{"result":"ok","items":[{"key":"a"}]},"outcome":"applied","call":1,"return":2}`, "need a revision"},
		{`{"op":"list","output":{"result":"ok","items":[{"revision":1}]},"outcome":"applied","call":1,"return":2}`, "without a key"},
		{`{"op":"list","input":{"prefix":"b"},"output":{"result":"ok","items":[{"key":"a","revision":1}]},"outcome":"applied","call":1,"return":2}`, "outside"},
		{`{"op":"list","output":{"result":"ok","items":[{"key":"b","revision":1},{"key":"a","revision":1}]},"outcome":"applied","call":1,"return":2}`, "out of order"},
	} {
		_, err := ReadHistory(strings.NewReader(c.text), "")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.90s: %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := ReadHistory(strings.NewReader(`{"format":"kvorum-history","version":1,"model":"register"}`+"\n"+`{"op":"put","key":"x","output":{"result":"ok"},"outcome":"applied","call":1,"return":2}`), Kvorum); err == nil {
		t.Error("the model asked for did not win over the file's")
	}
}

func TestBadCommitsAreNamed(t *testing.T) {
	const good = `{"shard":0,"index":1,"op":"put","key":"x","output":{"result":"ok","revision":1}}` + "\n"
	for _, c := range []struct{ line, want string }{
		{`{"shard":0,"index":1,"op":"put"}`, "key is missing"},
		{`{"shard":0,"op":"put","key":"x"}`, "index is missing"},
		{`{"index":1,"op":"get","key":"x"}`, "is no write"},
		{`{"index":1,"op":"put","key":"x","position":-1}`, "negative"},
		{`{"index":1,"op":"put","key":"x","replayed":true}`, "needs input.idempotency_key"},
		{`{"index":1,"op":"put","key":"x","output":{"result":"ok","value":"v"}}`, "does not put out a value"},
		{`{"index":1,"op":"put","key":"x","output":{"result":"absent"}}`, "can't have the result absent"},
		{`{"format":"kvorum-commits","version":1}`, "the header may only be the first line"},
		{`{"index":1,"op":"put","key":"x","outcome":"applied"}`, `unknown member "outcome": here there are shard`},
		{`{"index":"1","op":"put","key":"x"}`, "index must be a whole number"},
		{`[]`, "an array begins"},
	} {
		if _, err := ReadCommits(strings.NewReader(good + c.line)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v, want line 2 and %q", c.line, err, c.want)
		}
	}
	if _, err := ReadCommits(strings.NewReader(`{"format":"kvorum-commits","version":2}`)); err == nil {
		t.Error("version 2 was read")
	}
	if err := NewCommitWriter(new(strings.Builder)).Write(Commit{Kind: Get}); err == nil {
		t.Error("a get was written as a commit")
	}
}
