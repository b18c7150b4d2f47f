package linearizability

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"

	"github.com/anishathalye/porcupine"
)

// drawing is a history made fit for porcupine's page. Its times count from the first call of the history.
type drawing struct {
	base       Model
	zero       int64
	excerpts   []excerpt
	operations []porcupine.Operation
	lanes      []string // the client of each lane
	begin, end int64    // nanoseconds on the clock of the history
}

func newDrawing(m Model, zero int64, excerpts []excerpt) *drawing {
	d := &drawing{base: m, zero: zero, begin: Open, end: math.MinInt64, excerpts: excerpts}
	if d.base == "" {
		d.base = Kvorum
	}
	var all []*Operation
	for _, x := range excerpts {
		for i := range x.operations {
			o := &x.operations[i]
			all = append(all, o)
			d.end = max(d.end, o.Call)
			if o.Outcome != Unknown { // others may be long ago
				d.begin, d.end = min(d.begin, o.Call), max(d.end, o.Return)
			}
		}
	}
	open := d.end // of what has no end
	if open < Open {
		open++
	}
	if open > 0 && zero < 0 && open-zero < 0 { // hundreds of years: shown as they are
		d.zero = 0
	}
	lane := d.assignLanes(all)
	for _, x := range excerpts {
		floors := prepare(d.base, x.operations, false)
		for i := range x.operations {
			o := &x.operations[i]
			end := o.Return
			if o.Outcome == Unknown {
				end = open
			}
			in := &input{op: o, class: -1, observed: floors.inputs[i].observed, floor: floors.inputs[i].floor}
			d.operations = append(d.operations, porcupine.Operation{ClientId: lane[o], Input: in, Call: o.Call - d.zero, Return: end - d.zero, Metadata: o})
		}
	}
	return d
}

// assignLanes gives each client a lane, and another for what would lie on top of another operation of it: a write of unknown
// outcome is drawn to the end, though its client has gone on.
func (d *drawing) assignLanes(all []*Operation) map[*Operation]int {
	byClient := map[int][]*Operation{}
	var clients []int
	for _, o := range all {
		if byClient[o.Client] == nil {
			clients = append(clients, o.Client)
		}
		byClient[o.Client] = append(byClient[o.Client], o)
	}
	slices.Sort(clients)
	lane := map[*Operation]int{}
	for _, client := range clients {
		operations := byClient[client]
		slices.SortStableFunc(operations, func(a, b *Operation) int { // the unknown ones where there is room behind the others
			return cmp.Or(cmp.Compare(rankOf(a), rankOf(b)), cmp.Compare(a.Call, b.Call))
		})
		var ends []int64 // of this client's lanes
		for _, o := range operations {
			k := slices.IndexFunc(ends, func(end int64) bool { return end < o.Call })
			if k < 0 {
				k = len(ends)
				ends = append(ends, 0)
				d.lanes = append(d.lanes, strconv.Itoa(client))
			}
			if ends[k] = o.Return; o.Outcome == Unknown {
				ends[k] = Open
			}
			lane[o] = len(d.lanes) - len(ends) + k
		}
	}
	return lane
}

func rankOf(o *Operation) int {
	if o.Outcome == Unknown {
		return 1
	}
	return 0
}

// atStart is where the search of each key begins. The model has one beginning for all.
const atStart = "start"

func (d *drawing) model(b *budget) porcupine.Model {
	m := (&problem{model: d.base}).porcupineModel(b)
	step := m.Step
	m.Init = func() any { return place{placed: atStart} }
	m.Step = func(from, in, out any) (bool, any) {
		o := in.(*input).op
		if from == any(place{placed: atStart}) {
			x := d.excerpts[d.excerptOf(o)]
			if x.unknown {
				next, known := stateAfter(o)
				if !known {
					return true, from
				}
				return true, place{state: next}
			}
			from = place{state: x.begin}
		}
		return step(from, in, out)
	}
	m.Partition = func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make([][]porcupine.Operation, len(d.excerpts))
		for _, o := range history {
			i := d.excerptOf(o.Input.(*input).op)
			byKey[i] = append(byKey[i], o)
		}
		return byKey
	}
	m.DescribeOperation = func(in, _ any) string {
		o := in.(*input).op
		if len(d.excerpts) == 1 {
			return o.String()
		}
		if len(o.Key) > maxShownBytes {
			return quote(o.Key) + ": " + o.String()
		}
		return o.Key + ": " + o.String()
	}
	// The page takes these two for markup.
	m.DescribeOperationMetadata = func(o any) string { return html.EscapeString(d.about(o.(*Operation))) }
	m.DescribeState = func(at any) string {
		if at == any(place{placed: atStart}) {
			return "not known"
		}
		return html.EscapeString(d.base.show(at.(place).state))
	}
	return m
}

func (d *drawing) excerptOf(o *Operation) int {
	return slices.IndexFunc(d.excerpts, func(x excerpt) bool { return x.key == o.Key })
}

// about says what the page does not show of an operation by itself.
func (d *drawing) about(o *Operation) string {
	text := fmt.Sprintf("client %d, %.3f .. %s ms", o.Client, milliseconds(o.Call-d.zero), o.end(d.zero))
	if o.Node != "" {
		text += ", node " + clip(o.Node, maxShownBytes)
	}
	return text
}

// stateAfter is what a key is after the first operation that tells something of it.
func stateAfter(o *Operation) (after state, known bool) {
	switch {
	case o.Outcome == Unknown || o.Output.Result == PreconditionFailed:
		return after, false
	case o.Output.Result == Absent:
		return state{}, true
	case o.Kind == Get:
		return state{present: true, value: o.Output.Value, least: o.Output.Revision, exact: true}, true
	}
	_, after = state{}.after(o.Kind != Delete, written(o), o.Output.Revision)
	return after, true
}

// maxEarlier bounds how many annotations of before the first operation are drawn.
const maxEarlier = 20

// annotations that lie within what is drawn, and the last ones before it. The second result is how many are left out.
func (d *drawing) annotations(all []Annotation) (shown []porcupine.Annotation, hidden int) {
	var within, earlier []Annotation
	for _, a := range all {
		switch {
		case a.Start > d.end:
			hidden++
		case max(a.Start, a.End) < d.begin:
			earlier = append(earlier, a)
		default:
			within = append(within, a)
		}
	}
	slices.SortStableFunc(earlier, func(a, b Annotation) int { return cmp.Compare(max(a.Start, a.End), max(b.Start, b.End)) })
	if over := len(earlier) - maxEarlier; over > 0 {
		hidden += over
		earlier = earlier[over:]
	}
	for _, a := range append(earlier, within...) {
		n := porcupine.Annotation{
			Tag: clip(cmp.Or(a.Node, a.Kind, "?"), maxShownBytes), Start: a.Start - d.zero, End: min(max(a.Start, a.End), d.end) - d.zero,
			Description: clip(a.Text, maxShownAnnotation), Details: clip(a.Kind+": "+a.Text, 4*maxShownAnnotation),
			BackgroundColor: "#ffd7d1", TextColor: "#7a1206",
		}
		if a.Kind != "fault" {
			n.BackgroundColor, n.TextColor = "#d9e6ff", "#0b2f73"
		}
		shown = append(shown, n)
	}
	return shown, hidden
}

// maxShownAnnotation bounds what is written of an annotation, bytes.
const maxShownAnnotation = 200
