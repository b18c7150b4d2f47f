package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvorum/kvorum/linearizability"
)

// reportMark is the file by which a folder of an earlier report is known again.
const reportMark = ".lincheck"

// mayHoldReport says why no report is written into the folder: it holds what lincheck did not write. In one of an earlier
// report its files are replaced and others are left alone.
func mayHoldReport(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0:
		return nil
	case err != nil:
		return fmt.Errorf("report: %w", err)
	}
	if mark, err := os.Lstat(filepath.Join(dir, reportMark)); err != nil || !mark.Mode().IsRegular() {
		return fmt.Errorf("report: %s holds %s, which lincheck did not write: name a folder with --report that is new, empty or of an earlier report", dir, entries[0].Name())
	}
	for _, name := range linearizability.ReportFiles() {
		if file, err := os.Lstat(filepath.Join(dir, name)); err == nil && !file.Mode().IsRegular() {
			return fmt.Errorf("report: %s in %s is no file: lincheck did not write it; name another folder with --report", name, dir)
		}
	}
	return nil
}

// makeReportFolder makes the folder, and finds out early whether it can be written to.
func makeReportFolder(dir string) error {
	if err := mayHoldReport(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, reportMark), []byte("lincheck writes its report here\n"), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
