package lab

import (
	"bufio"
	"cmp"
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
	ReadmeFile   = "README.txt"
	markFile     = ".kvsim" // says that the folder is kvsim's to replace
)

// Folder is where one run leaves what it was.
type Folder struct {
	path string
	log  *os.File
	text *bufio.Writer
}

// MayMakeFolder says why MakeFolder and NewFolder would refuse: to ask before what takes long.
func MayMakeFolder(path string) error { return rig.MayBeNew(path, markFile) }

// MakeFolder makes a folder for whatever files. An existing one is replaced if kvsim wrote it, else refused.
func MakeFolder(path string) error { return rig.NewFolder(path, markFile) }

// NewFolder makes the folder of a run, as MakeFolder does.
func NewFolder(path string) (*Folder, error) {
	if err := MakeFolder(path); err != nil {
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

// Record is what is told of a run: in its folder, and on the last line that kvsim run prints.
type Record struct {
	*sim.Result
	Failed []string `json:"oracles"`         // that failed, in the order in which they first did
	Patch  *Patch   `json:"patch,omitempty"` // that the program was built with; nil: none
}

// NewRecord makes lists of what is nil: who reads them as JSON expects lists.
func NewRecord(r *sim.Result, p *Patch) *Record {
	if r.Failures == nil {
		r.Failures = []sim.Failure{}
	}
	return &Record{r, oraclesOf(r), p}
}

// readme says what to do with the folder.
func readme(path string, r *Record) string {
	patch := ""
	if r.Patch != nil {
		patch = " --patch " + r.Patch.Path
	}
	return fmt.Sprintf(`Seed %d: %s

The same again:       kvsim replay %[3]s%[4]s
Smaller, if it fails: kvsim shrink %[3]s%[4]s
To look at:           %[3]s/%[5]s/index.html

%[6]s is all that is needed to run it again with the same version of the program. %[7]s has what came of it, with
SHA-256 of the trace (everything that happened) and of the machines' memories. What nodes and world said is in %[8]s, the
operations are in %[9]s, and what the nodes' logs committed in %[10]s.
`, r.Seed, cmp.Or(r.Says(), "good"), path, patch, ReportFolder, ScheduleFile, ResultFile, LogFile, HistoryFile, CommitsFile)
}

// Finish writes schedule, result, history and the report.
func (f *Folder) Finish(s *schedule.Schedule, r *Record) error {
	history := lin.History{Model: lin.Kvorum, Operations: r.History, Annotations: r.Annotations}
	report := *r.Report
	report.Run = r.Says() // a linearizable history does not make a good run
	return errors.Join(
		f.text.Flush(), f.log.Close(),
		f.write(ReadmeFile, func(w io.Writer) error { return writeString(w, readme(f.path, r)) }),
		f.write(ScheduleFile, s.Write),
		f.write(ResultFile, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(r)
		}),
		f.write(HistoryFile, func(w io.Writer) error { return rig.WriteHistory(w, history) }),
		f.write(CommitsFile, func(w io.Writer) error { return writeCommits(w, r.Result) }),
		lin.WriteReport(context.Background(), filepath.Join(f.path, ReportFolder), history, report),
	)
}

func writeString(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
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

// ReadResult reads the result of a run folder.
func ReadResult(path string) (*Record, error) {
	b, err := os.ReadFile(filepath.Join(path, ResultFile))
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("result %s: %w", path, err)
	}
	if r.Result == nil {
		return nil, fmt.Errorf("result %s: it tells of no run", path)
	}
	return &r, nil
}
