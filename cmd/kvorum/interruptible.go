package main

import (
	"context"
	"io"
)

// interruptible is a reader whose Read ends when ctx does, for streams (a terminal, a pipe) that nothing else can wake up.
// The one read that may still hang then ends with the stream or with the process.
type interruptible struct {
	ctx    context.Context
	in     io.Reader
	done   chan readResult // buffered: a read given up must not hang for ever
	buffer []byte
	rest   []byte // of buffer, read and not handed out
	err    error
}

type readResult struct {
	n   int
	err error
}

func (r *interruptible) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.buffer == nil {
			r.buffer = make([]byte, 256<<10)
		}
		go func() {
			n, err := r.in.Read(r.buffer)
			r.done <- readResult{n, err}
		}()
		select {
		case result := <-r.done:
			r.rest, r.err = r.buffer[:result.n], result.err
		case <-r.ctx.Done():
			r.err = context.Cause(r.ctx) // for good: the read under way has the buffer
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
