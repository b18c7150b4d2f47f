package linearizability

import (
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Bounds of the page: a browser has to draw it, and a search that finds no linearization has to be stopped.
const (
	maxDrawn       = 2000
	maxDrawnKeys   = 24
	drawingMemory  = 64 << 20
	drawingTimeout = 10 * time.Second
)

// writeSearchPage writes porcupine's page of the worst keys: of those in violation the shortest violation.
func writeSearchPage(ctx context.Context, w io.Writer, h History, r Report) error {
	var parts [][]Operation
	drawn := 0
	for _, k := range r.Keys {
		shown := k.History
		if k.Prefix != nil {
			shown = k.Prefix
		}
		if len(shown) == 0 || drawn+len(shown) > maxDrawn && drawn > 0 || len(parts) == maxDrawnKeys {
			continue
		}
		if over := len(shown) - maxDrawn; over > 0 {
			shown = cutAt(shown, shown[maxDrawn].Call)
		}
		parts = append(parts, shown)
		drawn += len(shown)
	}
	d := newDrawing(h, parts)
	ctx, cancel := context.WithTimeout(ctx, drawingTimeout)
	defer cancel()
	_, info := porcupine.CheckOperationsVerbose(d.model(&budget{ctx: ctx, limit: drawingMemory, each: 1000}), d.operations, 0)
	info.AddAnnotations(d.annotations(h.Annotations))
	return porcupine.Visualize(d.model(&budget{ctx: context.Background(), limit: Open}), info, w)
}

// drawing is a history made fit for the page.
type drawing struct {
	base       Model
	operations []porcupine.Operation
	keys       []string
	end        int64
}

func newDrawing(h History, parts [][]Operation) *drawing {
	d := &drawing{base: h.Model}
	if d.base == "" {
		d.base = Kvorum
	}
	var all []Operation
	for _, p := range parts {
		all = append(all, p...)
		d.keys = append(d.keys, p[0].Key)
	}
	for i := range all {
		d.end = max(d.end, all[i].Call)
		if all[i].Outcome != Unknown {
			d.end = max(d.end, all[i].Return)
		}
	}
	// Clients in the order of their ids; those of unknown writes, which stand alone, behind them.
	clients := map[int]int{}
	var ids []int
	for i := range all {
		if _, known := clients[all[i].Client]; !known {
			clients[all[i].Client] = 0
			ids = append(ids, all[i].Client)
		}
	}
	slices.Sort(ids)
	for i, id := range ids {
		clients[id] = i
	}
	for _, p := range parts {
		floors := prepare(d.base, p, false)
		for i := range p {
			o := &p[i]
			end := o.Return
			if o.Outcome == Unknown {
				end = d.end + 1
			}
			in := &input{op: o, class: -1, observed: floors.inputs[i].observed, floor: floors.inputs[i].floor}
			d.operations = append(d.operations, porcupine.Operation{ClientId: clients[o.Client], Input: in, Call: o.Call, Return: end})
		}
	}
	return d
}

func (d *drawing) model(b *budget) porcupine.Model {
	m := (&problem{model: d.base}).porcupineModel(b)
	m.Partition = func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make([][]porcupine.Operation, len(d.keys))
		for _, o := range history {
			i := slices.Index(d.keys, o.Input.(*input).op.Key)
			byKey[i] = append(byKey[i], o)
		}
		return byKey
	}
	m.DescribeOperation = func(in, _ any) string {
		o := in.(*input).op
		if len(d.keys) == 1 {
			return o.String()
		}
		return o.Key + ": " + o.String()
	}
	return m
}

// annotations that lie within what is drawn.
func (d *drawing) annotations(all []Annotation) (shown []porcupine.Annotation) {
	for _, a := range all {
		if a.Start > d.end {
			continue
		}
		n := porcupine.Annotation{
			Tag: cmp.Or(a.Node, a.Kind), Start: a.Start, End: min(max(a.Start, a.End), d.end+1), Description: a.Text, Details: a.Kind + ": " + a.Text,
			BackgroundColor: "#ffd7d1", TextColor: "#7a1206",
		}
		if a.Kind != "fault" {
			n.BackgroundColor, n.TextColor = "#d9e6ff", "#0b2f73"
		}
		shown = append(shown, n)
	}
	return shown
}
