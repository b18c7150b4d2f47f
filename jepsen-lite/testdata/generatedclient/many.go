package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"generatedclient/kvorum"
)

const ndjson = "application/x-ndjson"

func (d *driver) batch(body string, p kvorum.BatchParams, w want) (results []kvorum.BatchResult) {
	r, err := d.c.BatchWithBodyWithResponse(d.ctx, &p, ndjson, strings.NewReader(body))
	if w.status == 200 {
		w.check = func() error {
			rows, end, err := rows[kvorum.BatchResult](r.Body)
			if err == nil && (!end.Complete || end.Count != len(rows)) {
				err = fmt.Errorf("the stream ends with %+v after %d results", end, len(rows))
			}
			results = rows
			return err
		}
	}
	d.got("batch", r, err, w)
	return results
}

// rows decodes a stream: lines of one kind, and then the End.
func rows[T any](body []byte) (all []T, end kvorum.End, err error) {
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	for _, line := range lines[:len(lines)-1] {
		var row T
		if err := strict(line, &row); err != nil {
			return nil, end, fmt.Errorf("%s: %w", line, err)
		}
		all = append(all, row)
	}
	return all, end, strict(lines[len(lines)-1], &end)
}

func lines(operations ...kvorum.BatchOperation) string {
	var b strings.Builder
	for _, o := range operations {
		if err := json.NewEncoder(&b).Encode(o); err != nil {
			panic(err) // types of ours
		}
	}
	return b.String()
}

// many: a batch over all shards with each kind of result, and the listing of what it wrote.
func (d *driver) many() {
	put := func(key, value string) kvorum.BatchOperation {
		return kvorum.BatchOperation{Op: kvorum.Put, Key: &key, Value: &value}
	}
	twice := put("many:d", "4")
	twice.IdempotencyKey = to("many-d")
	results := d.batch(lines(
		put("many:a", "1"), put("many:b", "2"), put("many:c", "3"), twice, twice,
		kvorum.BatchOperation{Op: kvorum.Put, KeyBase64: to([]byte("many\xff:e")), ValueBase64: to([]byte("\x00\xff"))},
		kvorum.BatchOperation{Op: kvorum.Get, Key: to("many:a")},
		kvorum.BatchOperation{Op: kvorum.Put, Key: to("many:a"), Value: to("no"), IfAbsent: to(true)},
		kvorum.BatchOperation{Op: kvorum.Delete, Key: to("many:none"), IfPresent: to(true)},
		kvorum.BatchOperation{Op: kvorum.Delete, Key: to("many:b"), IfRevision: to(999999)},
		kvorum.BatchOperation{Op: "nonsense", Key: to("many:a")},
	), kvorum.BatchParams{}, want{status: 200})
	var have strings.Builder
	for i, r := range results {
		fmt.Fprintf(&have, "%d:%d %s", r.Index, r.Status, r.Outcome)
		if r.Problem != nil {
			fmt.Fprintf(&have, " %s", r.Problem.Code)
		}
		if r.Value != nil {
			fmt.Fprintf(&have, " %s", *r.Value)
		}
		if i < len(results)-1 {
			have.WriteString(", ")
		}
	}
	expect := "0:201 applied, 1:201 applied, 2:201 applied, 3:201 applied, 4:201 applied, 5:201 applied, 6:200 applied 1, 7:412 not-applied precondition-failed, " +
		"8:412 not-applied precondition-failed, 9:412 not-applied precondition-failed, 10:400 not-applied invalid-request"
	d.same("batch", have.String(), expect)
	d.batch("", kvorum.BatchParams{KvorumSession: to("9:1")}, want{status: 409, code: kvorum.ProblemCodeSessionUnknown})
	d.batch(lines(put("many:f", "x")), kvorum.BatchParams{KvorumSession: to("nonsense")}, want{status: 400, code: kvorum.ProblemCodeInvalidRequest})
	d.batch(strings.Repeat(lines(kvorum.BatchOperation{Op: kvorum.Get, Key: to("many:a")}), 10001), kvorum.BatchParams{}, want{status: 413, code: kvorum.ProblemCodeValueTooLarge})
	d.list()
}

// same says whether two summaries of something that had come are the same.
func (d *driver) same(operation, have, expect string) {
	if have != expect {
		d.wrong++
		fmt.Printf("%s 0 wrong: %s, want %s\n", operation, have, expect)
	}
}

// list reads what the batch wrote, two rows at a time.
func (d *driver) list() {
	var found []string
	p := kvorum.ListKeysParams{Prefix: to("many"), Limit: to(2)}
	for page := 0; page < 10; page++ {
		r, err := d.c.ListKeysWithResponse(d.ctx, &p)
		var end kvorum.End
		d.got("listKeys", r, err, want{status: 200, check: func() (err error) {
			var entries []kvorum.Entry
			entries, end, err = rows[kvorum.Entry](r.Body)
			for _, e := range entries {
				found = append(found, text(e.Key, e.KeyBase64)+"="+text(e.Value, e.ValueBase64))
			}
			if len(entries) > 2 || end.Count != len(entries) {
				err = errors.Join(err, fmt.Errorf("%d rows, the limit is 2, the count %d", len(entries), end.Count))
			}
			return err
		}})
		if end.Cursor == nil {
			break
		}
		p.Cursor = end.Cursor
	}
	d.same("listKeys", strings.Join(found, " "), "many:a=1 many:b=2 many:c=3 many:d=4 many\xff:e=\x00\xff")
	r, err := d.c.ListKeysWithResponse(d.ctx, &kvorum.ListKeysParams{Limit: to(0)})
	d.got("listKeys", r, err, want{status: 400, code: kvorum.ProblemCodeInvalidRequest})
	r, err = d.c.ListKeysWithResponse(d.ctx, &kvorum.ListKeysParams{KvorumSession: to("9:1")})
	d.got("listKeys", r, err, want{status: 409, code: kvorum.ProblemCodeSessionUnknown})
	h, err := d.c.HeadListWithResponse(d.ctx)
	d.got("headList", h, err, want{status: 200})
}

// text is what stands in one of two fields: as it is, or in base64.
func text(plain *string, encoded *[]byte) string {
	if plain != nil {
		return *plain
	}
	if encoded != nil {
		return string(*encoded)
	}
	return ""
}
