package linearizability

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The files of a report.
const (
	reportPage   = "index.html"  // the summary
	reportSearch = "search.html" // porcupine's page: the operations of the worst keys, one by one
	reportText   = "report.txt"
)

// ReportFiles are the names of the files that WriteReport writes.
func ReportFiles() []string { return []string{reportPage, reportSearch, reportText} }

//go:embed report.html
var reportTemplate string

// WriteReport writes a folder for people: index.html (throughput, latency, outcomes, unavailability and annotations on one
// time axis, and what is wrong with which key), search.html (porcupine's page of the worst keys) and report.txt. The pages
// need no network. The folder is made if it is missing; these three files in it are replaced. r is Check's report on h.
func WriteReport(ctx context.Context, dir string, h History, r Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	search := newSearchPage(ctx, h, r)
	for name, write := range map[string]func(io.Writer) error{
		reportText:   r.WriteSummary,
		reportSearch: func(w io.Writer) error { return search.write(ctx, w, h.Annotations) },
		reportPage:   func(w io.Writer) error { return writeSummaryPage(w, h, r, search.notes) },
	} {
		var content bytes.Buffer
		if err := write(&content); err != nil {
			return fmt.Errorf("report: %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content.Bytes(), 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// page is what the template shows.
type page struct {
	Report    Report
	Elapsed   time.Duration
	Span      string         // length of the history
	Counts    map[string]int // by verdict
	Chart     *chart         // nil: nothing happened
	Keys      []keyRow
	MoreKeys  int
	Outcomes  []outcomeRow
	SearchURL string
	Notes     []string // what is not drawn there
}

type keyRow struct {
	KeyReport
	Name string
	Text string // its part of the summary in text
}

type outcomeRow struct {
	Kind                        Kind
	Applied, NotApplied, Failed int
	Unknown                     int
}

const maxShownRows = 60

func writeSummaryPage(w io.Writer, h History, r Report, notes []string) error {
	t, err := template.New(reportPage).Parse(reportTemplate)
	if err != nil {
		return err
	}
	p := page{Report: r, Elapsed: r.Elapsed.Round(time.Millisecond), Counts: map[string]int{}, Chart: newChart(h), Outcomes: outcomeRows(h), SearchURL: reportSearch, Notes: notes}
	if p.Chart != nil {
		p.Span = p.Chart.length().Round(time.Millisecond).String()
	}
	for i, k := range r.Keys {
		p.Counts[string(k.Verdict)]++
		if i >= maxShownRows {
			p.MoreKeys++
			continue
		}
		row := keyRow{KeyReport: k, Name: quote(k.Key)}
		if k.Verdict != Linearizable {
			var text bytes.Buffer
			k.writeSummary(&printer{w: &text}, r.Start)
			row.Text = text.String()
		}
		p.Keys = append(p.Keys, row)
	}
	return t.Execute(w, p)
}

// outcomeRows counts operations by kind. Refused: not applied, with a result; failed: a read that learnt nothing.
func outcomeRows(h History) []outcomeRow {
	var rows []outcomeRow
	for _, kind := range []Kind{Put, Create, Update, CAS, Delete, Get, List} {
		row := outcomeRow{Kind: kind}
		for i := range h.Operations {
			switch o := &h.Operations[i]; {
			case o.Kind != kind:
			case o.Outcome == Applied:
				row.Applied++
			case o.Outcome == Unknown:
				row.Unknown++
			case o.Output.Result != "":
				row.NotApplied++
			default:
				row.Failed++
			}
		}
		if row.Applied+row.NotApplied+row.Failed+row.Unknown > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}
