package cluster

import (
	"errors"
	"fmt"
	"syscall"
)

// Pid is the process id of the node while it runs, else 0.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil {
		return 0
	}
	return n.running.cmd.Process.Pid
}

// Stopped is nil while every thread of the node stands still, as far as the system tells.
func (n *Node) Stopped() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.alive()
	if err != nil {
		return err
	}
	return stopped(p.cmd.Process.Pid)
}

// Pid is the process id while it runs, else 0.
func (s *Side) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return 0
	}
	return s.running.cmd.Process.Pid
}

// diedOf is an error unless the process, which has ended, was ended by the signal.
func (p *process) diedOf(signal syscall.Signal) error {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		return errors.New("the system does not tell how it ended")
	}
	if !status.Signaled() || status.Signal() != signal {
		return fmt.Errorf("it ended by itself: %s", p.cmd.ProcessState)
	}
	return nil
}
