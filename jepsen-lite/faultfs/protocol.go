package faultfs

import (
	"errors"
	"io"
)

// order is one line from the parent to the child that serves, answer the line that comes back. The first order is a mount.
// When the orders end, the parent has died.
type order struct {
	Do      string // mount, faults, count, off, cut, close
	Mount   string `json:",omitempty"`
	Backing string `json:",omitempty"`
	Faults  Faults
	Plan    Plan
	Seed    uint64 `json:",omitempty"`
}

type answer struct {
	Error      string `json:",omitempty"`
	Impossible bool   `json:",omitempty"` // not on this machine or by this user
	Counters   Counters
	Loss       Loss
}

// childMark is the environment variable that tells a program to serve.
const childMark = "KVORUM_FAULTFS_CHILD"

// ErrNoFUSE: this machine or user can't mount a file system of its own.
var ErrNoFUSE = errors.New("no FUSE")

// pipes are the child's standard input and output.
type pipes struct {
	in  io.Reader
	out io.Writer
}
