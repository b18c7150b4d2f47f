package faultfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Mount is a mounted file system. It is safe for concurrent use. Close it: a child process serves it.
type Mount struct {
	Folder string // where it is mounted
	dir    string

	mu     sync.Mutex
	child  *child   // nil: closed
	faults Faults   // in force, over power cuts too
	before Counters // of children that have ended
}

// child is the process that serves.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser // closing it ends the child
	to  *json.Encoder
	out *json.Decoder
}

// New mounts at folder, which is made if it is missing, what dir holds; dir is the backing, Durable is in it. An error of
// ErrNoFUSE means: not possible here. The calling program must call ServeIfAsked first of all.
func New(folder, dir string) (*Mount, error) {
	if os.Getenv(childMark) != "" {
		return nil, errors.New("faultfs: this process was started to serve, and has not called ServeIfAsked")
	}
	if err := Possible(); err != nil {
		return nil, err
	}
	folder, errFolder := filepath.Abs(folder)
	dir, errDir := filepath.Abs(dir)
	if err := errors.Join(errFolder, errDir, os.MkdirAll(folder, 0o755)); err != nil {
		return nil, err
	}
	m := &Mount{Folder: folder, dir: dir}
	return m, m.start()
}

// Possible is an error of ErrNoFUSE if this machine or user can't mount a file system of its own, as far as can be told
// without trying.
func Possible() error { return possible() }

// Durable is the folder of the backing that has what was synced.
func (m *Mount) Durable() string { return filepath.Join(m.dir, "durable") }

func (m *Mount) start() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	c := &child{cmd: exec.Command(program)}
	c.cmd.Env = append(os.Environ(), childMark+"=1")
	c.cmd.Stderr = os.Stderr
	leave(c.cmd)
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.to, c.out = json.NewEncoder(c.in), json.NewDecoder(out)
	if err := c.cmd.Start(); err != nil {
		return err
	}
	if _, err := c.ask(order{Do: "mount", Mount: m.Folder, Backing: m.dir, Faults: m.faults}); err != nil {
		return errors.Join(err, c.end())
	}
	m.child = c
	return nil
}

// ask sends an order and waits for the answer.
func (c *child) ask(o order) (answer, error) {
	var a answer
	if err := c.to.Encode(o); err != nil {
		return a, fmt.Errorf("faultfs: %s: the serving process does not listen: %w", o.Do, err)
	}
	if err := c.out.Decode(&a); err != nil {
		return a, fmt.Errorf("faultfs: %s: the serving process does not answer: %w", o.Do, err)
	}
	switch {
	case a.Impossible:
		return a, fmt.Errorf("%w: %s", ErrNoFUSE, a.Error)
	case a.Error != "":
		return a, fmt.Errorf("faultfs: %s: %s", o.Do, a.Error)
	}
	return a, nil
}

// end waits for a child that has had its last order, or has none to wait for any more.
func (c *child) end() error {
	return errors.Join(c.in.Close(), c.cmd.Wait())
}

func (m *Mount) ask(o order) (answer, error) {
	if m.child == nil {
		return answer{}, errors.New("faultfs: not mounted")
	}
	return m.child.ask(o)
}

// Set puts faults in force, in place of those before.
func (m *Mount) Set(f Faults) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.ask(order{Do: "faults", Faults: f}); err != nil {
		return err
	}
	m.faults = f
	return nil
}

// Counters tells what struck so far.
func (m *Mount) Counters() (Counters, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.child == nil {
		return m.before, nil
	}
	a, err := m.ask(order{Do: "count"})
	return m.before.plus(a.Counters, 1), err
}

// PowerCut is one moment for disk and processes, at once or as the plan says: from then on no call on the disk comes back, then kill must end the
// processes that use it and wait for their end, then everything that was not synced is lost, but for what plan and seed let
// arrive, and the file system is mounted anew. The faults in force stay.
func (m *Mount) PowerCut(plan Plan, seed uint64, kill func() error) (Loss, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.ask(order{Do: "off", Plan: plan, Seed: seed}); err != nil {
		return Loss{}, err
	}
	killed := kill()
	a, err := m.ask(order{Do: "cut", Plan: plan, Seed: seed})
	if err != nil {
		return a.Loss, errors.Join(killed, err)
	}
	m.before = m.before.plus(a.Counters, 1)
	err = m.child.end()
	m.child = nil
	return a.Loss, errors.Join(killed, err, m.start())
}

// Close makes everything durable and unmounts. Processes that use the file system should have ended before. Afterwards
// Folder is empty again, and Durable has the files.
func (m *Mount) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.child == nil {
		return nil
	}
	a, err := m.ask(order{Do: "close"})
	m.before = m.before.plus(a.Counters, 1)
	err = errors.Join(err, m.child.end())
	m.child = nil
	if err != nil {
		detach(m.Folder) // a dead child's mount answers every call with an error, for ever
	}
	return err
}
