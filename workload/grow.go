package workload

import (
	"strings"

	lin "github.com/kvorum/kvorum/linearizability"
)

// maxElements is how long a list grows before the next one is begun: its every version stands in the history.
const maxElements = 60

// growTries bounds one append's compare-and-set loop.
const growTries = 6

// Elements are those of a list's value, in order.
func Elements(value string) []string { return strings.Fields(value) }

// grow appends a unique element to a list by a compare-and-set loop: read, append, write if nobody else wrote meanwhile.
// What became of the last write, if it is unknown, the history has to say.
func (p *person) grow() {
	i := p.draw.IntN(len(p.Lists))
	for range growTries {
		read := &lin.Operation{Key: p.Lists[i], Client: p.number, Kind: lin.Get}
		p.one(read)
		if read.Output.Result == "" {
			return
		}
		if len(Elements(read.Output.Value)) >= maxElements {
			i = (i + 1) % len(p.Lists)
			if i == 0 {
				return // all are full, or this was the last
			}
			continue
		}
		o := &lin.Operation{Key: p.Lists[i], Client: p.number, Kind: lin.CAS}
		if o.Input.Revision = read.Output.Revision; read.Output.Result == lin.Absent {
			o.Kind, o.Input.Revision = lin.Create, 0
		}
		p.fill(o)
		element, _, _ := strings.Cut(o.Input.Value, ":")
		o.Input.Value = strings.TrimSpace(read.Output.Value + " " + element)
		p.one(o)
		if o.Output.Result != lin.PreconditionFailed {
			return
		}
	}
}
