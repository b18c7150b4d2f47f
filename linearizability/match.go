package linearizability

import (
	"fmt"
	"slices"
)

// matcher finds the commit of each write. See README.md, "How an operation finds its commit".
type matcher struct {
	model     Model
	history   []Operation
	elements  []element
	classes   []*class // of writes that are the same
	commitOf  []int    // by operation, -1: none
	writeOf   []int    // by element, -1: none
	ambiguous bool     // some operations could have been assigned otherwise
	faults    []string
	guessed   []string // faults that another assignment might not have
	shows     int64    // when the first of all faults shows, nanoseconds; Open if it is not known
}

// write is what an operation and its commit have in common.
type write struct {
	kind  Kind
	input Input
}

type class struct {
	operations, elements []int // in order of call; in order of commit
	open                 []int // elements that are not certain
}

func newMatcher(m Model, history []Operation, elements []element) *matcher {
	x := &matcher{model: m, history: history, elements: elements, shows: Open}
	x.commitOf, x.writeOf = make([]int, len(history)), make([]int, len(elements))
	for i := range x.commitOf {
		x.commitOf[i] = -1
	}
	for i := range x.writeOf {
		x.writeOf[i] = -1
	}
	return x
}

func (x *matcher) run() {
	classes := map[write]*class{}
	of := func(w write) *class {
		if classes[w] == nil {
			classes[w] = &class{}
			x.classes = append(x.classes, classes[w])
		}
		return classes[w]
	}
	known := map[string]bool{}
	for i := range x.history {
		if o := &x.history[i]; !o.Kind.reads() {
			known[o.Input.IdempotencyKey] = true
			c := of(write{o.Kind, o.Input})
			c.operations = append(c.operations, i)
		}
	}
	for i := range x.elements {
		e := x.elements[i].commit
		input := e.Input
		if !known[input.IdempotencyKey] {
			input.IdempotencyKey = "" // the client library's own
		}
		c := of(write{e.Kind, input})
		c.elements = append(c.elements, i)
	}
	for _, c := range x.classes {
		x.certain(c)
	}
	x.rest()
	for _, c := range x.classes {
		x.single(c)
		x.judge(c)
	}
}

func (x *matcher) match(operation, element int) {
	x.commitOf[operation], x.writeOf[element] = element, operation
}

// certain assigns what can be told apart: by being alone, by the revision of the reply, by the receipt.
func (x *matcher) certain(c *class) {
	if len(c.operations) == 1 && len(c.elements) == 1 {
		x.match(c.operations[0], c.elements[0])
		return
	}
	for _, names := range []func(*Operation, int) bool{x.namesRevision, x.namesPlace} {
		for _, i := range c.operations {
			if e := x.only(c, i, names); e >= 0 {
				x.match(i, e)
			}
		}
	}
}

// only gives the element that operation i names, if it is the only one that it names and nobody else names it.
func (x *matcher) only(c *class, i int, names func(*Operation, int) bool) int {
	found := -1
	if x.commitOf[i] >= 0 {
		return -1
	}
	for _, e := range c.elements {
		if x.writeOf[e] < 0 && x.fits(&x.history[i], e) && names(&x.history[i], e) {
			if found >= 0 {
				return -1
			}
			found = e
		}
	}
	if found < 0 {
		return -1
	}
	for _, other := range c.operations {
		if other != i && x.commitOf[other] < 0 && x.fits(&x.history[other], found) && names(&x.history[other], found) {
			return -1
		}
	}
	return found
}

// namesRevision reports whether the reply says, by its revision, that it was this commit.
func (x *matcher) namesRevision(o *Operation, _ int) bool {
	return x.model != Register && o.Output.Result == OK && o.Output.Revision != 0
}

// namesPlace reports whether the reply says, by its receipt, that it was this commit, or another of the same entry.
func (x *matcher) namesPlace(o *Operation, e int) bool {
	c := x.elements[e].commit
	return o.hasReceipt() && o.Receipt.Index == c.Index && o.Receipt.Shard == c.Shard
}

// hasReceipt reports whether the reply says where the operation was executed.
func (o *Operation) hasReceipt() bool {
	return o.Outcome != Unknown && o.Receipt != nil && o.Receipt.Index != 0
}

// fits reports whether the reply is what the machine put out.
func (x *matcher) fits(o *Operation, e int) bool {
	out := x.elements[e].commit.Output
	untold := x.model == Register || o.Kind == Delete && o.Output.Result == OK && o.Output.Revision == 0
	return o.Outcome == Unknown || o.Output.Result == out.Result && (untold || o.Output.Revision == out.Revision)
}

// rest assigns what is left. What was assigned to one class bounds the others, so classes with a choice are done again.
func (x *matcher) rest() {
	var open []*class
	for _, c := range x.classes {
		for _, e := range c.elements {
			if x.writeOf[e] < 0 {
				c.open = append(c.open, e)
			}
		}
		if len(c.open) > 0 {
			open = append(open, c)
			// Unknown ones are interchangeable, the earliest call being the best; others are not.
			x.ambiguous = x.ambiguous || slices.ContainsFunc(c.operations, func(i int) bool { return x.commitOf[i] < 0 && x.history[i].Outcome != Unknown })
		}
	}
	for round := range maxRounds {
		for _, c := range open {
			if round > 0 {
				x.release(c)
			}
			x.choose(c)
		}
		if len(open) < 2 || !x.ambiguous {
			return
		}
	}
}

