package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Side is a process beside the nodes: HAProxy, or a router.
type Side struct {
	Name    string
	LogFile string // stdout and stderr, appended over restarts

	program   string
	arguments []string
	env       []string // on top of ours

	mu      sync.Mutex
	running *process // nil: not started or ended by us
}

// Start starts the process. It does not wait for anything.
func (s *Side) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return fmt.Errorf("%s runs already", s.Name)
	}
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.program, s.arguments...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.Name, err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	s.running = p
	return nil
}

// Alive is nil while the process runs.
func (s *Side) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive()
}

func (s *Side) alive() error {
	if s.running == nil {
		return fmt.Errorf("%s does not run", s.Name)
	}
	select {
	case <-s.running.ended:
		return fmt.Errorf("%s ended unasked: %v, see %s", s.Name, s.running.err, s.LogFile)
	default:
		return nil
	}
}

// Signal sends a signal to the process that was started.
func (s *Side) Signal(signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.alive(); err != nil {
		return err
	}
	return s.running.cmd.Process.Signal(signal)
}

// Kill is kill -9 of the process and all its children. It returns when the process is gone.
func (s *Side) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.alive(); err != nil {
		return err
	}
	err := syscall.Kill(-s.running.cmd.Process.Pid, syscall.SIGKILL) // endWithUs gave it a group of its own
	<-s.running.ended
	died := s.running.diedOf(syscall.SIGKILL)
	s.running = nil
	return errors.Join(err, died)
}

// Terminate is SIGTERM. It waits until the process has ended by itself, or ctx ends.
func (s *Side) Terminate(ctx context.Context) (Exit, error) {
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return Exit{}, err
	}
	start := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-ctx.Done():
		return Exit{}, fmt.Errorf("%s had not ended after %s: %w", s.Name, time.Since(start), ctx.Err())
	case <-s.running.ended:
	}
	code := s.running.cmd.ProcessState.ExitCode()
	s.running = nil
	return Exit{Code: code, Took: time.Since(start)}, nil
}

// Close kills the process if it runs. The error tells that it ended unasked.
func (s *Side) Close() error {
	s.mu.Lock()
	idle := s.running == nil
	s.mu.Unlock()
	if idle {
		return nil
	}
	return s.Kill()
}
