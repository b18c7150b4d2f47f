package main

import (
	"bytes"
	"strconv"
	"strings"

	"generatedclient/kvorum"
)

const octets = "application/octet-stream"

// Keys with what URLs have a meaning for, and bytes that are no text. The test reads them back.
var oddKeys = []string{"odd/ key?a=b&c=d#e%2Fa", "odd//double/../a", "odd\xff\x00+;=,:b", "oddä c"}

func (d *driver) put(key, value string, p kvorum.PutKeyParams, w want) (etag string) {
	r, err := d.c.PutKeyWithBodyWithResponse(d.ctx, key, &p, octets, strings.NewReader(value))
	d.got("putKey", r, err, w)
	if err == nil {
		etag = r.HTTPResponse.Header.Get("ETag")
	}
	return etag
}

func (d *driver) get(key string, p kvorum.GetKeyParams, w want, value, etag string) {
	r, err := d.c.GetKeyWithResponse(d.ctx, key, &p)
	if w.status == 200 {
		w.check = func() error {
			if err := equal("the value", string(r.Body), value); err != nil {
				return err
			}
			return equal("the ETag", r.Headers200.ETag, etag)
		}
	}
	d.got("getKey", r, err, w)
}

func (d *driver) head(key string, p kvorum.HeadKeyParams, w want) {
	r, err := d.c.HeadKeyWithResponse(d.ctx, key, &p)
	d.got("headKey", r, err, w)
}

func (d *driver) delete(key string, p kvorum.DeleteKeyParams, w want) {
	r, err := d.c.DeleteKeyWithResponse(d.ctx, key, &p)
	d.got("deleteKey", r, err, w)
}

// values: create, replace, compare-and-set, update, delete and reads of one key of each shard, and odd ones.
func (d *driver) values() {
	for _, key := range []string{"one:a", "one:b", "one:c"} {
		created := d.put(key, "first", kvorum.PutKeyParams{IfNoneMatch: to(kvorum.PutKeyParamsIfNoneMatch("*"))}, want{status: 201})
		d.put(key, "again", kvorum.PutKeyParams{IfNoneMatch: to(kvorum.PutKeyParamsIfNoneMatch("*"))}, want{status: 412, code: kvorum.ProblemCodePreconditionFailed})
		d.get(key, kvorum.GetKeyParams{}, want{status: 200}, "first", created)
		replaced := d.put(key, "second", kvorum.PutKeyParams{}, want{status: 200})
		d.put(key, "stale", kvorum.PutKeyParams{IfMatch: &created}, want{status: 412, code: kvorum.ProblemCodePreconditionFailed})
		d.put(key, "third", kvorum.PutKeyParams{IfMatch: &replaced}, want{status: 200})
		updated := d.put(key, "fourth", kvorum.PutKeyParams{IfMatch: to("*")}, want{status: 200})
		d.same("putKey", strconv.Itoa(revision(updated)), strconv.Itoa(revision(created)+3)) // the revision counts writes
		d.get(key, kvorum.GetKeyParams{Consistency: to(kvorum.GetKeyParamsConsistencyLinearizable)}, want{status: 200}, "fourth", updated)
		d.get(key, kvorum.GetKeyParams{IfMatch: &updated}, want{status: 200}, "fourth", updated)
		d.get(key, kvorum.GetKeyParams{IfNoneMatch: &updated}, want{status: 304}, "", "")
		d.get(key, kvorum.GetKeyParams{IfMatch: &created}, want{status: 412, code: kvorum.ProblemCodePreconditionFailed, outcome: kvorum.OutcomeApplied}, "", "")
		d.head(key, kvorum.HeadKeyParams{}, want{status: 200})
		d.head(key, kvorum.HeadKeyParams{IfNoneMatch: &updated}, want{status: 304})
		d.head(key, kvorum.HeadKeyParams{IfMatch: &created}, want{status: 412, outcome: kvorum.OutcomeApplied})
		d.delete(key, kvorum.DeleteKeyParams{IfMatch: &created}, want{status: 412, code: kvorum.ProblemCodePreconditionFailed})
		d.delete(key, kvorum.DeleteKeyParams{IfMatch: &updated}, want{status: 204})
		d.delete(key, kvorum.DeleteKeyParams{}, want{status: 404, code: kvorum.ProblemCodeNotFound})
		d.get(key, kvorum.GetKeyParams{}, want{status: 404, code: kvorum.ProblemCodeNotFound, outcome: kvorum.OutcomeApplied}, "", "")
		d.head(key, kvorum.HeadKeyParams{}, want{status: 404, outcome: kvorum.OutcomeApplied})
	}
	for i, key := range oddKeys {
		value := "odd value " + strconv.Itoa(i) + "\x00\xfe"
		etag := d.put(key, value, kvorum.PutKeyParams{}, want{status: 201})
		d.get(key, kvorum.GetKeyParams{}, want{status: 200}, value, etag)
	}
	d.sessions()
}

