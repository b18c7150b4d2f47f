package rig

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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
		if _, err := os.Stat(filepath.Join(path, mark)); err != nil {
			return fmt.Errorf("%s exists and is no folder of an earlier run: name another with --out", path)
		}
	}
	return nil
}

// NewFolder makes the folder of a run. One that the same program wrote before is replaced, which mark tells, a file in it;
// any other that is not empty is refused.
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
	if err := os.WriteFile(filepath.Join(path, mark), nil, 0o644); err != nil {
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
