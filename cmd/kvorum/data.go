package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/wire"
)

type putCmd struct {
	valueArgument `embed:""`
	writing       `embed:""`
	IfAbsent      bool `xor:"condition" help:"Only if the key is not there (create)."`
	IfPresent     bool `xor:"condition" help:"Only if the key is there (update)."`
	connection    `embed:""`
}

// Run stores a value.
func (c *putCmd) Run(p *program) error {
	options := c.options()
	switch {
	case c.IfRevision != nil && (c.IfAbsent || c.IfPresent):
		return usagef("give one of --if-revision, --if-absent and --if-present")
	case c.IfAbsent:
		options = append(options, client.IfAbsent())
	case c.IfPresent:
		options = append(options, client.IfPresent())
	}
	return c.store(p, c.valueArgument, options)
}

type updateCmd struct {
	valueArgument `embed:""`
	writing       `embed:""`
	connection    `embed:""`
}

// Run replaces a value.
func (c *updateCmd) Run(p *program) error {
	err := c.store(p, c.valueArgument, append([]client.Option{client.IfPresent()}, c.options()...))
	var failure *client.Error
	if errors.As(err, &failure) {
		failure.Operation = "update" // a put to the client
		if errors.Is(err, client.ErrPreconditionFailed) && failure.Problem != nil && failure.Problem.Revision == 0 {
			failure.Detail = "the key is absent: 'kvorum put' creates it"
		}
	}
	return err
}

// store puts the value of v and says what came of it.
func (c connection) store(p *program, v valueArgument, options []client.Option) error {
	value, err := v.read(p)
	if err != nil {
		return err
	}
	kv, err := c.open(exactlyOnce)
	if err != nil {
		return err
	}
	defer kv.Close()
	written, err := kv.Put(p.ctx, v.Key, value, options...)
	if err != nil {
		return err
	}
	verb := "replaced"
	if written.Created {
		verb = "created"
	}
	_, err = fmt.Fprintf(p.stdout, "%s %s at revision %d (shard %d, node %s)\n", verb, printable(v.Key), written.Revision, written.Receipt.Shard, written.Receipt.Node)
	return err
}

type getCmd struct {
	Key        string `arg:"" help:"The key."`
	JSON       bool   `name:"json" help:"Print key, value and revision as one line of JSON."`
	Receipt    bool   `help:"Say on standard error who answered, and how fresh the answer is."`
	reading    `embed:""`
	connection `embed:""`
}

// Run prints a value as it is; on a terminal it ends the line.
func (c *getCmd) Run(p *program) error {
	kv, err := c.openReader(c.reading)
	if err != nil {
		return err
	}
	defer kv.Close()
	item, err := kv.Get(p.ctx, c.Key)
	var failure *client.Error
	if errors.As(err, &failure) {
		item.Receipt = failure.Receipt // that there is no such key has a receipt too
	}
	if r := item.Receipt; c.Receipt && r.Node != "" {
		fmt.Fprintf(p.stderr, "revision %d, shard %d, node %s, epoch %d, term %d, index %d, %s\n", item.Revision, r.Shard, r.Node, r.Epoch, r.Term, r.Index, r.Consistency)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(wire.Entry{Key: []byte(item.Key), Value: item.Value, Revision: item.Revision})
	}
	if isTerminal(p.stdout) && !bytes.HasSuffix(item.Value, []byte("\n")) {
		item.Value = append(item.Value, '\n')
	}
	_, err = p.stdout.Write(item.Value)
	return err
}

func (c connection) openReader(r reading) (*client.Client, error) {
	var refused error
	kv, err := c.open(func(config *client.Config) { refused = r.apply(config) })
	if refused != nil {
		return nil, refused
	}
	return kv, err
}

type deleteCmd struct {
	Key        string `arg:"" help:"The key."`
	writing    `embed:""`
	connection `embed:""`
}

// Run deletes a key.
func (c *deleteCmd) Run(p *program) error {
	kv, err := c.open(exactlyOnce)
	if err != nil {
		return err
	}
	defer kv.Close()
	written, err := kv.Delete(p.ctx, c.Key, c.options()...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "deleted %s (shard %d, node %s)\n", printable(c.Key), written.Receipt.Shard, written.Receipt.Node)
	return err
}

type listCmd struct {
	Prefix     string `help:"Only keys that begin so."`
	Limit      int    `placeholder:"N" help:"At most so many keys."`
	KeysOnly   bool   `help:"Print no values."`
	JSON       bool   `name:"json" help:"Print a line of JSON per key, which 'kvorum import' takes back."`
	reading    `embed:""`
	connection `embed:""`
}

// Run lists keys, a line each. What would break a line is quoted.
func (c *listCmd) Run(p *program) error {
	if c.Limit < 0 {
		return usagef("--limit %d is negative", c.Limit)
	}
	kv, err := c.openReader(c.reading)
	if err != nil {
		return err
	}
	defer kv.Close()
	out := bufio.NewWriter(p.stdout)
	if err := c.print(p.ctx, kv, out); err != nil {
		_ = out.Flush() // what was read before the failure is still of use
		return err
	}
	return out.Flush()
}

func (c *listCmd) print(ctx context.Context, kv *client.Client, out *bufio.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for item, err := range kv.List(ctx, client.ListOptions{Prefix: c.Prefix, Limit: c.Limit}) {
		if err != nil {
			return err
		}
		switch {
		case c.JSON:
			err = encoder.Encode(wire.Entry{Key: []byte(item.Key), Value: item.Value, Revision: item.Revision})
		case c.KeysOnly:
			_, err = fmt.Fprintln(out, printable(item.Key))
		default:
			_, err = fmt.Fprintf(out, "%s\t%s\n", printable(item.Key), printable(string(item.Value)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printable quotes what would not stand on one line as it is.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if quoted == `"`+s+`"` && s != "" {
		return s
	}
	return quoted
}
