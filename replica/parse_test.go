package replica

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

func TestSessionText(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "0:1": "0:1", "2:5,0:1": "0:1,2:5", "1:3,1:9,1:4": "1:9", " 1:3 , 2:4 ": "1:3,2:4", "4294967295:18446744073709551615": "4294967295:18446744073709551615",
	} {
		s, err := ParseSession(text)
		if err != nil || s.String() != want {
			t.Errorf("%q is %q (%v), want %q", text, s, err, want)
		}
	}
	for _, text := range []string{"x", "1", "1:", ":1", "1:2:3", "1:2,", "-1:2", "4294967296:1", "1:18446744073709551616", "1;2", string(make([]byte, maxSessionBytes+1))} {
		if s, err := ParseSession(text); err == nil {
			t.Errorf("%.20q was taken for %v", text, s)
		}
	}
}

func TestSessionsAreValues(t *testing.T) {
	a := Session(nil).With(1, 10).With(0, 5)
	b, c := a.With(1, 11), a.With(2, 3)
	if a.String() != "0:5,1:10" || b.String() != "0:5,1:11" || c.String() != "0:5,1:10,2:3" || a.With(1, 9).String() != a.String() {
		t.Fatalf("%v, %v, %v", a, b, c)
	}
	if merged := b.Merge(c); merged.String() != "0:5,1:11,2:3" || merged.Index(7) != 0 || merged.Index(2) != 3 {
		t.Fatalf("merged to %v", merged)
	}
}

func FuzzSession(f *testing.F) {
	for _, text := range []string{"", "0:1", "2:5,0:1", "1:3,1:9", "x:y", ",,,"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSession(text)
		if err != nil {
			return
		}
		again, err := ParseSession(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q -> %q -> %q (%v)", text, s, again, err)
		}
		for i := 1; i < len(s); i++ {
			if s[i-1].Shard >= s[i].Shard {
				t.Fatalf("%q gives unsorted %v", text, s)
			}
		}
	})
}

// FuzzBatchLine: no line makes a key or value that the client did not write.
func FuzzBatchLine(f *testing.F) {
	for _, line := range []string{`{"op":"put","key":"k","value":"v"}`, `{"op":"get","key_base64":"/w=="}`, `{"op":"delete","key":"\ud83d\ude00"}`, `{"op":"put","key":"\ud83d","value":""}`, `{`, "\xff", `null`, `[]`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		item := parseBatchLine(line, 1<<20)
		if item.Err != nil {
			if code := AsError(item.Err).Code; wire.Codes[code].Outcome != wire.NotApplied {
				t.Fatalf("%q is refused with %s", line, code)
			}
			return
		}
		if len(item.Request.Key) == 0 || len(item.Request.Key) > wire.MaxKeyBytes {
			t.Fatalf("%q has a key of %d bytes", line, len(item.Request.Key))
		}
		if !utf8.Valid(line) {
			t.Fatalf("%q is no text, but was taken", line)
		}
	})
}

// FuzzRequest: whatever the path and headers, the key is the decoded path, and a bad request is refused as not applied.
func FuzzRequest(f *testing.F) {
	f.Add("PUT", "a%2Fb", "", `"1"`, "", "key")
	f.Add("GET", "..", "consistency=bounded&max_stale=1s", "", `*`, "")
	f.Add("HEAD", "%00//", "consistency=stale", `W/"1"`, `"1","2"`, "\x00")
	f.Fuzz(func(t *testing.T, method, path, query, match, noneMatch, idempotency string) {
		target, err := url.ParseRequestURI(KeyPath + path + "?" + query)
		if err != nil {
			return
		}
		r := &http.Request{Method: method, URL: target, Header: http.Header{}}
		for name, value := range map[string]string{"If-Match": match, "If-None-Match": noneMatch, wire.HeaderIdempotencyKey: idempotency} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		req, err := ParseRequest(r)
		if err != nil {
			if AsError(err).Outcome() != wire.NotApplied {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if string(req.Key) != target.Path[len(KeyPath):] {
			t.Fatalf("the key of %q is %q", target, req.Key)
		}
		if req.Condition == store.IfRevision && (req.Revision == 0 || match != `"`+url.PathEscape(uintText(uint64(req.Revision)))+`"`) {
			t.Fatalf("If-Match %q became revision %d", match, req.Revision)
		}
	})
}

func uintText(v uint64) string {
	var f numbers
	return f.values(f.uint(nil, v), 0)[0]
}

// TestHeadersDoNotShareRoom: all values of a reply come from one string and one slice; adding to one must not touch another.
func TestHeadersDoNotShareRoom(t *testing.T) {
	w := httptest.NewRecorder()
	reply := Reply{Status: 200, Outcome: wire.Applied, Revision: 12, Value: make([]byte, bufferedBytes+1), Receipt: Receipt{Node: "n", Shard: 1, Epoch: 2, Term: 3, Index: 4, Consistency: "linearizable; leader"}}
	reply.writeSuccess(w.Header(), Get, nil)
	want := map[string]string{wire.HeaderNode: "n", wire.HeaderShard: "1", wire.HeaderEpoch: "2", wire.HeaderTerm: "3", wire.HeaderIndex: "4", wire.HeaderSession: "1:4",
		wire.HeaderConsistency: "linearizable; leader", "Etag": `"12"`, "Content-Length": strconv.Itoa(bufferedBytes + 1), "Content-Type": "application/octet-stream"}
	for name := range want {
		w.Header().Add(name, "more")
	}
	for name, value := range want {
		if got := w.Header()[name]; len(got) != 2 || got[0] != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	again := http.Header{}
	reply.writeSuccess(again, Get, nil)
	if again.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("a shared value was changed: %q", again)
	}
}

func TestLimiter(t *testing.T) {
	l := NewLimiter(2, 100)
	for range 2 {
		if err := l.Enter(); err != nil {
			t.Fatalf("two requests are allowed: %v", err)
		}
	}
	if err := l.Enter(); AsError(err).Code != wire.CodeOverloaded {
		t.Fatalf("a third: %v", err)
	}
	l.Leave()
	if l.Enter() != nil || l.Requests() != 2 {
		t.Fatalf("%d in flight", l.Requests())
	}
	if l.Take(60) != nil || l.Take(41) == nil || l.Take(40) != nil || l.Bytes() != 100 {
		t.Fatalf("%d bytes in flight", l.Bytes())
	}
	l.Give(100)
	if l.Bytes() != 0 {
		t.Fatalf("%d bytes left", l.Bytes())
	}
}

// TestEveryResultHasAReply: each result of the machine has a status, and its outcome is what the machine says.
func TestEveryResultHasAReply(t *testing.T) {
	for code := store.OK; code <= store.IdempotencyFull; code++ {
		status, problem := statusOf(code)
		if code.Applied() != (problem == "") || code.Applied() != (status < 300) {
			t.Errorf("%s: status %d, problem %q", code, status, problem)
		}
		if problem != "" && (wire.Codes[problem].Outcome != wire.NotApplied || wire.Codes[problem].Status != status) {
			t.Errorf("%s: problem %s is %+v", code, problem, wire.Codes[problem])
		}
	}
}
