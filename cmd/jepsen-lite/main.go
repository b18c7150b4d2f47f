// Command jepsen-lite breaks real kvorum clusters and judges what their clients saw. See jepsen-lite/README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
)

// Exit codes. They stand in the help too.
const (
	exitLinearizable = 0
	exitViolation    = 1
	exitUsage        = 2 // also: not possible here
	exitUndecided    = 3
)

const description = `Breaks a real kvorum cluster under the load of its own clients, and says whether what they saw is linearizable.

    jepsen-lite run                                     # a minute of everything that this machine can do
    jepsen-lite run --nemesis kill,pause-leader --time 5m --seed 7
    jepsen-lite sum jepsen-lite-1 jepsen-lite-7         # what several runs came to together
    jepsen-lite nemeses                                 # what there is, and what it needs

Exit codes:
  0  linearizable
  1  violation: of linearizability, by the search or by the order in which the shards executed everything; or of another promise: a node
     ended unasked, did not come back or did not end well, a shard had no leader for a minute, replicas hold different states, a disk
     lacks what was executed, a list lost an element, a weak read broke its bound
  2  wrong usage, not possible here, or the cluster did not start: no clients were let loose, and there is no last line
  3  undecided or interrupted, the search finds no order where the replay has one (one of the checkers has a bug), too few writes or
     reads, a nemesis that is not known to have taken effect, or a folder that could not be written whole`

type cli struct {
	Run     runCmd     `cmd:"" help:"Run one trial of a fresh cluster."`
	Nemeses nemesesCmd `cmd:"" help:"List the ways to break a cluster."`
	Sum     sumCmd     `cmd:"" help:"Add up what several runs came to: verdicts, strikes, times without service."`
}

// program is what commands share.
type program struct {
	ctx            context.Context
	stdout, stderr io.Writer
}

func (p *program) say(format string, args ...any) { fmt.Fprintf(p.stderr, format+"\n", args...) }

// verdictError carries an exit code.
type verdictError struct{ code int }

func (e verdictError) Error() string { return "exit " + strconv.Itoa(e.code) }

// usageError is one that the help may help with.
type usageError struct{ error }

func main() {
	faultfs.ServeIfAsked() // this program is started again for each disk that can be broken
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once; the nodes end with it
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("jepsen-lite"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoAppDescFormat: true, WrapUpperBound: 120}))
	if err != nil {
		fmt.Fprintln(stderr, "jepsen-lite:", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err == nil {
		err = parsed.Run(&program{ctx, stdout, stderr})
	} else {
		err = usageError{err}
	}
	var verdict verdictError
	switch {
	case err == nil:
		return exitLinearizable
	case errors.As(err, &verdict):
		return verdict.code
	}
	fmt.Fprintf(stderr, "jepsen-lite: %v\n", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(stderr, "Try 'jepsen-lite --help'.")
	}
	return exitUsage
}
