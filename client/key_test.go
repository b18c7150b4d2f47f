package client

import (
	"net/url"
	"strings"
	"testing"
)

var hardKeys = []string{"a", "user:a", "a/b", "a//b", "/", "//", ".", "..", "...", "../..", "a/../b", "%", "%2F", "%00", "\x00", " ", "a b", "+", "?x=1", "#f", "é", "日本",
	"\xff\xfe", "a;b", "a,b", "a=b&c", "~-_.", "trailing/", "\r\n", "\n", strings.Repeat("\xff", 1024), strings.Repeat("/", 1024)}

// What stands on the wire must be one path segment that decodes to the key, byte for byte.
func TestKeysOnTheWire(t *testing.T) {
	s := listenRaw(t, func(int) string { return rawOK })
	c := connect(t, nil, "http://"+s.Addr().String())
	for i, key := range hardKeys {
		if _, err := c.Put(testContext(t), key, []byte("v")); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		line := s.seen()[i]
		segment, ok := strings.CutPrefix(line, "PUT /v1/kv/")
		if !ok {
			t.Fatalf("%q: request line %q", key, line)
		}
		checkSegment(t, key, segment)
	}
}

func checkSegment(t *testing.T, key, segment string) {
	t.Helper()
	decoded, err := url.PathUnescape(segment)
	if err != nil || decoded != key {
		t.Errorf("key %q went out as %q, which is %q (%v)", key, segment, decoded, err)
	}
	if strings.ContainsAny(segment, "/?# +;\r\n\x00") || segment == "." || segment == ".." {
		t.Errorf("key %q: segment %q would not stay one", key, segment)
	}
}

func TestKeyLimits(t *testing.T) {
	c, s := serve(t, nil, done(200))
	if _, err := c.Put(testContext(t), "", nil); OutcomeOf(err) != "not-applied" {
		t.Error(err)
	}
	if _, err := c.Get(testContext(t), strings.Repeat("k", 1025)); OutcomeOf(err) != "not-applied" {
		t.Error(err)
	}
	for _, bad := range []string{"with space", "é", "tab\t", strings.Repeat("k", 256), "line\r\nX: y"} {
		if _, err := c.Put(testContext(t), "k", nil, IdempotencyKey(bad)); OutcomeOf(err) != "not-applied" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func FuzzEscapeKey(f *testing.F) {
	for _, key := range hardKeys {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		segment := EscapeKey(key)
		checkSegment(t, key, segment)
		endpoint := &url.URL{Scheme: "http", Host: "h:1"}
		if got := target(endpoint, keyPath+segment, "a=b").RequestURI(); got != "/v1/kv/"+segment+"?a=b" {
			t.Errorf("key %q: request target %q", key, got)
		}
	})
}
