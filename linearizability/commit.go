package linearizability

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Commit is one operation as a replicated machine executed it: one line of a commit log. The log of a shard is what its
// machines agree on, so it says what happened even where the reply was lost, and in which order.
type Commit struct {
	Shard    uint32
	Index    uint64 // of the log entry
	Position int    // within the entry, from 0
	Epoch    uint64 // that the shard owned the key in; 0 if keys never move

	Kind  Kind // a write
	Key   string
	Input Input
	// Output is what the machine made of it. Result "" says that it was refused without looking at the key (not the owner,
	// idempotency key used for another request, no room): nothing happened. A delete names its revision here.
	Output   Output
	Replayed bool // the idempotency key was known: nothing happened now, and Output is the first result again
}

// effective: did the state of the key change.
func (c *Commit) effective() bool { return c.Output.Result == OK && !c.Replayed }

// operation is the commit as an operation, for validation and for people.
func (c *Commit) operation() Operation {
	o := Operation{Kind: c.Kind, Key: c.Key, Input: c.Input, Output: c.Output, Outcome: NotApplied}
	if c.Output.Result == OK {
		o.Outcome = Applied
	}
	return o
}

// Validate reports the first thing that makes the commit meaningless.
func (c *Commit) Validate() error {
	o := c.operation()
	switch {
	case c.Kind.reads():
		return fmt.Errorf("op %q is no write", c.Kind)
	case c.Position < 0:
		return fmt.Errorf("position %d is negative", c.Position)
	case c.Replayed && c.Input.IdempotencyKey == "":
		return errors.New("replayed needs input.idempotency_key")
	case c.Output.Value != "":
		return errors.New("a write does not put out a value")
	}
	return o.Validate()
}

// String is the commit as people write it: 1/91.0 cas("b" at 7) -> ok@9.
func (c *Commit) String() string {
	o := c.operation()
	text := fmt.Sprintf("%d/%d.%d %s", c.Shard, c.Index, c.Position, &o)
	if c.Replayed {
		text += " (replayed)"
	}
	return text
}

type commitJSON struct {
	Shard     uint32     `json:"shard"`
	Index     *uint64    `json:"index"`
	Position  int        `json:"position"`
	Epoch     uint64     `json:"epoch,omitempty"`
	Op        Kind       `json:"op"`
	Key       *string    `json:"key,omitempty"`
	KeyBase64 *string    `json:"key_base64,omitempty"`
	Input     inputJSON  `json:"input"`
	Output    outputJSON `json:"output"`
	Replayed  bool       `json:"replayed,omitempty"`
}

// MarshalJSON writes the line of the commit log format, without the line feed.
func (c Commit) MarshalJSON() ([]byte, error) {
	j := commitJSON{Shard: c.Shard, Index: &c.Index, Position: c.Position, Epoch: c.Epoch, Op: c.Kind, Replayed: c.Replayed}
	j.Key, j.KeyBase64 = split(c.Key, true)
	j.Input, j.Output = marshalInput(c.Input), marshalOutput(c.Output)
	return json.Marshal(j)
}

// UnmarshalJSON reads one line and validates it. It refuses members that it does not know, but for those whose names begin
// with _: they are the recorder's own.
func (c *Commit) UnmarshalJSON(b []byte) error {
	n, _, err := decodeCommit(b)
	if err == nil {
		*c = n
	}
	return err
}

// decodeCommit also says whether a refused write's commit does not tell what refused it.
func decodeCommit(b []byte) (c Commit, untold bool, err error) {
	var in commitJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return c, false, explain(err, b)
	}
	if err := checkMembers(b, commitShape); err != nil {
		return c, false, err
	}
	switch {
	case in.Key == nil && in.KeyBase64 == nil:
		return c, false, errors.New("key is missing")
	case in.Index == nil:
		return c, false, errors.New("index is missing")
	}
	var j joiner
	c = Commit{
		Shard: in.Shard, Index: *in.Index, Position: in.Position, Epoch: in.Epoch, Kind: in.Op, Replayed: in.Replayed,
		Key: j.join("key", in.Key, in.KeyBase64), Input: j.input(in.Input), Output: j.output(in.Output),
	}
	if j.err != nil {
		return c, false, j.err
	}
	return c, in.Output.untold(), c.Validate()
}

// ReadCommits reads a whole commit log of the model Kvorum, in any order. The same commit may stand there several times,
// once for each machine that executed it. An error names the line.
func ReadCommits(r io.Reader) ([]Commit, error) { return ReadModelCommits(r, Kvorum) }

// ReadModelCommits is ReadCommits for any model.
func ReadModelCommits(r io.Reader, m Model) ([]Commit, error) {
	lines := newLineReader(r)
	var all []Commit
	for first := true; ; first = false {
		text, err := lines.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		c, isHeader, err := readCommit(text, first, m)
		switch {
		case err != nil:
			return nil, lines.wrap(err)
		case !isHeader:
			all = append(all, c)
		}
	}
}

func readCommit(text []byte, first bool, m Model) (c Commit, isHeader bool, err error) {
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return c, false, explain(err, text)
	}
	if first && h.Format != "" {
		if err := checkMembers(text, headerShape); err != nil {
			return c, false, fmt.Errorf("header: %w", err)
		}
		return c, true, h.check(commitFormat)
	}
	if h.Format != "" {
		return c, false, errors.New("the header may only be the first line")
	}
	c, untold, err := decodeCommit(text)
	if err == nil && untold && m != Register {
		err = errUntold(Kvorum)
	}
	return c, false, err
}

// CommitWriter writes a commit log line by line. Not for several goroutines at once.
type CommitWriter struct {
	lines lineWriter
}

// NewCommitWriter returns a CommitWriter that buffers; call Flush at the end.
func NewCommitWriter(w io.Writer) *CommitWriter {
	return &CommitWriter{lineWriter{w: bufio.NewWriter(w), header: header{Format: commitFormat, Version: FormatVersion}}}
}

// Write appends one commit. It refuses one that ReadCommits would refuse.
func (w *CommitWriter) Write(c Commit) error {
	err := c.Validate()
	if err == nil {
		err = w.lines.write(c)
	}
	if err != nil {
		return fmt.Errorf("commit log: %w", err)
	}
	return nil
}

// Flush writes out what is buffered.
func (w *CommitWriter) Flush() error { return w.lines.w.Flush() }
