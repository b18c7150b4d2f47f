package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/kvorum/kvorum/linearizability"
)

// progress draws a bar, on terminals only.
type progress struct {
	out  io.Writer
	once sync.Once
	bar  *progressbar.ProgressBar // nil: none
}

func newProgress(out io.Writer) *progress { return &progress{out: out} }

// update is called by one goroutine at a time.
func (p *progress) update(now linearizability.Progress) {
	p.once.Do(func() {
		if file, ok := p.out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			p.bar = progressbar.NewOptions(max(1, now.TotalOperations), progressbar.OptionSetWriter(p.out), progressbar.OptionShowCount(),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false))
		}
	})
	if p.bar == nil {
		return
	}
	p.bar.Describe(fmt.Sprintf("%d of %d keys, %d in violation, %d undecided", now.Keys, now.TotalKeys, now.Violations, now.Undecided))
	_ = p.bar.Set(now.Operations) // a bar that can't be drawn is no reason to stop
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
