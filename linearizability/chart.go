package linearizability

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// The chart has one time axis; all measures are in pixels of its SVG.
const (
	chartLeft    = 110
	chartWidth   = 1000 // of the plot
	chartRight   = 20
	chartColumns = 125
	plotHeight   = 130
	plotGap      = 34
	laneHeight   = 20
	chartTop     = 26
)

type chart struct {
	start, end int64 // nanoseconds
	zero       int64 // the first call, from which times count; something may have happened before it

	Width, Height int
	PlotX, PlotW  int
	Marks         []mark
	Lines         []polyline
	Labels        []label
	Rules         []rule // axis and grid
	y             int    // next free
}

// mark is what the pointer is told about once, though it may be drawn in several parts.
type mark struct {
	Title string
	Parts []rectangle
}

type rectangle struct {
	X, Y, W, H float64
	Class      string
}

// polyline has a gap wherever nothing was answered.
type polyline struct {
	Class, Title string
	Parts        []string // points
}

type label struct {
	X, Y        float64
	Class, Text string
}

type rule struct{ X1, Y1, X2, Y2 float64 }

// newChart draws a history; nil if nothing happened in it.
func newChart(h History) *chart {
	if len(h.Operations) == 0 {
		return nil
	}
	c := &chart{start: math.MaxInt64, end: math.MinInt64, PlotX: chartLeft, PlotW: chartWidth, Width: chartLeft + chartWidth + chartRight, y: chartTop}
	for i := range h.Operations {
		o := &h.Operations[i]
		c.start, c.end = min(c.start, o.Call), max(c.end, o.Call)
		if o.Outcome != Unknown {
			c.end = max(c.end, o.Return)
		}
	}
	c.zero = c.start
	for _, a := range h.Annotations {
		c.start, c.end = min(c.start, a.Start), max(c.end, a.Start, a.End)
	}
	c.end = max(c.end, c.start+1)
	c.throughput(h.Operations)
	c.latency(h.Operations)
	c.unavailability(h.Operations)
	c.lanes(h.Annotations)
	c.axis()
	c.Height = c.y
	return c
}

func (c *chart) length() time.Duration { return time.Duration(c.end - c.start) }

func (c *chart) x(t int64) float64 {
	return chartLeft + chartWidth*float64(t-c.start)/float64(c.end-c.start)
}

func (c *chart) column(t int64) int {
	return min(chartColumns-1, max(0, int(float64(t-c.start)/float64(c.end-c.start)*chartColumns)))
}

func (c *chart) rule(x1, y1, x2, y2 float64) { c.Rules = append(c.Rules, rule{x1, y1, x2, y2}) }

func (c *chart) text(x, y float64, class, format string, args ...any) {
	c.Labels = append(c.Labels, label{x, y, class, fmt.Sprintf(format, args...)})
}

// began opens a plot with a title, and gives its upper edge.
func (c *chart) began(title string) float64 {
	c.text(chartLeft+4, float64(c.y-8), "title", "%s", title)
	return float64(c.y)
}

// throughput is operations per second by outcome: the definite ones when they returned, the unknown when they were called.
func (c *chart) throughput(all []Operation) {
	var counts [chartColumns][3]int
	for i := range all {
		switch o := &all[i]; o.Outcome {
		case Applied:
			counts[c.column(o.Return)][0]++
		case NotApplied:
			counts[c.column(o.Return)][1]++
		default:
			counts[c.column(o.Call)][2]++
		}
	}
	top := 1
	for _, n := range counts {
		top = max(top, n[0]+n[1]+n[2])
	}
	perSecond := chartColumns / c.length().Seconds()
	y0 := c.began("operations per second, by outcome")
	c.scale(y0, 0, fmt.Sprintf("%.3g/s", float64(top)*perSecond))
	c.scale(y0, 0.5, fmt.Sprintf("%.3g/s", float64(top)*perSecond/2))
	c.scale(y0, 1, "0")
	width := float64(chartWidth) / chartColumns
	for i, n := range counts {
		y := y0 + plotHeight
		column := mark{Title: fmt.Sprintf("%s: %d applied, %d not applied, %d unknown", c.moment(c.start+int64(float64(i)/chartColumns*float64(c.end-c.start))), n[0], n[1], n[2])}
		for k, class := range [3]string{"applied", "notapplied", "unknown"} {
			height := plotHeight * float64(n[k]) / float64(top)
			if n[k] == 0 {
				continue
			}
			y -= height
			column.Parts = append(column.Parts, rectangle{chartLeft + float64(i)*width, y, max(0.5, width-0.6), height, class})
		}
		if column.Parts != nil {
			c.Marks = append(c.Marks, column)
		}
	}
	c.y += plotHeight + plotGap
}

