// Package rig is what the programs that put kvorum to the test share: the folder that a run leaves behind, times as people
// write them, and the checkout from which they build the node.
package rig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Root is the folder of the module that the working folder is in.
func Root() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("working folder: %w", err)
	}
	for at := folder; ; at = filepath.Dir(at) {
		if b, err := os.ReadFile(filepath.Join(at, "go.mod")); err == nil && bytes.HasPrefix(b, []byte("module github.com/kvorum/kvorum\n")) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not in a checkout of kvorum, from which the node is built", folder)
		}
	}
}

// Duration is written as Go writes it: 1.5s.
type Duration time.Duration

// String is the time as it is written.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	*d = Duration(v)
	return nil
}