// maxRounds is how often writes that can't be told apart are assigned, each time with better bounds.
const maxRounds = 4

func (x *matcher) release(c *class) {
	for _, e := range c.open {
		if i := x.writeOf[e]; i >= 0 {
			x.commitOf[i], x.writeOf[e] = -1, -1
		}
	}
}

// choose assigns each open commit of a class, in order, to the operation that has to be over first among those that can
// stand there, the unknown ones last. If only this class is open, no other assignment does better.
func (x *matcher) choose(c *class) {
	t := x.times()
	for _, e := range c.open {
		best := -1
		for _, i := range c.operations {
			o := &x.history[i]
			if x.commitOf[i] >= 0 || !x.fits(o, e) || o.Call > t.high[e+1] || o.Return < t.low[e] || o.hasReceipt() && !x.namesPlace(o, e) {
				continue
			}
			if best < 0 || o.Return < x.history[best].Return {
				best = i
			}
		}
		if best >= 0 {
			x.match(best, e)
		}
	}
}

// single says of an operation and a commit that are left over together that they belong together, although they don't fit:
// that explains more than calling both of them strangers.
func (x *matcher) single(c *class) {
	if x.ambiguous {
		return
	}
	var operations, elements []int
	for _, i := range c.operations {
		if x.commitOf[i] < 0 && x.history[i].Output.Result == OK {
			operations = append(operations, i)
		}
	}
	for _, e := range c.elements {
		if x.writeOf[e] < 0 {
			elements = append(elements, e)
		}
	}
	if len(operations) == 1 && len(elements) == 1 {
		x.match(operations[0], elements[0])
	}
}

// judge says what is wrong with the assignment of a class.
func (x *matcher) judge(c *class) {
	for _, e := range c.elements {
		i, commit := x.writeOf[e], x.elements[e].commit
		switch {
		case i < 0:
			x.report(!x.tooMany(c), "executed, but no operation of the history asked for it (again): %s", commit)
		case !x.fits(&x.history[i], e):
			x.report(false, "the reply is not what the machine did: %s, but %s", &x.history[i], commit)
		case x.history[i].hasReceipt() && !x.namesPlace(&x.history[i], e):
			r := x.history[i].Receipt
			x.report(false, "the receipt of %s names shard %d, index %d; it was executed at %s", &x.history[i], r.Shard, r.Index, commit)
		}
	}
	for _, i := range c.operations {
		if o := &x.history[i]; x.commitOf[i] < 0 && !o.Kind.reads() && o.Output.Result == OK {
			x.report(x.enough(c, o), "acknowledged, but not among the commits: %s", o)
		}
	}
}

func (x *matcher) report(guessed bool, format string, args ...any) {
	x.noteMoment(args)
	text := fmt.Sprintf(format, args...)
	if guessed && x.ambiguous {
		x.guessed = append(x.guessed, text)
	} else {
		x.faults = append(x.faults, text)
	}
}

// noteMoment notes when a fault of these operations shows: once the last of them has returned.
func (x *matcher) noteMoment(args []any) {
	moment, known := int64(0), false
	for _, a := range args {
		if o, ok := a.(*Operation); ok && o.Outcome != Unknown && (!known || o.Return > moment) {
			moment, known = o.Return, true
		}
	}
	if known {
		x.shows = min(x.shows, moment)
	}
}

// tooMany reports whether, whatever the times, no assignment finds an operation for each commit of the class: those with a
// reply can only be commits with that output, the unknown ones any.
func (x *matcher) tooMany(c *class) bool {
	missing := map[Output]int{}
	for _, e := range c.elements {
		missing[x.kindOf(x.elements[e].commit.Output)]++
	}
	unknown := 0
	for _, i := range c.operations {
		if o := &x.history[i]; o.Outcome == Unknown {
			unknown++
		} else {
			missing[x.kindOf(o.Output)]--
		}
	}
	for _, n := range missing {
		unknown -= max(0, n)
	}
	return unknown < 0
}

// enough reports whether, whatever the times, there are as many commits as operations with the reply of o.
func (x *matcher) enough(c *class, o *Operation) bool {
	n := 0
	for _, e := range c.elements {
		if x.fits(o, e) {
			n++
		}
	}
	for _, i := range c.operations {
		if other := &x.history[i]; other.Outcome != Unknown && x.kindOf(other.Output) == x.kindOf(o.Output) {
			n--
		}
	}
	return n >= 0
}

// kindOf is an output without what a reply may leave out.
func (x *matcher) kindOf(out Output) Output {
	if out.Result == OK || x.model == Register {
		out.Revision = 0
	}
	return out
}
