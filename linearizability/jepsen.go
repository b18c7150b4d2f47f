package linearizability

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// jepsenKey is the key of a history of one register.
const jepsenKey = "register"

// ReadEDN reads a history of registers as Jepsen writes it: maps {:process 0, :type :invoke, :f :cas, :value [1 2]}, one
// after another or in one vector, tagged or not. Types are invoke, ok, fail (did not happen) and info (unknown; so is an
// operation that never returned), :f is read, write or cas, nil means absent. Values of several registers are [key value];
// or the key is in :key, of the invocation at least. A completion has the :f of its invocation, an ok also its value. The
// order of the lines is that of events; :time, in nanoseconds, is kept where it agrees. A process is a number; what
// :nemesis did becomes annotations. Errors name the line.
func ReadEDN(r io.Reader) (History, error) {
	j := &jepsen{in: newEDNReader(r), pending: map[int]invocation{}, history: History{Model: Register}}
	err := j.begin()
	if err == nil {
		err = j.run()
	}
	if err != nil {
		return History{}, fmt.Errorf("line %d: %w", j.in.line, err)
	}
	j.nemesis.end(j.now)
	j.history.Annotations = j.nemesis.annotations
	return j.history, nil
}

type jepsen struct {
	in      *ednReader
	now     int64
	pending map[int]invocation // by process
	nemesis nemesis
	history History
}

// invocation is what has to come back.
type invocation struct {
	place int // of its operation in the history
	f     ednAtom
	keyed bool // by :key, so that values are whole
	key   string
	value any
}

// begin refuses a file that is no EDN before it gives odd errors.
func (j *jepsen) begin() error {
	if err := beginText(j.in.in); err != nil {
		return err
	}
	head, _ := j.in.in.Peek(64) // an error comes again when it is read
	if bare := strings.TrimLeft(string(head), " \t\r\n["); strings.HasPrefix(strings.Replace(bare, " ", "", 1), `{"`) {
		return errors.New("this looks like JSON and is no EDN of Jepsen's: lincheck reads JSON lines with --format jsonl")
	}
	return nil
}

func (j *jepsen) run() error {
	for {
		c, err := j.in.untagged()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
		case c == '[':
			err = j.vector(']')
		case c == '(':
			err = j.vector(')')
		default:
			j.in.unread(c)
			v, wrong := j.in.value(0)
			if errors.Is(wrong, io.EOF) {
				return nil // behind something left out
			}
			if err = wrong; err == nil {
				err = j.event(v)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (j *jepsen) vector(closing byte) error {
	for {
		more, err := j.in.more(closing)
		if err != nil || !more {
			return err
		}
		v, err := j.in.inner(1)
		if err == nil {
			err = j.event(v)
		}
		if err != nil {
			return err
		}
	}
}

// event takes in one line of the history.
func (j *jepsen) event(v any) error {
	m, ok := v.(ednMap)
	if !ok {
		return fmt.Errorf("%s is no map", ednShort(v))
	}
	j.now++
	if t, ok := m.get(":time").(ednAtom); ok {
		if n, err := strconv.ParseInt(string(t), 10, 64); err == nil && n < Open/2 {
			j.now = max(j.now, n)
		}
	}
	process, kind := m.get(":process"), m.get(":type")
	switch {
	case process == nil:
		return fmt.Errorf("an event without :process: it has %s", m.names())
	case kind != any(ednAtom(":invoke")) && kind != any(ednAtom(":ok")) && kind != any(ednAtom(":fail")) && kind != any(ednAtom(":info")):
		return fmt.Errorf(":type %s is none of :invoke, :ok, :fail, :info", ednShort(kind))
	case process == any(ednAtom(":nemesis")):
		j.nemesis.logged(m, j.now)
		return nil
	}
	number, _ := process.(ednAtom)
	client, err := strconv.Atoi(string(number))
	switch {
	case err != nil: // a client that is left out would make a wrong store look right
		return fmt.Errorf(":process %s is neither a client, which is a number up to %d, nor :nemesis", ednShort(process), math.MaxInt)
	case client < 0:
		return fmt.Errorf("process %d is negative", client)
	case kind == any(ednAtom(":invoke")):
		return j.invoke(client, m)
	}
	return j.complete(client, kind, m)
}
