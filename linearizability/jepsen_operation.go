package linearizability

import "fmt"

// invoke takes in the call of an operation: unknown until more is heard.
func (j *jepsen) invoke(client int, m ednMap) error {
	if _, busy := j.pending[client]; busy {
		return fmt.Errorf("process %d calls while its last operation has not returned", client)
	}
	call := invocation{place: len(j.history.Operations), keyed: m.get(":key") != nil}
	call.f, _ = m.get(":f").(ednAtom)
	call.key, call.value = register(m)
	o := Operation{Key: call.key, Client: client, Call: j.now, Return: Open, Outcome: Unknown}
	switch call.f {
	case ":read":
		o.Kind = Get
	case ":write":
		if !m.has(":value") {
			return fmt.Errorf("a write needs :value (nil makes the key absent): this has %s", m.names())
		}
		o.set(call.value)
	case ":cas":
		pair, ok := call.value.(ednList)
		if !ok || len(pair) != 2 {
			return fmt.Errorf("cas wants [old new], not %s", ednShort(call.value))
		}
		o.compareAndSet(pair[0], pair[1])
	default:
		return fmt.Errorf(":f %s is none of :read, :write, :cas: only registers can be judged", ednShort(m.get(":f")))
	}
	j.pending[client] = call
	j.history.Operations = append(j.history.Operations, o)
	return nil
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

// complete tells an operation its end. What contradicts the call is no answer to it: a history of which lines are lost or
// mixed up must not be judged.
func (j *jepsen) complete(client int, kind any, m ednMap) error {
	call, ok := j.pending[client]
	if !ok {
		return fmt.Errorf("process %d returns from nothing: it has called nothing that had not returned", client)
	}
	if f := m.get(":f"); f != any(call.f) {
		return fmt.Errorf("process %d called %s, and returns from :f %s", client, call.f, ednShort(f))
	}
	delete(j.pending, client)
	o := &j.history.Operations[call.place]
	switch kind {
	case any(ednAtom(":fail")):
		o.Outcome, o.Return = NotApplied, j.now
	case any(ednAtom(":ok")):
		o.Outcome, o.Return, o.Output.Result = Applied, j.now, OK
		if call.f == ":read" {
			return call.readResult(o, m)
		}
		if o.Kind == Get {
			o.Output.Result = Absent
		}
		return call.sameValue(o, m)
	}
	return nil
}

// take is the key and the value of a completion.
func (c invocation) take(m ednMap) (key string, value any) {
	if m.get(":key") == nil && (c.keyed || m.get(":value") == nil) {
		return c.key, m.get(":value")
	}
	return register(m)
}

func (c invocation) readResult(o *Operation, m ednMap) error {
	if !m.has(":value") {
		return fmt.Errorf("the :ok of a read needs :value (nil: absent): this has %s", m.names())
	}
	key, value := c.take(m)
	switch {
	case key != c.key:
		return fmt.Errorf("a read of %s returns a value of %s; a key must stand in the invocation, too, as :key or as [key value]", clip(c.key, maxShownBytes), clip(key, maxShownBytes))
	case value == nil:
		o.Output.Result = Absent
	default:
		o.Output.Value = ednText(value)
	}
	return nil
}

// sameValue: the :ok of a write or cas may leave its value out, but not name another.
func (c invocation) sameValue(o *Operation, m ednMap) error {
	if !m.has(":value") {
		return nil
	}
	if key, value := c.take(m); key != c.key || ednText(value) != ednText(c.value) {
		return fmt.Errorf("process %d called %s with %s of %s, and its :ok says %s of %s", o.Client, c.f, ednShort(c.value), clip(c.key, maxShownBytes), ednShort(value), clip(key, maxShownBytes))
	}
	return nil
}
