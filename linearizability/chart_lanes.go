package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// window is a time without answers.
type window struct{ from, to int64 }

// unavailability shows, for the whole and for each shard that receipts name, when operations were called and none was
// answered for long.
func (c *chart) unavailability(all []Operation) {
	shards := map[string]uint32{}
	for i := range all {
		if o := &all[i]; o.Receipt != nil && o.Kind != List {
			shards[o.Key] = o.Receipt.Shard
		}
	}
	groups := map[int][]*Operation{}
	for i := range all {
		o := &all[i]
		groups[-1] = append(groups[-1], o)
		if shard, known := shards[o.Key]; known && o.Kind != List {
			groups[int(shard)] = append(groups[int(shard)], o)
		}
	}
	ids := make([]int, 0, len(groups))
	for id := range groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(ids) == 2 {
		ids = ids[:1] // the one shard is the whole
	}
	c.began("unavailability: no answer for long, though operations were under way")
	for _, id := range ids {
		name := "all keys"
		if id >= 0 {
			name = fmt.Sprintf("shard %d", id)
		}
		c.lane(name)
		for _, w := range unavailable(groups[id], c.start, c.end) {
			c.bar(w.from, w.to, "down", fmt.Sprintf("%s: no answer for %s, from %s on", name, roundTo3(time.Duration(w.to-w.from)), c.moment(w.from)))
		}
		c.y += laneHeight
	}
	c.y += plotGap
}

func (c *chart) lane(name string) {
	y := float64(c.y)
	c.text(chartLeft-8, y+laneHeight*0.7, "value", "%s", name)
	c.rule(chartLeft, y+laneHeight, chartLeft+chartWidth, y+laneHeight)
}

func (c *chart) bar(from, to int64, class, title string) {
	x := c.x(from)
	c.Marks = append(c.Marks, mark{title, []rectangle{{x, float64(c.y) + 3, max(2.5, c.x(to)-x), laneHeight - 6, class}}})
}

// unavailable finds the windows between two answers that are far longer than usual (50 times the median and 1/200 of the
// whole) and in which somebody asked in vain: called and learnt nothing, or waited for that long.
func unavailable(all []*Operation, start, end int64) (windows []window) {
	answers := []int64{start, end}
	for _, o := range all {
		if o.Output.Result != "" {
			answers = append(answers, o.Return)
		}
	}
	slices.Sort(answers)
	gaps := make([]int64, 0, len(answers))
	for i := 1; i < len(answers); i++ {
		gaps = append(gaps, answers[i]-answers[i-1])
	}
	slices.Sort(gaps)
	long := max(50*gaps[len(gaps)/2], (end-start)/200)
	for i := 1; i < len(answers); i++ {
		w := window{answers[i-1], answers[i]}
		inVain := func(o *Operation) bool {
			if o.Output.Result == "" {
				return w.from <= o.Call && o.Call < w.to
			}
			return min(o.Return, w.to)-max(o.Call, w.from) > long
		}
		if w.to-w.from > long && slices.ContainsFunc(all, inVain) {
			windows = append(windows, w)
		}
	}
	return windows
}

// lanes shows the annotations, a lane for each node and kind.
func (c *chart) lanes(all []Annotation) {
	if len(all) == 0 {
		return
	}
	type laneID struct{ kind, node string }
	byLane := map[laneID][]Annotation{}
	var ids []laneID
	for _, a := range all {
		id := laneID{a.Kind, a.Node}
		if byLane[id] == nil {
			ids = append(ids, id)
		}
		byLane[id] = append(byLane[id], a)
	}
	slices.SortFunc(ids, func(a, b laneID) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.node, b.node)) })
	c.began("what happened besides")
	for _, id := range ids {
		c.lane(fmt.Sprintf("%.16s", id.kind+" "+id.node))
		class := "event"
		if id.kind == "fault" {
			class = "fault"
		}
		slices.SortStableFunc(byLane[id], func(a, b Annotation) int { return cmp.Compare(a.Start, b.Start) })
		for i, a := range byLane[id] {
			end, text := max(a.Start, a.End), clip(a.Text, maxShownAnnotation)
			room := float64(chartLeft + chartWidth)
			if i+1 < len(byLane[id]) {
				room = c.x(byLane[id][i+1].Start)
			}
			title := "at " + c.moment(a.Start)
			if end > a.Start {
				title = "from " + c.moment(a.Start) + " to " + c.moment(end)
			}
			switch x, needed := c.x(a.Start), 6.8*float64(len(text))+8; {
			case c.x(end)-x > needed:
				c.text(x+4, float64(c.y)+laneHeight*0.7, "inside", "%s", text)
			case room-c.x(end) > needed:
				c.text(c.x(end)+6, float64(c.y)+laneHeight*0.7, "beside", "%s", text)
			default: // for the pointer
				title = text + ", " + title
			}
			c.bar(a.Start, end, class, title)
		}
		c.y += laneHeight
	}
	c.y += plotGap
}
