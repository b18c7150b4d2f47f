package rig

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	lin "github.com/kvorum/kvorum/linearizability"
)

// MayBeNew says why NewFolder would refuse to make the folder.
func MayBeNew(path, mark string) error {
	list, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("folder for the run: %w", err)
	case len(list) > 0:
		file, err := os.Open(filepath.Join(path, mark))
		if err != nil {
			return fmt.Errorf("%s exists and is no folder of an earlier run: name another with --out", path)
		}
		defer file.Close()
		lock := syscall.Flock_t{Type: syscall.F_WRLCK}
		if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err == nil && lock.Type != syscall.F_UNLCK {
			return fmt.Errorf("a run is under way in %s, of process %d: name another folder with --out", path, lock.Pid)
		}
	}
	return nil
}

// hold locks the mark of a folder for as long as the process lives: another one would take the run for one that is over, and replace
// it. The lock is the process's (fcntl), so one that runs a second time may replace its own; the descriptor stays open on purpose.
func hold(path, mark string) error {
	fd, err := syscall.Open(filepath.Join(path, mark), syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("make %s: %w", mark, err)
	}
	if err := syscall.FcntlFlock(uintptr(fd), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}); err != nil {
		return errors.Join(fmt.Errorf("lock %s: %w", mark, err), syscall.Close(fd))
	}
	return nil
}

// NewFolder makes the folder of a run. One that the same program wrote before is replaced, which mark tells, a file in it;
// any other that is not empty is refused, and one in which another process has a run under way.
func NewFolder(path, mark string) error {
	if err := MayBeNew(path, mark); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(path, mark)); err == nil { // an empty folder stays the one it is
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("replace the folder of an earlier run: %w", err)
		}
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("folder for the run: %w", err)
	}
	if err := hold(path, mark); err != nil {
		return fmt.Errorf("folder for the run: %w", err)
	}
	return nil
}

// WriteFile writes one file of a folder, buffered.
func WriteFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	b := bufio.NewWriter(file)
	if err := errors.Join(write(b), b.Flush(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	return nil
}

// WriteHistory writes operations and what happened beside them in the format that lincheck reads.
func WriteHistory(w io.Writer, h lin.History) error {
	history := lin.NewWriter(w)
	for _, o := range h.Operations {
		if err := history.Write(o); err != nil {
			return err
		}
	}
	for _, a := range h.Annotations {
		if err := history.Annotate(a); err != nil {
			return err
		}
	}
	return history.Flush()
}