// sessions: what a reply's mark shows is seen also by bounded and stale reads.
func (d *driver) sessions() {
	r, err := d.c.PutKeyWithBodyWithResponse(d.ctx, "session:a", &kvorum.PutKeyParams{XRequestId: to("generated-1")}, octets, strings.NewReader("mine"))
	d.got("putKey", r, err, want{status: 201, check: func() error { return equal("the request id", r.Headers201.XRequestId, "generated-1") }})
	if err != nil || r.Headers201 == nil {
		return
	}
	mark, etag := r.Headers201.KvorumSession, r.Headers201.ETag
	d.get("session:a", kvorum.GetKeyParams{Consistency: to(kvorum.GetKeyParamsConsistencyStale), KvorumSession: &mark}, want{status: 200}, "mine", etag)
	d.get("session:a", kvorum.GetKeyParams{Consistency: to(kvorum.GetKeyParamsConsistencyBounded), MaxStale: to("1s"), KvorumSession: &mark}, want{status: 200}, "mine", etag)
}

// refusals of requests on one key, that need no fault.
func (d *driver) refusals() {
	long, large := strings.Repeat("k", 1025), string(bytes.Repeat([]byte{'x'}, 1<<20+1))
	foreign, malformed := to("9:1"), to("12")
	bad, tooLong, unknown := kvorum.ProblemCodeInvalidRequest, kvorum.ProblemCodeKeyTooLong, kvorum.ProblemCodeSessionUnknown
	d.put("r:a", "v", kvorum.PutKeyParams{IfMatch: malformed}, want{status: 400, code: bad})
	d.put("r:a", "v", kvorum.PutKeyParams{KvorumSession: foreign}, want{status: 409, code: unknown})
	d.put("r:a", large, kvorum.PutKeyParams{}, want{status: 413, code: kvorum.ProblemCodeValueTooLarge})
	d.put(long, "v", kvorum.PutKeyParams{}, want{status: 414, code: tooLong})
	d.get("r:a", kvorum.GetKeyParams{Consistency: to(kvorum.GetKeyParamsConsistency("eventual"))}, want{status: 400, code: bad}, "", "")
	d.get("r:a", kvorum.GetKeyParams{KvorumSession: foreign}, want{status: 409, code: unknown}, "", "")
	d.get(long, kvorum.GetKeyParams{}, want{status: 414, code: tooLong}, "", "")
	d.head("r:a", kvorum.HeadKeyParams{Consistency: to(kvorum.HeadKeyParamsConsistency("eventual"))}, want{status: 400})
	d.head("r:a", kvorum.HeadKeyParams{KvorumSession: foreign}, want{status: 409})
	d.head(long, kvorum.HeadKeyParams{}, want{status: 414})
	d.delete("r:a", kvorum.DeleteKeyParams{IfMatch: malformed}, want{status: 400, code: bad})
	d.delete("r:a", kvorum.DeleteKeyParams{KvorumSession: foreign}, want{status: 409, code: unknown})
	d.delete(long, kvorum.DeleteKeyParams{}, want{status: 414, code: tooLong})
}

func revision(etag string) int {
	n, err := strconv.Atoi(strings.Trim(etag, `"`))
	if err != nil {
		return -1
	}
	return n
}
