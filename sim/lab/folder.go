package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kvorum/kvorum/internal/rig"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Files of a run folder.
const (
	ScheduleFile = "schedule.json"
	ResultFile   = "result.json"
	HistoryFile  = "history.jsonl"
	LogFile      = "log.txt"
	CommitsFile  = "commits.jsonl"
	ReportFolder = "report" // index.html to begin with
	markFile     = ".kvsim" // says that the folder is kvsim's to replace
)

// Folder is where one run leaves what it was.
type Folder struct {
	path string
	log  *os.File
	text *bufio.Writer
}

// NewFolder makes the folder. An existing one is replaced if kvsim wrote it, else refused.
func NewFolder(path string) (*Folder, error) {
	if err := rig.NewFolder(path, markFile); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(path, LogFile))
	if err != nil {
		return nil, fmt.Errorf("folder for the run: %w", err)
	}
	return &Folder{path: path, log: log, text: bufio.NewWriterSize(log, 1<<20)}, nil
}

// Log gets what nodes and world say.
func (f *Folder) Log() io.Writer { return f.text }

// Finish writes schedule, result, history and the report.
func (f *Folder) Finish(s *schedule.Schedule, r *sim.Result) error {
	history := lin.History{Model: lin.Kvorum, Operations: r.History, Annotations: r.Annotations}
	report := *r.Report
	report.Run = r.Says() // a linearizable history does not make a good run
	return errors.Join(
		f.text.Flush(), f.log.Close(),
		f.write(ScheduleFile, s.Write),
		f.write(ResultFile, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(r)
		}),
		f.write(HistoryFile, func(w io.Writer) error { return rig.WriteHistory(w, history) }),
		f.write(CommitsFile, func(w io.Writer) error { return writeCommits(w, r) }),
		lin.WriteReport(context.Background(), filepath.Join(f.path, ReportFolder), history, report),
	)
}

func writeCommits(w io.Writer, r *sim.Result) error {
	commits := lin.NewCommitWriter(w)
	for _, c := range r.Commits {
		if err := commits.Write(c); err != nil {
			return err
		}
	}
	return commits.Flush()
}

func (f *Folder) write(name string, write func(io.Writer) error) error {
	return rig.WriteFile(filepath.Join(f.path, name), write)
}

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

// ReadResult reads the result of a run folder.
func ReadResult(path string) (*sim.Result, error) {
	b, err := os.ReadFile(filepath.Join(path, ResultFile))
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	var r sim.Result
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("result %s: %w", path, err)
	}
	return &r, nil
}
