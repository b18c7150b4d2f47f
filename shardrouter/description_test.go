package shardrouter_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/kvorum/kvorum/wire"
)

// description is the OpenAPI file, with which every reply of every test is compared.
type description struct{ spec *openapi3.T }

func loadDescription(t *testing.T) *description {
	t.Helper()
	spec, err := openapi3.NewLoader().LoadFromData([]byte(wire.OpenAPI()))
	if err != nil {
		t.Fatalf("the description is no OpenAPI: %v", err)
	}
	if err := spec.Validate(context.Background()); err != nil {
		t.Fatalf("the description is not valid: %v", err)
	}
	return &description{spec}
}

// find gives the description's path for a path as it was sent; "" when it has none.
func (d *description) find(escaped string) string {
	for _, prefix := range []string{"/v1/kv/", "/v1/operations/"} {
		if strings.HasPrefix(escaped, prefix) {
			for path := range d.spec.Paths.Map() {
				if strings.HasPrefix(path, prefix+"{") {
					return path
				}
			}
		}
	}
	if d.spec.Paths.Value(escaped) != nil {
		return escaped
	}
	parts := strings.Split(escaped, "/")
	if len(parts) == 6 && strings.HasPrefix(escaped, "/v1/cluster/shards/") {
		parts[4] = "{shard}"
		if path := strings.Join(parts, "/"); d.spec.Paths.Value(path) != nil {
			return path
		}
	}
	return ""
}

// check compares a reply with the description. What it has no operation for must be 404 or 405, as our problem bodies.
func (d *description) check(t *testing.T, q request, r reply) {
	t.Helper()
	outcome := wire.Outcome(r.header.Get(wire.HeaderOutcome))
	if !outcome.Valid() || r.header.Get(wire.HeaderRequestID) == "" || r.status == http.StatusMisdirectedRequest || r.header.Get(wire.HeaderLeader) != "" {
		t.Errorf("%s %s: reply %d with outcome %q, request id %q, leader %q", q.method, q.path, r.status, outcome, r.header.Get(wire.HeaderRequestID), r.header.Get(wire.HeaderLeader))
	}
	escaped, _, _ := strings.Cut(q.path, "?")
	path := d.find(escaped)
	item := d.spec.Paths.Value(path)
	if item == nil || item.GetOperation(q.method) == nil {
		d.checkUnknown(t, q, r, path != "")
		return
	}
	if err := d.conforms(q, r, path); err != nil {
		t.Errorf("%s %s: reply %d does not conform to the description: %v\nheaders %v\nbody %.500s", q.method, q.path, r.status, err, r.header, r.body)
	}
	d.checkHeaders(t, q, r, item.GetOperation(q.method))
}

func (d *description) checkUnknown(t *testing.T, q request, r reply, pathKnown bool) {
	t.Helper()
	want := http.StatusNotFound
	if pathKnown {
		want = http.StatusMethodNotAllowed
	}
	if r.status != want || r.header.Get("Content-Type") != wire.ContentTypeProblem || (pathKnown && r.header.Get("Allow") == "") {
		t.Errorf("%s %s: reply %d %v, want %d with a problem body and, if 405, Allow", q.method, q.path, r.status, r.header, want)
	}
}

// conforms validates status, headers and body. Streams are validated line by line.
func (d *description) conforms(q request, r reply, path string) error {
	item := d.spec.Paths.Value(path)
	httpReq, err := http.NewRequest(q.method, "http://kvorum"+path, nil)
	if err != nil {
		return err
	}
	route := &routers.Route{Spec: d.spec, Path: path, PathItem: item, Method: q.method, Operation: item.GetOperation(q.method)}
	validate := func(body []byte, contentType string) error {
		header := r.header.Clone()
		if contentType != "" {
			header.Set("Content-Type", contentType)
		}
		return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: httpReq, Route: route},
			Status:                 r.status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
			Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
		})
	}
	if r.header.Get("Content-Type") != ndjson {
		return validate(r.body, "")
	}
	lines := bytes.Split(bytes.TrimSuffix(r.body, []byte("\n")), []byte("\n"))
	const sample = 40 // validating is slow: of long streams, the beginning and the end
	if len(lines) > 2*sample {
		lines = append(lines[:sample:sample], lines[len(lines)-sample:]...)
	}
	for _, line := range lines {
		if err := validate(line, ""); err != nil {
			return err
		}
	}
	return nil
}

const ndjson = "application/x-ndjson"

func init() {
	// Each line is handed over for itself, so a line is JSON.
	openapi3filter.RegisterBodyDecoder(ndjson, openapi3filter.JSONBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/yaml", func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		text, err := io.ReadAll(body)
		return string(text), err
	})
}

// checkHeaders: a reply carries no header of ours that the description does not list.
func (d *description) checkHeaders(t *testing.T, q request, r reply, operation *openapi3.Operation) {
	t.Helper()
	documented := operation.Responses.Status(r.status)
	if documented == nil {
		documented = operation.Responses.Default()
	}
	if documented == nil {
		return // reported by conforms
	}
	for name := range r.header {
		ours := strings.HasPrefix(name, "Kvorum-") || name == "Etag" || name == "Retry-After"
		if !ours {
			continue
		}
		found := false
		for listed := range documented.Value.Headers {
			found = found || http.CanonicalHeaderKey(listed) == name
		}
		if !found {
			t.Errorf("%s %s: reply %d carries %s, which the description does not list there", q.method, q.path, r.status, name)
		}
	}
}
