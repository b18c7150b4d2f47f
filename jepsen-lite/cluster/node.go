package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Node is one `kvorum serve`: the same name, ports, data folder and log file however often it is started.
type Node struct {
	Name    string
	Shard   uint32
	API     string // host:port
	Peer    string // host:port
	Data    string // folder
	LogFile string // stdout and stderr, appended over restarts

	binary string
	before []string // Place.Command
	flags  []string
	http   *http.Client

	mu      sync.Mutex
	running *process // nil: not started or ended by us
	paused  bool
	buried  int // ends that Bury has accounted for
}

// process is one run. ended is closed by the one goroutine that waits for it.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // from Wait; read after ended
}

// Flags gives a copy of the flags that Start uses.
func (n *Node) Flags() []string { return slices.Clone(n.flags) }

// SetFlags replaces or adds flags for the next Start; later flags win.
func (n *Node) SetFlags(flags ...string) { n.flags = append(n.flags, flags...) }

// line is the command line, with more flags.
func (n *Node) line(more ...string) []string {
	return slices.Concat(n.before, []string{n.binary, "serve"}, n.flags, more)
}

// Start starts the process. It does not wait for it to be ready.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running != nil {
		return fmt.Errorf("%s runs already", n.Name)
	}
	log, err := os.OpenFile(n.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	line := n.line()
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	n.running, n.paused = p, false
	return nil
}

// Run starts the node with its flags and more, and waits for it to end by itself: for starts that must be refused.
func (n *Node) Run(ctx context.Context, flags ...string) (exitCode int, output string, err error) {
	return n.RunAs(ctx, nil, flags...)
}

// RunAs is Run as another user (nil: the same). It needs root.
func (n *Node) RunAs(ctx context.Context, user *syscall.Credential, flags ...string) (exitCode int, output string, err error) {
	line := n.line(flags...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	endWithUs(cmd)
	if user != nil {
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.Credential = user
	}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return 0, string(out), fmt.Errorf("%s still ran when the time was up: %w", n.Name, ctx.Err())
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(out), nil
	}
	return 0, string(out), err
}

// Running reports whether the process was started and has not been ended by us, paused or not.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running != nil
}

// Answers reports whether the process runs and is not paused.
func (n *Node) Answers() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running != nil && !n.paused
}

// Kill is kill -9. It returns when the process is gone.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.alive()
	if err != nil {
		return err
	}
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", n.Name, err)
	}
	<-p.ended
	n.running, n.paused = nil, false
	n.http.CloseIdleConnections()
	if err := p.diedOf(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", n.Name, err)
	}
	return nil
}

// Pause is SIGSTOP. It returns when every thread has stopped, as far as the system tells.
func (n *Node) Pause(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.alive()
	if err != nil {
		return err
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pause %s: %w", n.Name, err)
	}
	n.paused = true
	return WaitFor(ctx, n.Name+" to stop", func(context.Context) error { return stopped(p.cmd.Process.Pid) })
}

// Resume is SIGCONT.
func (n *Node) Resume() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.alive()
	if err != nil {
		return err
	}
	n.paused = false
	return p.cmd.Process.Signal(syscall.SIGCONT)
}

// Exit is how a process ended.
type Exit struct {
	Code int // -1: by a signal
	Took time.Duration
}

// Terminate is SIGTERM. It waits until the process has ended by itself, or ctx ends.
func (n *Node) Terminate(ctx context.Context) (Exit, error) {
	n.mu.Lock()
	p, err := n.alive()
	n.mu.Unlock()
	if err != nil {
		return Exit{}, err
	}
	start := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return Exit{}, fmt.Errorf("terminate %s: %w", n.Name, err)
	}
	return n.wait(ctx, p, start)
}

func (n *Node) wait(ctx context.Context, p *process, start time.Time) (Exit, error) {
	select {
	case <-ctx.Done():
		return Exit{}, fmt.Errorf("%s had not ended after %s: %w", n.Name, time.Since(start), ctx.Err())
	case <-p.ended:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running, n.paused = nil, false
	n.http.CloseIdleConnections()
	return Exit{Code: p.cmd.ProcessState.ExitCode(), Took: time.Since(start)}, nil
}

// alive returns the process, or an error when it does not run or ended unasked. The caller holds mu.
func (n *Node) alive() (*process, error) {
	if n.running == nil {
		return nil, fmt.Errorf("%s does not run", n.Name)
	}
	select {
	case <-n.running.ended:
		return nil, fmt.Errorf("%s ended unasked: %v, see %s", n.Name, n.running.err, n.LogFile)
	default:
		return n.running, nil
	}
}

// close kills the process if it runs. The error tells that it ended unasked.
func (n *Node) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil {
		return nil
	}
	p, err := n.alive()
	if err == nil {
		_ = p.cmd.Process.Kill() // it may end at this very moment
		<-p.ended
	}
	n.running = nil
	n.http.CloseIdleConnections()
	return err
}
