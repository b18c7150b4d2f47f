//go:build !linux

package cluster

import "os/exec"

func endWithUs(*exec.Cmd) {}

// stopped can't be seen here: SIGSTOP is taken to have worked.
func stopped(int) error { return nil }
