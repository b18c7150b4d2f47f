package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/wire"
)

// Exit codes. They stand in the help too.
const (
	exitOK         = 0
	exitFailed     = 1 // an error, or the operation was not applied
	exitUsage      = 2 // wrong flags or arguments
	exitUnknown    = 3 // a write may or may not have taken effect, now or later
	exitNotMatched = 4 // no such key, or the condition did not hold
)

const description = `A sharded, replicated, linearizable key-value store with an HTTP API.

Try it:

    kvorum dev                      # a whole cluster in this process
    curl -X PUT -d Ada 127.0.0.1:8080/v1/kv/user:a
    curl 127.0.0.1:8080/v1/kv/user:a
    kvorum put user:b Bob && kvorum list && kvorum cluster status

Flags of servers, and those that say how to reach the cluster, can also be
given as environment variables (--max-requests is KVORUM_MAX_REQUESTS) or in
the YAML file of --config (max-requests: 100). The command line wins over the
environment, and that over the file. Durations have a unit: 500ms, 10s, 2m.

Exit codes:
  0  done
  1  an error, or the operation was not applied
  2  wrong usage
  3  the outcome of a write is unknown: it may or may not have taken effect
  4  no such key, or the condition did not hold`

// cli is the whole command line, as kong reads it.
type cli struct {
	Config      string      `placeholder:"FILE" help:"Read flags from this YAML file."`
	ShowVersion versionFlag `name:"version" help:"Print the version."`

	Dev    devCmd    `cmd:"" group:"server" help:"Run a whole cluster in this process, to try things out."`
	Serve  serveCmd  `cmd:"" group:"server" help:"Run one node of a cluster."`
	Router routerCmd `cmd:"" group:"server" help:"Run a router: any key, no data; keeps HAProxy in step with the cluster."`

	Put    putCmd    `cmd:"" group:"data" help:"Store a value, whether or not the key is there."`
	Get    getCmd    `cmd:"" group:"data" help:"Print a key's value."`
	Update updateCmd `cmd:"" group:"data" help:"Replace the value of a key that is there."`
	Delete deleteCmd `cmd:"" group:"data" help:"Delete a key."`
	List   listCmd   `cmd:"" group:"data" help:"List keys and values in order."`
	Import importCmd `cmd:"" group:"data" help:"Store the lines of a file."`

	Cluster clusterCmd `cmd:"" group:"operation" help:"Look at the cluster and steer it."`
	Health  healthCmd  `cmd:"" group:"operation" help:"Exit with 0 if a health URL answers 200, for containers without a shell."`
	Version versionCmd `cmd:"" group:"operation" help:"Print the version."`
}

// program is what a command may touch of the outside.
type program struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
}

// input is standard input, given up when the program is interrupted.
func (p *program) input() io.Reader {
	return &interruptible{ctx: p.ctx, in: p.stdin, done: make(chan readResult, 1)}
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
	parser, err := newParser(&c, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "kvorum:", err)
		return exitUsage
	}
	if len(args) > 0 && args[0] == "help" { // what everybody tries first: help, or help COMMAND
		args = append(slices.Clone(args[1:]), "--help")
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "kvorum: %s\nTry 'kvorum %s--help'.\n", oneLine(err), commandOf(err))
		return exitUsage
	}
	if err := command.Run(&program{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr}); err != nil {
		fmt.Fprintln(stderr, "kvorum:", oneLine(err))
		return exitCode(err)
	}
	return exitOK
}

func newParser(c *cli, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("kvorum"),
		kong.Description(description),
		kong.PostBuild(nameVariables),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration)),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitRequest(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, NoAppDescFormat: true, WrapUpperBound: 120}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "server", Title: "Servers:"},
			{Key: "data", Title: "Data:"},
			{Key: "operation", Title: "Operation:"},
			{Key: "connection", Title: "Connection:"},
			{Key: "identity", Title: "Who this node is:"},
			{Key: "haproxy", Title: "HAProxy in front:"},
			{Key: "limits", Title: "Limits:"},
			{Key: "timing", Title: "Times:"},
			{Key: "logging", Title: "Logging:"},
			{Key: "raft", Title: "Raft:"},
			{Key: "batch", Title: "Batching of writes:"},
			{Key: "reads", Title: "Reads:"},
			{Key: "disk", Title: "Disk:"},
		}),
	)
}

// usageError is an error of arguments that only the command itself can find.
type usageError struct{ error }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// exitCode maps an error to the documented codes.
func exitCode(err error) int {
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, client.ErrUnknownOutcome):
		return exitUnknown
	case errors.Is(err, client.ErrNotFound), errors.Is(err, client.ErrPreconditionFailed):
		return exitNotMatched
	}
	return exitFailed
}

// commandOf names the command of a usage error, with a trailing space, so that the hint leads to the right help.
func commandOf(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Command() != "" {
		name, _, _ := strings.Cut(parse.Context.Command(), " <")
		return name + " "
	}
	return ""
}

// oneLine keeps an error on one line, with what to do next where the outcome asks for it.
func oneLine(err error) string {
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	var e *client.Error
	if !errors.As(err, &e) {
		return text
	}
	switch {
	case e.Outcome == wire.Unknown:
		return text + "; read the key to see, or repeat the command with the same --idempotency-key"
	case e.Status == 0 && errors.Is(err, client.ErrUnavailable):
		return text + "; is a node running there? give another address with --endpoint, or start one with 'kvorum dev'"
	}
	return text
}
