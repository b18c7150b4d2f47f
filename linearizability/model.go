package linearizability

import (
	"fmt"
	"strings"
)

// state is what is known of one key at one point of a linearization. Revisions of writes whose reply was lost are not
// known, so a state stands for a set: with exact the revision is least, without it any revision from least on.
//
// That keeps the model deterministic: the set only ever shrinks (a reply names the revision) or moves up (another write).
type state struct {
	present bool
	value   string
	least   uint64
	exact   bool
}

// holds reports whether the key can be at this revision.
func (s state) holds(revision uint64) bool {
	return revision == s.least || !s.exact && revision > s.least
}

// after is the state once a write took effect that was told revision r, or was told nothing (0).
func (s state) after(present bool, value string, r uint64) (bool, state) {
	if r == 0 {
		return true, state{present: present, value: value, least: s.least + 1}
	}
	return r > s.least, state{present: present, value: value, least: r, exact: true}
}

// step is the model Kvorum: create, update, compare-and-set and delete, with revisions.
func step(s state, o *Operation) (bool, state) {
	if o.Outcome == Unknown {
		return true, s.stepUnknown(o)
	}
	switch o.Output.Result {
	case OK:
		return s.stepOK(o)
	case Absent: // get, delete
		return !s.present, s
	default:
		return s.stepRefused(o)
	}
}

func (s state) stepOK(o *Operation) (bool, state) {
	in, out := o.Input, o.Output
	switch o.Kind {
	case Get:
		read := state{present: true, value: s.value, least: out.Revision, exact: true}
		return s.present && s.value == out.Value && s.holds(out.Revision), read
	case Create:
		if s.present {
			return false, s
		}
	case Update:
		if !s.present {
			return false, s
		}
	case CAS, Delete:
		if o.Kind == Delete && !s.present {
			return false, s
		}
		if in.Revision != 0 {
			if !s.present || !s.holds(in.Revision) {
				return false, s
			}
			s.least, s.exact = in.Revision, true
		}
	}
	return s.after(o.Kind != Delete, written(o), out.Revision)
}

func written(o *Operation) string {
	if o.Kind == Delete {
		return ""
	}
	return o.Input.Value
}

// stepRefused judges precondition-failed, which tells the present revision, 0 meaning absent.
func (s state) stepRefused(o *Operation) (bool, state) {
	told := o.Output.Revision
	if told == 0 {
		return !s.present && o.Kind != Create, s // an absent key refuses all but a create
	}
	if !s.present || !s.holds(told) || o.Kind == Update || told == o.Input.Revision {
		return false, s
	}
	s.least, s.exact = told, true
	return true, s
}

// stepUnknown lets the write take effect wherever it can. A linearization in which it never took effect is the one that
// puts it last: it stays open for ever, and nothing observes what comes after everything.
func (s state) stepUnknown(o *Operation) state {
	in := o.Input
	switch {
	case o.Kind == Create && s.present, o.Kind == Update && !s.present, o.Kind == Delete && !s.present:
		return s
	case in.Revision != 0 && (o.Kind == CAS || o.Kind == Delete):
		if !s.present || !s.holds(in.Revision) {
			return s
		}
		s.least, s.exact = in.Revision, true
	}
	_, next := s.after(o.Kind != Delete, written(o), 0)
	return next
}

// show is the state for people, in the terms of the model.
func (m Model) show(s state) string {
	switch {
	case m != Register:
		return s.String()
	case s.present:
		return quote(s.value)
	}
	return "absent"
}

func (s state) String() string {
	bound := "≥"
	if s.exact {
		bound = ""
	}
	if !s.present {
		return fmt.Sprintf("absent@%s%d", bound, s.least)
	}
	return fmt.Sprintf("%s@%s%d", quote(s.value), bound, s.least)
}

// String is the operation as people write it: cas("b" at 7) -> ok@9. Of long values it shows the beginning.
func (o *Operation) String() string {
	var asked []string
	if !o.Kind.reads() && o.Kind != Delete {
		asked = append(asked, quote(o.Input.Value))
	}
	switch {
	case o.Input.Revision != 0:
		asked = append(asked, fmt.Sprintf("at %d", o.Input.Revision))
	case o.Input.ByValue:
		asked = append(asked, "if "+quote(o.Input.Expected))
	}
	call := string(o.Kind) + "(" + strings.Join(asked, " ") + ") -> "
	switch {
	case o.Outcome == Unknown:
		return call + "unknown"
	case o.Output.Result == "":
		return call + string(o.Outcome)
	case o.Kind == Get && o.Output.Result == OK && o.Output.Revision == 0:
		return call + quote(o.Output.Value)
	case o.Kind == Get && o.Output.Result == OK:
		return call + fmt.Sprintf("%s@%d", quote(o.Output.Value), o.Output.Revision)
	case o.Kind == List:
		return call + fmt.Sprintf("%d items", len(o.Listing.Items))
	case o.Output.Revision != 0:
		return call + fmt.Sprintf("%s@%d", o.Output.Result, o.Output.Revision)
	}
	return call + string(o.Output.Result)
}
