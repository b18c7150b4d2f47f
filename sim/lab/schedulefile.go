package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvorum/kvorum/internal/rig"
	"github.com/kvorum/kvorum/sim/schedule"
)

// ReadSchedule reads the schedule of a run folder, or a schedule file.
func ReadSchedule(path string) (*schedule.Schedule, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, ScheduleFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	defer file.Close()
	return schedule.Read(file)
}

// MayWriteSchedule says why WriteSchedule would refuse: to ask before what takes long.
func MayWriteSchedule(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(name)); err != nil {
			return fmt.Errorf("--out %s: there is no folder %s: make it first", name, filepath.Dir(name))
		}
		return nil
	case err != nil:
		return fmt.Errorf("--out: %w", err)
	case info.Mode().IsRegular() && info.Size() == 0:
		return nil // nothing is lost
	case info.Mode().IsRegular():
		if s, err := ReadSchedule(name); err == nil && s.Replicas > 0 { // other JSON may have a version, too
			return nil
		}
	}
	return fmt.Errorf("%s exists and is no schedule that kvsim wrote: name another file with --out", name)
}

// WriteSchedule writes a schedule's file. An existing one is replaced if it is a schedule, or empty, else refused.
func WriteSchedule(name string, s *schedule.Schedule) error {
	if err := MayWriteSchedule(name); err != nil {
		return err
	}
	return rig.WriteFile(name, s.Write)
}
