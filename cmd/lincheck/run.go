package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/kvorum/kvorum/linearizability"
)

// Exit codes. They stand in the help too.
const (
	exitLinearizable = 0
	exitViolation    = 1
	exitUsage        = 2 // also a file that can't be read, and of a linearizable history a report that can't be written
	exitUndecided    = 3 // also: the two methods contradict each other
)

const description = `Say whether a recorded history of a key-value store is linearizable.

    lincheck history.jsonl
    lincheck --commits commits.jsonl --report out/ history.jsonl
    lincheck jepsen/store/latest/history.edn

The formats are described in linearizability/README.md. Interrupted, it says
what is undecided. A history in which nothing can be judged, such as an empty
one, is undecided.

Exit codes:
  0  linearizable
  1  violation
  2  wrong usage, a file that can't be read, or a report that can't be written
     (a violation stays 1, undecided stays 3)
  3  undecided: time or memory did not suffice, or nothing was judged; or error:
     the two methods contradict each other, so one of the checkers has a bug
"go run" makes 1 of all but 0; a program built with "go build ./cmd/lincheck" does not.`

// cli is the whole command line, as kong reads it.
type cli struct {
	Model   string        `enum:",register,kvorum" default:"" placeholder:"register|kvorum" help:"What a key is: a plain register, or one with kvorum's revisions. Default: what the file says, else kvorum; register for EDN."`
	Format  string        `enum:",jsonl,edn" default:"" placeholder:"jsonl|edn" help:"Of FILE. Default: edn if its name ends in .edn, else jsonl."`
	Commits string        `placeholder:"FILE" help:"The complete commit log of the machines: judge by its order, too."`
	Report  string        `placeholder:"DIR" help:"Write pages for people here: index.html, search.html, report.txt. The folder is new, empty or of an earlier report."`
	Timeout time.Duration `default:"5m" help:"For the whole check; what is not decided by then is undecided. 0: none."`
	Memory  int64         `default:"1024" placeholder:"MiB" help:"Bound of what the search remembers (default 1024)."`
	Workers int           `placeholder:"N" help:"Keys judged at once. Default: one for each CPU."`
	File    string        `arg:"" help:"The history; - is standard input."`
}

// exitRequest carries kong's wish to exit (after --help) up to run, as kong does not return by itself then.
type exitRequest int

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			request, ok := r.(exitRequest)
			if !ok {
				panic(r)
			}
			code = int(request)
		}
	}()
	var c cli
	parser, err := kong.New(&c, kong.Name("lincheck"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitRequest(code)) }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoAppDescFormat: true, WrapUpperBound: 120}))
	if err == nil {
		_, err = parser.Parse(args)
	}
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		fmt.Fprintf(stderr, "lincheck: %v\nTry 'lincheck --help'.\n", err)
		return exitUsage
	}
	verdict, err := c.check(ctx, stdin, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "lincheck:", err)
		if verdict == "" || verdict == linearizability.Linearizable {
			return exitUsage
		}
	}
	return exitCode(verdict)
}

func (c *cli) validate() error {
	switch {
	case c.edn() && c.Model == string(linearizability.Kvorum):
		return errors.New("a history in EDN is one of registers: it has no revisions")
	case c.Timeout < 0:
		return fmt.Errorf("--timeout %s is negative", c.Timeout)
	case c.Memory <= 0 || c.Memory > 1<<40:
		return fmt.Errorf("--memory %d is out of range", c.Memory)
	case c.Workers < 0:
		return fmt.Errorf("--workers %d is negative", c.Workers)
	}
	return nil
}

func (c *cli) edn() bool {
	return c.Format == "edn" || c.Format == "" && strings.EqualFold(filepath.Ext(c.File), ".edn")
}

func exitCode(v linearizability.Verdict) int {
	switch v {
	case linearizability.Linearizable:
		return exitLinearizable
	case linearizability.Violation:
		return exitViolation
	}
	return exitUndecided
}

// check gives a verdict also with an error, when it was the telling that failed.
func (c *cli) check(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (linearizability.Verdict, error) {
	if c.Report != "" {
		if err := mayHoldReport(c.Report); err != nil {
			return "", err
		}
	}
	history, err := c.read(stdin)
	if err != nil {
		return "", err
	}
	opt := linearizability.Options{Model: history.Model, Timeout: c.Timeout, MaxMemory: c.Memory << 20, Workers: c.Workers}
	if c.Commits != "" {
		if opt.Commits, err = readCommits(c.Commits, history.Model); err != nil {
			return "", err
		}
	}
	if c.Report != "" { // a check may take long: what can't be written is said before it
		if err := makeReportFolder(c.Report); err != nil {
			return "", err
		}
	}
	bar := newProgress(stderr)
	opt.Progress = bar.update
	report := linearizability.Check(ctx, history.Operations, opt)
	bar.finish()
	report.Advice = c.advice(report)
	if report.Verdict == linearizability.Disagreement {
		fmt.Fprintln(stderr, "lincheck: THE TWO METHODS CONTRADICT EACH OTHER: one of the checkers has a bug. Please report this history.")
	}
	err = report.WriteSummary(stdout)
	if c.Report != "" {
		err = errors.Join(err, linearizability.WriteReport(context.WithoutCancel(ctx), c.Report, history, report))
	}
	return report.Verdict, err
}

func (c *cli) read(stdin io.Reader) (h linearizability.History, err error) {
	in := stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return h, err
		}
		defer file.Close()
		in = file
	}
	if c.edn() {
		h, err = linearizability.ReadEDN(in)
	} else {
		h, err = linearizability.ReadHistory(in, linearizability.Model(c.Model))
	}
	if err != nil {
		return h, fmt.Errorf("%s: %w", c.File, err)
	}
	return h, nil
}

// readCommits never gives nil without an error: an empty commit log says that nothing was committed.
func readCommits(name string, m linearizability.Model) ([]linearizability.Commit, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	commits, err := linearizability.ReadModelCommits(file, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if commits == nil {
		commits = []linearizability.Commit{}
	}
	return commits, nil
}
