package rig

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
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
		if held := holds(path); !held && syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil {
			return fmt.Errorf("a run is under way in %s: name another folder with --out", path)
		}
	}
	return nil
}

// ours are the folders of this process's runs, each with its mark, which is locked for as long as the process lives: another run
// would take the folder for one that is over, and replace it.
var ours struct {
	sync.Mutex
	marks map[string]*os.File // by path
}

func holds(path string) bool {
	ours.Lock()
	defer ours.Unlock()
	return ours.marks[path] != nil
}

// hold locks the mark of a folder.
func hold(path, mark string) error {
	file, err := os.OpenFile(filepath.Join(path, mark), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("lock %s: %w", mark, err), file.Close())
	}
	ours.Lock()
	defer ours.Unlock()
	if ours.marks == nil {
		ours.marks = map[string]*os.File{}
	}
	if before := ours.marks[path]; before != nil {
		before.Close() // of a folder that is gone
	}
	ours.marks[path] = file
	return nil
}

// NewFolder makes the folder of a run. One that the same program wrote before is replaced, which mark tells, a file in it;
// any other that is not empty is refused, and one in which another process has a run under way.
func NewFolder(path, mark string) error {
	if err := MayBeNew(path, mark); err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("replace the folder of an earlier run: %w", err)
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
