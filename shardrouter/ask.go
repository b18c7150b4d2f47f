package shardrouter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

// maxReplyBytes bounds the JSON replies of other nodes.
const maxReplyBytes = 16 << 20

// ask sends a small JSON request to a node and decodes its reply. in and out may be nil.
func (r *Router) ask(ctx context.Context, to target, method, path string, in, out any) error {
	_, err := r.askWith(ctx, to, http.Header{}, method, path, in, out)
	return err
}

// askWith is ask with headers, and gives those of the reply.
func (r *Router) askWith(ctx context.Context, to target, header http.Header, method, path string, in, out any) (http.Header, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("request to %s: %w", to, err)
		}
	}
	at, err := url.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("request to %s: %w", to, err)
	}
	response, err := r.send(ctx, to, call{method: method, url: *at, header: header, body: body})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := refusalOf(response); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReplyBytes))
	if err == nil && out != nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return nil, &linkError{to: to, sent: true, err: err}
	}
	return response.Header, nil
}

// refusalOf is the error that a reply of another node carries, nil if it carries none. What is no problem body of ours is
// taken as an unknown outcome.
func refusalOf(response *http.Response) error {
	if response.StatusCode < http.StatusBadRequest {
		return nil
	}
	leader := response.Header.Get(wire.HeaderLeader)
	if response.Request.Method == http.MethodHead { // such replies have no body: the status must do
		return &replica.Error{Code: codeOfStatus(response.StatusCode), Detail: "a node answered " + response.Status, Leader: leader}
	}
	var problem wire.Problem
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReplyBytes))
	if err == nil {
		err = json.Unmarshal(text, &problem)
	}
	if _, known := wire.Codes[problem.Code]; err != nil || !known {
		return &replica.Error{Code: wire.CodeInternal, Detail: fmt.Sprintf("a node answered %s: %v", response.Status, errors.Join(err, fmt.Errorf("code %q", problem.Code)))}
	}
	return &replica.Error{Code: problem.Code, Detail: problem.Detail, Leader: leader}
}

// codeOfStatus is the usual code of a status that a replica gives for a key, where the body is not looked at.
func codeOfStatus(status int) wire.Code {
	switch status {
	case http.StatusBadRequest:
		return wire.CodeInvalidRequest
	case http.StatusNotFound:
		return wire.CodeNotFound
	case http.StatusConflict:
		return wire.CodeSessionUnknown
	case http.StatusPreconditionFailed:
		return wire.CodePreconditionFailed
	case http.StatusMisdirectedRequest:
		return wire.CodeMisdirected
	case http.StatusUnprocessableEntity:
		return wire.CodeIdempotencyMismatch
	case http.StatusTooManyRequests:
		return wire.CodeOverloaded
	case http.StatusServiceUnavailable:
		return wire.CodeNotReady
	case http.StatusGatewayTimeout:
		return wire.CodeUnknownOutcome
	case http.StatusInsufficientStorage:
		return wire.CodeDiskFull
	}
	if status >= http.StatusBadRequest {
		return wire.CodeInternal
	}
	return ""
}

// problemOf is the problem body of an error.
func problemOf(err error) *wire.Problem {
	failed := replica.AsError(err)
	problem := wire.NewProblem(failed.Code, failed.Detail)
	return &problem
}
