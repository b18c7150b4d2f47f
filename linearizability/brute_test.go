package linearizability

// explains is the definition of linearizability, tried out: every order of the operations that real time allows, every
// choice of the revisions that nobody was told, with one concrete state. It shares nothing with the model under test.
func explains(history []Operation) bool {
	var top uint64
	for _, o := range history {
		top = max(top, o.Output.Revision, o.Input.Revision)
	}
	return explainRest(concrete{}, history, top+uint64(len(history)))
}

type concrete struct {
	present  bool
	value    string
	revision uint64
}

func explainRest(s concrete, rest []Operation, top uint64) bool {
	earliest := int64(Open)
	pending := false
	for _, o := range rest {
		if o.Outcome != Unknown {
			earliest = min(earliest, o.Return)
			pending = true
		}
	}
	if !pending {
		return true // what is left may never have happened
	}
	for i, o := range rest {
		if o.Call > earliest {
			continue // something else had returned before it was called
		}
		others := append(append([]Operation{}, rest[:i]...), rest[i+1:]...)
		for _, next := range s.successors(o, top) {
			if explainRest(next, others, top) {
				return true
			}
		}
	}
	return false
}

// successors lists the states that o can lead to from s with the reply it had.
func (s concrete) successors(o Operation, top uint64) []concrete {
	allowed := true
	switch o.Kind {
	case Create:
		allowed = !s.present
	case Update:
		allowed = s.present
	case CAS:
		allowed = s.present && s.revision == o.Input.Revision
	case Delete:
		allowed = s.present && (o.Input.Revision == 0 || s.revision == o.Input.Revision)
	}
	if o.Outcome == Unknown {
		if !allowed {
			return []concrete{s}
		}
		return s.written(o, top)
	}
	fits := false
	switch o.Output.Result {
	case OK:
		if o.Kind == Get {
			fits = s == concrete{true, o.Output.Value, o.Output.Revision}
			break
		}
		if !allowed {
			return nil
		}
		return s.written(o, top)
	case Absent:
		fits = !s.present
	case PreconditionFailed:
		fits = !allowed && s.present == (o.Output.Revision != 0) && (!s.present || s.revision == o.Output.Revision)
	}
	if fits {
		return []concrete{s}
	}
	return nil
}

func (s concrete) written(o Operation, top uint64) []concrete {
	next := concrete{present: o.Kind != Delete}
	if next.present {
		next.value = o.Input.Value
	}
	low, high := s.revision+1, top
	if told := o.Output.Revision; told != 0 {
		low, high = max(low, told), told
	}
	var all []concrete
	for r := low; r <= high; r++ {
		next.revision = r
		all = append(all, next)
	}
	return all
}
