package kvsim

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/lab"
	"github.com/kvorum/kvorum/sim/schedule"
)

type campaignCmd struct {
	Out  string `placeholder:"DIR" help:"Folder for the schedules of failing seeds; one that kvsim wrote before is replaced (default none)."`
	many `embed:""`
}

// Run runs a campaign.
func (c *campaignCmd) Run(p *program) error {
	campaign, err := c.campaign()
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := lab.MayMakeFolder(c.Out); err != nil {
			return usageError{err}
		}
	}
	l, err := p.lab()
	if err != nil {
		return err
	}
	defer l.Close()
	if c.Out != "" {
		if err := lab.MakeFolder(c.Out); err != nil {
			return usageError{err}
		}
	}
	bar := newBar(p.stderr, campaign.Size(), "seeds")
	began := time.Now()
	failed := 0
	campaign.Done = func(s *schedule.Schedule, r *sim.Result) bool {
		if r.Verdict == sim.Failed {
			failed++
			bar.Describe(fmt.Sprintf("seeds (%d failed)", failed))
		}
		_ = bar.Add(1)
		if r.Verdict != sim.Good && c.Out != "" {
			if err := lab.WriteSchedule(filepath.Join(c.Out, fmt.Sprintf("seed-%d.json", s.Seed)), s); err != nil {
				p.say("%v", err)
			}
		}
		return true
	}
	results := l.Campaign(p.ctx, campaign)
	_ = bar.Finish()
	summary := lab.Summarize(results, time.Since(began))
	printSummary(p.stderr, summary)
	if summary.Seeds < campaign.Size() {
		p.say("interrupted: of seeds %d-%d only the first %d were run", campaign.From, campaign.To, summary.Seeds)
	}
	if summary.Verdict == sim.Good {
		summary.Verdict = p.goodUnlessInterrupted()
	}
	return p.finish(summary, summary.Verdict)
}

// newBar shows progress: a bar on a terminal, a line now and then elsewhere.
func newBar(w io.Writer, n int, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionThrottle(time.Second), progressbar.OptionSetWidth(30), progressbar.OptionOnCompletion(func() { fmt.Fprintln(w) }))
}

func printSummary(w io.Writer, s lab.Summary) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, f := range s.Failing {
		label := ""
		if len(f.Beyond) > 0 {
			label = fmt.Sprintf("\tbeyond what Raft promises: %v", f.Beyond)
		}
		fmt.Fprintf(t, "seed %d\t%s\t%v%s\n", f.Seed, f.Verdict, f.Oracles, label)
	}
	fmt.Fprintf(t, "\nseeds %d-%d\t%s\t%v\n", s.From, s.To, s.Verdict, s.Verdicts)
	fmt.Fprintf(t, "trace, memory\t%.12s, %.12s\tof all together; operations: %v\n", s.Trace, s.Memory, s.Outcomes)
	fmt.Fprintf(t, "virtual time\t%s\tin %s of wall time (%.1f times)\n", span(s.Virtual), span(s.Wall), s.Virtual/s.Wall)
	fmt.Fprintf(t, "seeds an hour\t%.0f\n", float64(s.Seeds)/s.Wall*3600)
	fmt.Fprintf(t, "leader changes, median\t%d\n", s.Leaders)
	fmt.Fprintf(t, "seeds with a snapshot installed\t%.0f %%\n", 100*s.Installs)
	fmt.Fprintf(t, "seeds with a restart after a loss\t%.0f %%\n", 100*s.Losses)
	table(t, "fault", s.Fired)
	table(t, "it happened that", s.Reached)
	if len(s.Dead) > 0 {
		fmt.Fprintf(t, "\nseen in less than 1 %% of the seeds:\t%s\n", strings.Join(s.Dead, ", "))
	}
	if len(s.Unseen) > 0 {
		fmt.Fprintf(t, "\nrare, and never seen (few seeds draw them; judged from 1,000 seeds on):\t%s\n", strings.Join(s.Unseen, ", "))
	}
	_ = t.Flush()
}

func table(t io.Writer, title string, seen map[string]lab.Seen) {
	fmt.Fprintf(t, "\n%s\tseeds\ttimes\n", title)
	ids := make([]string, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		fmt.Fprintf(t, "%s\t%d\t%d\n", id, seen[id].Seeds, seen[id].Times)
	}
}

func span(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second)
}

type faultsCmd struct{}

// Run lists.
func (faultsCmd) Run(p *program) error {
	t := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	for _, c := range sim.Classes() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.ID, c.Tier, c.Line)
	}
	fmt.Fprintln(t, "\nleft out:")
	for _, c := range sim.LeftOut() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.ID, c.Tier, c.Line)
	}
	return t.Flush()
}

type oraclesCmd struct{}

// Run lists.
func (oraclesCmd) Run(p *program) error {
	t := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	for _, o := range sim.Oracles() {
		fmt.Fprintf(t, "%s\t%s\n", o.ID, o.Line)
	}
	fmt.Fprintln(t, "\nleft out:")
	for _, o := range sim.OraclesLeftOut() {
		fmt.Fprintf(t, "%s\t%s\n", o.ID, o.Line)
	}
	return t.Flush()
}

type probesCmd struct{}

// Run lists.
func (probesCmd) Run(p *program) error {
	t := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	for _, o := range sim.Probes() {
		fmt.Fprintf(t, "%s\t%s\n", o.ID, o.Line)
	}
	return t.Flush()
}
