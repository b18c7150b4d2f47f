package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// meter shows how far an import is.
type meter interface {
	show(progressState)
	say(text string) // a line of its own
	end(progressState)
}

// newMeter gives a bar on a terminal, else a plain line every few seconds. size is the file's, -1 if unknown.
func newMeter(w io.Writer, size int64) meter {
	if !isTerminal(w) {
		return &plainMeter{w: w, size: size, started: time.Now(), last: time.Now()}
	}
	return &barMeter{w: w, bar: progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("importing"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowElapsedTimeOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
	)}
}

type barMeter struct {
	w   io.Writer
	bar *progressbar.ProgressBar
}

func (m *barMeter) show(s progressState) {
	m.bar.Describe(fmt.Sprintf("%d lines", s.Stored))
	_ = m.bar.Set64(s.Offset) // a file that grows past its size: the bar stays full
}

func (m *barMeter) say(text string) {
	_ = m.bar.Clear()
	fmt.Fprintln(m.w, text)
}

func (m *barMeter) end(s progressState) {
	m.show(s)
	_ = m.bar.Exit()
	fmt.Fprintln(m.w)
}

// plainEvery is the time between two lines where there is no terminal.
const plainEvery = 5 * time.Second

type plainMeter struct {
	w             io.Writer
	size          int64
	started, last time.Time
}

func (m *plainMeter) show(s progressState) {
	if time.Since(m.last) < plainEvery {
		return
	}
	m.last = time.Now()
	share := ""
	if m.size > 0 {
		share = fmt.Sprintf(" of %s (%d %%)", byteSize(m.size), min(100, 100*s.Offset/m.size))
	}
	fmt.Fprintf(m.w, "%d lines stored, %s%s after %s\n", s.Stored, byteSize(s.Offset), share, time.Since(m.started).Round(time.Second))
}

func (m *plainMeter) say(text string)   { fmt.Fprintln(m.w, text) }
func (m *plainMeter) end(progressState) {}
