package replica

import (
	"net/http"
	"strconv"

	"github.com/kvorum/kvorum/store"
)

const tagForms = `use * (any revision), or one revision in double quotes as the header ETag gave it, such as "12"`

// parseConditions reads If-Match and If-None-Match. Each takes *, or one strong tag: lists and weak tags are refused, for
// a revision names exactly one state of a key.
func parseConditions(h http.Header, req *Request) error {
	match, some := h["If-Match"], h["If-None-Match"]
	if len(match) == 0 && len(some) == 0 {
		return nil
	}
	if len(match) > 0 && len(some) > 0 {
		return Invalid("If-Match and If-None-Match were both given: use one of them")
	}
	if len(match) > 0 {
		return parseIfMatch(match, req)
	}
	return parseIfNoneMatch(some, req)
}

func parseIfMatch(values []string, req *Request) error {
	revision, any, err := parseTag("If-Match", values)
	if err != nil {
		return err
	}
	req.Condition, req.Revision = store.IfRevision, revision
	if any {
		req.Condition = store.IfPresent
	}
	return nil
}

func parseIfNoneMatch(values []string, req *Request) error {
	revision, any, err := parseTag("If-None-Match", values)
	if err != nil {
		return err
	}
	if req.Operation.Reads() {
		req.NotRevision, req.NotPresent = revision, any
		return nil
	}
	if !any {
		return Invalid(`If-None-Match takes only * on a write ("only if the key is absent"): for compare-and-set use If-Match: "revision"`)
	}
	req.Condition = store.IfAbsent
	return nil
}

// parseTag reads * or one strong, quoted, decimal revision.
func parseTag(name string, values []string) (revision store.Revision, any bool, err error) {
	if len(values) > 1 {
		return 0, false, Invalid("%s was given %d times: give it once; %s", name, len(values), tagForms)
	}
	text := values[0]
	if text == "*" {
		return 0, true, nil
	}
	if len(text) < 3 || text[0] != '"' || text[len(text)-1] != '"' {
		return 0, false, Invalid("%s: %s is not understood: %s", name, quote(text), tagForms)
	}
	digits := text[1 : len(text)-1]
	number, err := strconv.ParseUint(digits, 10, 64)
	// Tags are compared as text, so "007" would be no revision's tag; and no present key has revision 0.
	if err != nil || digits[0] == '0' {
		return 0, false, Invalid("%s: %s is not a revision: %s", name, quote(text), tagForms)
	}
	return store.Revision(number), false, nil
}

// quote shows at most 40 bytes of what a client sent, safe to print.
func quote(text string) string {
	if len(text) > 40 {
		return strconv.QuoteToASCII(text[:40]) + "..."
	}
	return strconv.QuoteToASCII(text)
}
