package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// rawServer speaks HTTP/1.1 by hand. answer gets the count of requests so far (from 1); "" closes the connection after the
// request was read, which is what http.Transport likes to repair by sending it again.
type rawServer struct {
	net.Listener
	mu       sync.Mutex
	requests []string // method and target as they stood on the wire
}

func listenRaw(t *testing.T, answer func(n int) string) *rawServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{Listener: l}
	var running sync.WaitGroup
	t.Cleanup(func() { l.Close(); running.Wait() })
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.talk(conn, answer) })
		}
	})
	return s
}

func (s *rawServer) talk(conn net.Conn, answer func(n int) string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		length := 0
		for h := "-"; strings.TrimSpace(h) != ""; {
			if h, err = in.ReadString('\n'); err != nil {
				return
			}
			if name, text, _ := strings.Cut(h, ":"); strings.EqualFold(name, "Content-Length") {
				length = int(parseNumber(strings.TrimSpace(text), 32))
			}
		}
		if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, strings.TrimSuffix(strings.TrimSpace(line), " HTTP/1.1"))
		n := len(s.requests)
		s.mu.Unlock()
		text := answer(n)
		if text == "" {
			return
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

func (s *rawServer) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

const rawOK = "HTTP/1.1 200 OK\r\nKvorum-Outcome: applied\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n"

// The first request leaves a kept connection. On it the server takes the second and hangs up. http.Transport would replay
// it for some methods and headers: with a body, without, keyed or not, it must go out once per attempt of ours.
func TestTransportNeverReplays(t *testing.T) {
	tests := map[string]write{
		"put":       put,
		"empty put": func(ctx context.Context, c *Client) error { _, err := c.Put(ctx, "k", nil); return err },
		"delete":    del,
		"keyed put": keyedPut,
		"keyed empty put": func(ctx context.Context, c *Client) error {
			_, err := c.Put(ctx, "k", nil, IdempotencyKey("a"))
			return err
		},
		"keyed delete": func(ctx context.Context, c *Client) error {
			_, err := c.Delete(ctx, "k", IdempotencyKey("a"))
			return err
		},
		"batch": func(ctx context.Context, c *Client) error {
			_, err := c.Batch(ctx, []wire.BatchOperation{{Op: "put", Key: []byte("k")}})
			return err
		},
		"transfer": func(ctx context.Context, c *Client) error { _, err := c.TransferLeader(ctx, 1, ""); return err },
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listenRaw(t, func(n int) string {
				if n == 1 {
					return rawOK
				}
				return ""
			})
			c := connect(t, func(c *Config) { c.Retry.MaxAttempts = 1 }, "http://"+s.Addr().String())
			if _, err := c.Get(testContext(t), "warm"); err != nil && !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
			c.config.Retry.MaxAttempts = 1
			err := do(testContext(t), c)
			if !errors.Is(err, ErrUnknownOutcome) {
				t.Errorf("want unknown: %v", err)
			}
			if seen := s.seen(); len(seen) != 2 {
				t.Errorf("%d requests on the wire, want 2: %q", len(seen), seen)
			}
		})
	}
}

// The same on the header's side: the key must reach the server under its name all the same.
func TestIdempotencyKeyArrives(t *testing.T) {
	c, s := serve(t, nil, done(200))
	if err := keyedPut(testContext(t), c); err != nil {
		t.Fatal(err)
	}
	if got := s.requests()[0].header.Get(wire.HeaderIdempotencyKey); got != "id-1" {
		t.Fatalf("%s: %q", wire.HeaderIdempotencyKey, got)
	}
	auto, s := serve(t, func(c *Config) { c.AutoIdempotency = true }, hangUp, done(200))
	if err := put(testContext(t), auto); err != nil {
		t.Fatal(err)
	}
	first, second := s.requests()[0].header.Get(wire.HeaderIdempotencyKey), s.requests()[1].header.Get(wire.HeaderIdempotencyKey)
	if len(first) != 32 || first != second {
		t.Fatalf("keys %q and %q", first, second)
	}
}

// A connection that breaks in the middle of a value is no value.
func TestCutValue(t *testing.T) {
	c, _ := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		value("half")(w, r)
		panic(http.ErrAbortHandler)
	}, value("whole"))
	item, err := c.Get(testContext(t), "k")
	if err != nil || string(item.Value) != "whole" {
		t.Fatalf("%q, %v", item.Value, err)
	}
}
