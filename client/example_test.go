package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/wire"
)

func Example() {
	node := httptest.NewServer(tinyStore()) // stands for a cluster: use http://127.0.0.1:8080 with `kvorum dev`
	defer node.Close()

	c, err := client.New(client.Config{Endpoints: []string{node.URL}, AutoIdempotency: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	written, err := c.Put(ctx, "user:a", []byte("Ada"))
	switch {
	case err == nil:
		fmt.Println("stored at revision", written.Revision)
	case errors.Is(err, client.ErrUnknownOutcome):
		fmt.Println("may or may not be stored:", err)
	default:
		fmt.Println("not stored:", err)
	}
	item, err := c.Get(ctx, "user:a")
	fmt.Println(string(item.Value), item.Receipt.Node, err)
	_, err = c.Get(ctx, "user:b")
	fmt.Println(errors.Is(err, client.ErrNotFound))
	// Output:
	// stored at revision 1
	// Ada s1n0 <nil>
	// true
}

// tinyStore keeps one key.
func tinyStore() http.Handler {
	var value []byte
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderOutcome, string(wire.Applied))
		w.Header().Set(wire.HeaderNode, "s1n0")
		w.Header().Set("ETag", `"1"`)
		switch {
		case r.Method == http.MethodPut:
			value, _ = io.ReadAll(r.Body)
		case r.URL.Path == "/v1/kv/user:a":
			_, _ = w.Write(value)
		default:
			p := wire.NewProblem(wire.CodeNotFound, "there is no such key")
			p.Outcome = wire.Applied
			p.Write(w)
		}
	})
}
