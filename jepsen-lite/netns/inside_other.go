//go:build !linux

package netns

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
)

func possible() error { return fmt.Errorf("%w: on %s", ErrNoNamespaces, runtime.GOOS) }

func leave(*exec.Cmd) {}

// Do is not possible here.
func (n *Network) Do(string, func() error) error { return possible() }

// Dial is not possible here.
func (n *Network) Dial(context.Context, string, string) (net.Conn, error) { return nil, possible() }

// Reaches is not possible here.
func (n *Network) Reaches(context.Context, string, string) (bool, error) { return false, possible() }
