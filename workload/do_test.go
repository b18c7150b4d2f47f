package workload

import (
	"context"
	"fmt"
	"testing"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/wire"
)

func TestUndeserved(t *testing.T) {
	for code := range wire.Codes {
		want := map[wire.Code]bool{
			wire.CodeInvalidRequest: true, wire.CodeNoSuchPath: true, wire.CodeMethodNotAllowed: true, wire.CodeKeyTooLong: true,
			wire.CodeValueTooLarge: true, wire.CodeIdempotencyMismatch: true, wire.CodeInternal: true,
		}[code]
		if wrong := undeserved(fmt.Errorf("put: %w", &client.Error{Code: code})); wrong != want {
			t.Errorf("%s: %t", code, wrong)
		}
	}
	for _, err := range []error{nil, context.Canceled, &client.Error{}} {
		if undeserved(err) {
			t.Errorf("%v was not deserved", err)
		}
	}
}