// scale draws one horizontal grid line, share of the way down, and its value.
func (c *chart) scale(y0, share float64, value string) {
	y := y0 + plotHeight*share
	c.rule(chartLeft, y, chartLeft+chartWidth, y)
	c.text(chartLeft-8, y+4, "value", "%s", value)
}

// latency is the time that answered operations took, by when they returned.
func (c *chart) latency(all []Operation) {
	var columns [chartColumns][]float64
	low, high := math.Inf(1), math.Inf(-1)
	for i := range all {
		if o := &all[i]; o.Outcome != Unknown && o.Output.Result != "" {
			took := math.Log10(max(1, float64(o.Return-o.Call)))
			columns[c.column(o.Return)] = append(columns[c.column(o.Return)], took)
			low, high = min(low, took), max(high, took)
		}
	}
	if low > high {
		return
	}
	y0 := c.began("latency of answered operations: median, 99th of a hundred, longest (logarithmic)")
	low, high = math.Floor(low), math.Ceil(max(high, low+0.1))
	for d := low; d <= high; d += math.Ceil((high - low) / 6) {
		c.scale(y0, (high-d)/(high-low), time.Duration(math.Pow(10, d)).String())
	}
	for _, q := range []struct {
		class, title string
		rank         float64
	}{{"longest", "longest", 1}, {"p99", "99 %", 0.99}, {"median", "median", 0.5}} {
		line := polyline{Class: q.class, Title: q.title}
		var points []string
		var last, lastY float64
		flush := func() {
			if len(points) == 1 { // a column by itself would not be seen
				points = append(points, pointAt(last+0.45, lastY))
				points[0] = pointAt(last-0.45, lastY)
			}
			if len(points) > 0 {
				line.Parts = append(line.Parts, strings.Join(points, " "))
			}
			points = nil
		}
		for i := range columns {
			if len(columns[i]) == 0 {
				flush() // nothing was answered: no line
				continue
			}
			slices.Sort(columns[i])
			v := columns[i][min(len(columns[i])-1, int(q.rank*float64(len(columns[i]))))]
			last, lastY = float64(i)+0.5, y0+plotHeight*(high-v)/(high-low)
			points = append(points, pointAt(last, lastY))
		}
		flush()
		c.Lines = append(c.Lines, line)
	}
	c.y += plotHeight + plotGap
}

// pointAt is a point of a line, columns from the left.
func pointAt(column, y float64) string {
	return fmt.Sprintf("%.1f,%.1f", chartLeft+column*chartWidth/chartColumns, y)
}

// maxTicks is more than the axis ever has.
const maxTicks = 100

// axis draws the time.
func (c *chart) axis() {
	y := float64(c.y - plotGap + 22)
	step := niceStep(c.length() / 10)
	first := time.Duration(c.start-c.zero) / step
	for i := range maxTicks {
		t := (first + time.Duration(i)) * step
		if t > time.Duration(c.end-c.zero) || t < time.Duration(c.start-c.zero) {
			break
		}
		x := c.x(c.zero + int64(t))
		c.rule(x, chartTop, x, y)
		c.text(x, y+14, "time", "%s", t)
	}
	c.y = int(y) + 24
}

// niceStep rounds up to 1, 2 or 5 times a power of ten nanoseconds, beyond a minute to minutes.
func niceStep(d time.Duration) time.Duration {
	if d > 30*time.Second {
		return (d/time.Minute + 1) * time.Minute
	}
	for step := time.Duration(1); ; step *= 10 {
		for _, n := range []time.Duration{1, 2, 5} {
			if n*step >= d {
				return n * step
			}
		}
	}
}

// moment is a time since the first call of the history.
func (c *chart) moment(t int64) string { return roundTo3(time.Duration(t - c.zero)) }

// roundTo3 writes a duration with three digits or so.
func roundTo3(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 || d/unit <= -1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
