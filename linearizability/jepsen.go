package linearizability

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// jepsenKey is the key of a history of one register.
const jepsenKey = "register"

// ReadEDN reads a history of registers as Jepsen writes it: maps {:process 0, :type :invoke, :f :cas, :value [1 2]}, one
// after another or in one vector. Types are invoke, ok, fail (did not happen) and info (unknown; so is an operation that
// never returned), :f is read, write or cas, nil means absent. Values of several registers are [key value]; or the key is
// in :key. The order of the lines is that of events; :time, in nanoseconds, is kept where it agrees. What other processes
// than clients did, such as :nemesis, becomes annotations. Errors name the line.
func ReadEDN(r io.Reader) (History, error) {
	j := &jepsen{in: newEDNReader(r), pending: map[int]int{}, history: History{Model: Register}}
	err := j.run()
	if err != nil {
		return History{}, fmt.Errorf("line %d: %w", j.in.line, err)
	}
	return j.history, nil
}

type jepsen struct {
	in      *ednReader
	now     int64
	pending map[int]int // process -> place of its operation in the history
	history History
}

func (j *jepsen) run() error {
	for {
		c, err := j.in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c == '[' || c == '(' {
			closing := byte(']')
			if c == '(' {
				closing = ')'
			}
			if err := j.vector(closing); err != nil {
				return err
			}
			continue
		}
		j.in.unread(c)
		v, err := j.in.value(0)
		if errors.Is(err, io.EOF) {
			return nil // behind something left out
		}
		if err == nil {
			err = j.event(v)
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
		return fmt.Errorf("%.40s is no map", ednText(v))
	}
	j.now++
	if t, ok := m.get(":time").(ednAtom); ok {
		if n, err := strconv.ParseInt(string(t), 10, 64); err == nil && n < Open/2 {
			j.now = max(j.now, n)
		}
	}
	process, ok := m.get(":process").(ednAtom)
	if !ok {
		return errors.New("an event without :process")
	}
	client, err := strconv.Atoi(string(process))
	if err != nil {
		j.annotate(string(process), m)
		return nil
	}
	if client < 0 {
		return fmt.Errorf("process %d is negative", client)
	}
	if t := m.get(":type"); t != any(ednAtom(":invoke")) {
		return j.completion(client, t, m)
	}
	if _, busy := j.pending[client]; busy {
		return fmt.Errorf("process %d calls while its last operation has not returned", client)
	}
	o, err := j.operation(client, m)
	if err != nil {
		return err
	}
	j.pending[client] = len(j.history.Operations)
	j.history.Operations = append(j.history.Operations, o)
	return nil
}

// annotate keeps what the nemesis did. It says everything twice: when it begins and when it is done.
func (j *jepsen) annotate(process string, m ednMap) {
	text := ednText(m.get(":f"))
	all := j.history.Annotations
	if n := len(all); n > 0 && all[n-1].End == 0 && all[n-1].Text == text && all[n-1].Node == process {
		all[n-1].End = j.now
		return
	}
	j.history.Annotations = append(all, Annotation{Kind: "fault", Text: text, Node: process, Start: j.now})
}

// operation makes an operation of an invocation: unknown until more is heard.
func (j *jepsen) operation(client int, m ednMap) (Operation, error) {
	key, value := register(m)
	o := Operation{Key: key, Client: client, Call: j.now, Return: Open, Outcome: Unknown}
	switch f := m.get(":f"); f {
	case any(ednAtom(":read")):
		o.Kind = Get
	case any(ednAtom(":write")):
		o.set(value)
	case any(ednAtom(":cas")):
		pair, ok := value.(ednList)
		if !ok || len(pair) != 2 {
			return o, fmt.Errorf("cas wants [old new], not %.40s", ednText(value))
		}
		o.compareAndSet(pair[0], pair[1])
	default:
		return o, fmt.Errorf(":f %.40s is none of :read, :write, :cas: only registers can be judged", ednText(f))
	}
	return o, nil
}

// register takes the key off the value, if there is one.
func register(m ednMap) (key string, value any) {
	value = m.get(":value")
	if k := m.get(":key"); k != nil {
		return ednText(k), value
	}
	pair, ok := value.(ednList)
	if !ok || len(pair) != 2 {
		return jepsenKey, value
	}
	if _, nested := pair[1].(ednList); m.get(":f") == any(ednAtom(":cas")) && !nested {
		return jepsenKey, value
	}
	return ednText(pair[0]), pair[1]
}

func (o *Operation) set(value any) {
	if value == nil {
		o.Kind = Delete
		return
	}
	o.Kind, o.Input.Value = Put, ednText(value)
}

func (o *Operation) compareAndSet(old, value any) {
	o.set(value)
	switch {
	case old != nil:
		o.Input.Expected, o.Input.ByValue = ednText(old), true
		if value != nil {
			o.Kind = CAS
		}
	case value != nil:
		o.Kind = Create
	default:
		o.Kind = Get // cas from nil to nil: saw that it is absent
	}
}

// completion tells an operation its end.
func (j *jepsen) completion(client int, kind any, m ednMap) error {
	i, ok := j.pending[client]
	if !ok {
		return fmt.Errorf("process %d returns from nothing", client)
	}
	delete(j.pending, client)
	o := &j.history.Operations[i]
	switch kind {
	case any(ednAtom(":info")):
		return nil
	case any(ednAtom(":fail")):
		o.Outcome, o.Return = NotApplied, j.now
		return nil
	case any(ednAtom(":ok")):
		o.Outcome, o.Return, o.Output.Result = Applied, j.now, OK
	default:
		return fmt.Errorf(":type %.40s is none of :invoke, :ok, :fail, :info", ednText(kind))
	}
	if o.Kind != Get {
		return nil
	}
	key, value := register(m)
	switch {
	case m.get(":f") != any(ednAtom(":read")) || value == nil:
		o.Output.Result = Absent
	case key != o.Key:
		return fmt.Errorf("a read of %s returns a value of %s", o.Key, key)
	default:
		o.Output.Value = ednText(value)
	}
	return nil
}
