package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"time"

	"generatedclient/kvorum"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generatedclient URL whole|health|no-quorum")
		os.Exit(2)
	}
	client, err := kvorum.NewClientWithResponses(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d := &driver{ctx: ctx, c: client}
	switch os.Args[2] {
	case "whole":
		d.values()
		d.refusals()
		d.many()
		d.operations()
		d.cluster()
		d.health()
	case "health":
		d.health()
	case "no-quorum":
		d.noQuorum()
	}
	if d.wrong > 0 {
		os.Exit(1)
	}
}

type driver struct {
	ctx   context.Context
	c     *kvorum.ClientWithResponses
	wrong int
}

// reply is what all generated responses have.
type reply interface {
	StatusCode() int
	GetBody() []byte
}

// want is what must come.
type want struct {
	status  int
	code    kvorum.ProblemCode // of the problem body; "": none
	outcome kvorum.Outcome     // "": applied for what succeeds, else not-applied
	check   func() error       // of the rest; nil: none
}

// got compares one reply with what must come, and says so.
func (d *driver) got(operation string, r reply, err error, w want) {
	if err == nil {
		err = errors.Join(w.compare(r))
	}
	status := 0
	if r != nil && !reflect.ValueOf(r).IsNil() {
		status = r.StatusCode()
	}
	if err == nil {
		fmt.Println(operation, status)
		return
	}
	d.wrong++
	fmt.Println(operation, status, "wrong:", strings.ReplaceAll(err.Error(), "\n", "; "))
}

func (w want) compare(r reply) error {
	if r.StatusCode() != w.status {
		return fmt.Errorf("status %d, want %d: %.300s", r.StatusCode(), w.status, r.GetBody())
	}
	if w.outcome == "" {
		w.outcome = kvorum.OutcomeApplied
		if w.status >= 400 {
			w.outcome = kvorum.OutcomeNotApplied
		}
	}
	fields := reflect.ValueOf(r).Elem()
	err := errors.Join(w.header(fields), w.problem(fields, r.GetBody()))
	if err == nil && w.check != nil {
		err = w.check()
	}
	return err
}

// header looks at the typed headers of the status: they are decoded, and all that are required are there.
func (w want) header(fields reflect.Value) error {
	typed := fields.FieldByName(fmt.Sprintf("Headers%d", w.status))
	if !typed.IsValid() {
		typed = fields.FieldByName("HeadersDefault")
	}
	if !typed.IsValid() || typed.IsNil() {
		return fmt.Errorf("the description has no headers for %d", w.status)
	}
	typed = typed.Elem()
	if outcome := typed.FieldByName("KvorumOutcome").String(); outcome != string(w.outcome) {
		return fmt.Errorf("outcome %q, want %q", outcome, w.outcome)
	}
	sent := fields.FieldByName("HTTPResponse").Interface().(*http.Response).Header
	names := map[string]string{"XRequestId": "X-Request-Id", "ETag": "ETag", "RetryAfter": "Retry-After", "ContentLength": "Content-Length"}
	for i := range typed.NumField() {
		name := typed.Type().Field(i).Name
		if names[name] == "" {
			names[name] = "Kvorum-" + strings.TrimPrefix(name, "Kvorum")
		}
		if typed.Field(i).Kind() != reflect.Pointer && len(sent.Values(names[name])) == 0 {
			return fmt.Errorf("required header %s is missing", names[name])
		}
	}
	return nil
}

// problem looks at the typed problem body of the status.
func (w want) problem(fields reflect.Value, body []byte) error {
	typed := fields.FieldByName(fmt.Sprintf("ApplicationproblemJSON%d", w.status))
	if w.code == "" {
		if typed.IsValid() && !typed.IsNil() {
			return errors.New("a problem body that was not to come")
		}
		return nil
	}
	if !typed.IsValid() || typed.IsNil() {
		return fmt.Errorf("no typed problem body for %d: %.200s", w.status, body)
	}
	p := typed.Interface().(*kvorum.Problem)
	if err := strict(body, new(kvorum.Problem)); err != nil {
		return err
	}
	if p.Code != w.code || p.Outcome != w.outcome || p.Status != w.status || p.Title == "" || !strings.HasPrefix(p.Type, "urn:kvorum:problem:") || p.Detail == nil || p.RequestId == nil {
		return fmt.Errorf("problem %s, want code %s, outcome %s, status %d", body, w.code, w.outcome, w.status)
	}
	return nil
}

// strict decodes what must have no field that the description does not name.
func strict(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func to[T any](v T) *T { return &v }

// equal is a check that two values are.
func equal(what string, have, want any) error {
	if !reflect.DeepEqual(have, want) {
		return fmt.Errorf("%s is %v, want %v", what, have, want)
	}
	return nil
}
