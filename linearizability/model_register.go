package linearizability

// stepRegister is the model Register: values only. A delete (a write of nil) may find nothing.
func stepRegister(s state, o *Operation) (bool, state) {
	holds := s.allowsByValue(o)
	next := state{present: o.Kind != Delete, value: written(o)}
	switch {
	case o.Outcome == Unknown:
		if !holds {
			return true, s
		}
		return true, next
	case o.Kind == Get && o.Output.Result == OK:
		return s.present && s.value == o.Output.Value, s
	case o.Kind == Get, o.Kind == Delete && o.Output.Result == Absent:
		return !s.present, s
	case o.Output.Result == OK:
		return holds, next
	}
	return !holds, s
}

// allowsByValue reports whether the condition of a write holds.
func (s state) allowsByValue(o *Operation) bool {
	switch {
	case o.Kind == Create:
		return !s.present
	case o.Kind == Update:
		return s.present
	case o.Input.ByValue:
		return s.present && s.value == o.Input.Expected
	}
	return true
}

func (m Model) step(s state, o *Operation) (bool, state) {
	if m == Register {
		return stepRegister(s, o)
	}
	return step(s, o)
}
