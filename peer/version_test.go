package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOtherVersionIsRefusedInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		defer s.Close()
		conn := port.dial()
		defer conn.Close()
		frame := appendFrame(nil, typeHello, make([]byte, 40000))
		frame[4] = 9
		if _, err := conn.Write(frame); err != nil { // a pipe's Write returns when all was read
			t.Fatalf("the hello was not read to its end: %v", err)
		}
		payload, err := readFrame(conn, typeAnswer)
		if err != nil {
			t.Fatal(err)
		}
		a, err := decodeAnswer(payload)
		if err != nil || a.refusal == nil || a.refusal.Reason != BadVersion || !strings.Contains(a.refusal.Detail, "version 9") {
			t.Fatalf("got %+v, %v, want %v", a.refusal, err, BadVersion)
		}
	})
}

func TestAnswerOfAnotherVersion(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		defer there.Close()
		_, _ = readFrame(there, typeHello)
		frame := appendFrame(nil, typeAnswer, []byte("whatever comes later"))
		frame[4] = 2
		_, _ = there.Write(frame)
	}()
	_, err := greet(t.Context(), here, beta, Raft, Target{})
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Reason != BadVersion {
		t.Fatalf("got %v, want %v", err, BadVersion)
	}
}

// TestNoDeadlineIsLeft: a raft connection may be silent for longer than a handshake takes.
func TestNoDeadlineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, port := servePipes(nil)
		defer s.Close()
		out := port.dial()
		defer out.Close()
		ctx, cancel := context.WithTimeout(t.Context(), handshakeTimeout)
		if _, err := greet(ctx, out, beta, Raft, Target{}); err != nil {
			t.Fatal(err)
		}
		cancel()
		in, err := s.Listener(Raft).Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		time.AfterFunc(time.Hour, func() {
			_, _ = io.WriteString(out, "still")
			_, _ = io.WriteString(out, "here")
		})
		got := make([]byte, 9)
		if _, err := io.ReadFull(in, got); err != nil || string(got) != "stillhere" {
			t.Fatalf("after an hour: %q, %v", got, err)
		}
		go func() { _, _ = io.WriteString(in, "back") }()
		if _, err := io.ReadFull(out, got[:4]); err != nil || string(got[:4]) != "back" {
			t.Fatalf("after an hour, the other way: %q, %v", got[:4], err)
		}
	})
}
