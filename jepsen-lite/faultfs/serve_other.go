//go:build !linux

package faultfs

import (
	"fmt"
	"os/exec"
	"runtime"
)

// ServeIfAsked does nothing here.
func ServeIfAsked() {}

func possible() error { return fmt.Errorf("%w: on %s", ErrNoFUSE, runtime.GOOS) }

func detach(string) {}

func leave(*exec.Cmd) {}
