package linearizability

import (
	"cmp"
	"fmt"
	"slices"
)

// attach gives each key its commits, in order and each once.
func attach(byKey map[string]*part, commits []Commit) {
	s := splitter{byKey: byKey}
	sorted := slices.Clone(commits)
	slices.SortStableFunc(sorted, func(a, b Commit) int { return comparePlaces(&a, &b) })
	var last *Commit
	for i := range sorted {
		c := &sorted[i]
		p := s.of(c.Key)
		switch {
		case last == nil || comparePlaces(last, c) != 0:
			p.commits = append(p.commits, *c)
			last = c
		case *last != *c: // else: as executed by another machine
			p.commitFaults = append(p.commitFaults, fmt.Sprintf("two machines executed different writes in the same place: %s and %s", last, c))
		}
	}
	for _, p := range byKey {
		p.orderEpochs()
	}
}

func comparePlaces(a, b *Commit) int {
	return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Index, b.Index), cmp.Compare(a.Position, b.Position))
}

// orderEpochs orders the commits of a key that has moved between shards.
func (p *part) orderEpochs() {
	slices.SortStableFunc(p.commits, func(a, b Commit) int { return cmp.Compare(a.Epoch, b.Epoch) })
	var last *Commit
	for i := range p.commits {
		c := &p.commits[i]
		if c.Output.Result == "" {
			continue
		}
		if last != nil && last.Epoch == c.Epoch && last.Shard != c.Shard {
			p.commitFaults = append(p.commitFaults, fmt.Sprintf("two shards executed writes of the key in one epoch: %s and %s", last, c))
		}
		last = c
	}
}

// element is one commit that looked at its key, and what the key was afterwards.
type element struct {
	commit *Commit
	after  state
}

// auditor replays the commits of one key by themselves: does each do what the model says.
type auditor struct {
	model    Model
	state    state // exact
	highest  uint64
	first    map[string]*Commit // by idempotency key: as it was executed
	elements []element
	faults   []string
}

func (a *auditor) fault(format string, args ...any) {
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

func (a *auditor) run(commits []Commit) {
	a.first = map[string]*Commit{}
	for i := range commits {
		a.commit(&commits[i])
	}
}

func (a *auditor) commit(c *Commit) {
	if c.Output.Result == "" {
		return
	}
	if key := c.Input.IdempotencyKey; key != "" {
		first := a.first[key]
		switch {
		case c.Replayed && first == nil:
			a.fault("a first result was given again of which there is none: %s", c)
			return
		case c.Replayed && (first.Kind != c.Kind || first.Input != c.Input || first.Output != c.Output):
			a.fault("what was given again is not the first result: %s and then %s", first, c)
			return
		case c.Replayed:
			return
		case first != nil:
			a.fault("executed twice under one idempotency key: %s and again %s", first, c)
		default:
			a.first[key] = c
		}
	}
	o := c.operation()
	ok, next := a.model.step(a.state, &o)
	if !ok {
		a.fault("the machine broke the rules: %s, where the key was %s", c, a.state)
	}
	defer func() { a.elements = append(a.elements, element{c, a.state}) }()
	if !c.effective() {
		return
	}
	if ok && a.model != Register {
		switch {
		case c.Output.Revision == 0:
			a.fault("a commit without its revision: %s", c)
		case c.Output.Revision <= a.highest:
			a.fault("a revision was given again: %s, after %d", c, a.highest)
		}
		a.highest = max(a.highest, c.Output.Revision)
	}
	if !ok { // go on from what the machine believes
		next = state{present: c.Kind != Delete, value: written(&o), least: c.Output.Revision, exact: true}
	}
	a.state = next
}
