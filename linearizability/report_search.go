package linearizability

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Bounds of the page: a browser has to draw it, and a search that finds no linearization has to be stopped.
const (
	maxDrawn       = 2000
	maxDrawnKeys   = 24
	minDrawn       = 50 // of a key in violation or undecided
	maxNamedKeys   = 20 // of those left out
	drawingMemory  = 64 << 20
	drawingTimeout = 10 * time.Second // for the excerpts, and again for the page
)

// searchPage is porcupine's page of the worst keys: of those in violation the operations around it.
type searchPage struct {
	drawing *drawing
	notes   []string // what is not drawn, for people
}

func newSearchPage(ctx context.Context, h History, r Report) *searchPage {
	ctx, cancel := context.WithTimeout(ctx, drawingTimeout)
	defer cancel()
	s := &searchPage{}
	m := h.Model
	if m == "" {
		m = Kvorum
	}
	bad, left, badLeft := 0, maxDrawn, 0
	for _, k := range r.Keys {
		if k.Verdict != Linearizable {
			bad++
		}
	}
	var excerpts []excerpt
	var leftOut []string
	for i, k := range r.Keys {
		share := left
		switch {
		case len(k.upTo()) == 0:
			continue
		case len(excerpts) == maxDrawnKeys || i >= bad && len(excerpts) > 0 && len(k.History) > left:
			leftOut = append(leftOut, k.Key)
			if i < bad {
				badLeft++
			}
			continue
		case i < bad: // one long history must not leave the others without any room
			share = max(minDrawn, left/min(bad-i, maxDrawnKeys-len(excerpts)))
		}
		x := excerptOf(ctx, m, k, share)
		excerpts = append(excerpts, x)
		left -= len(x.operations)
		if x.note != "" {
			s.notes = append(s.notes, fmt.Sprintf("Key %s (%s): %s.", quote(k.Key), k.Verdict, x.note))
		}
	}
	s.drawing = newDrawing(m, r.Start, excerpts)
	s.noteLeftOut(leftOut, badLeft)
	return s
}

// noteLeftOut names the keys of which nothing is drawn; the worst come first.
func (s *searchPage) noteLeftOut(keys []string, bad int) {
	if len(keys) == 0 {
		return
	}
	names := make([]string, min(len(keys), maxNamedKeys))
	for i := range names {
		names[i] = quote(keys[i])
	}
	more := ""
	if len(keys) > len(names) {
		more = ", ..."
	}
	s.notes = append(s.notes, fmt.Sprintf("%d keys are not drawn, %d of them not linearizable: %s%s.", len(keys), bad, strings.Join(names, ", "), more))
}

func (s *searchPage) write(ctx context.Context, w io.Writer, all []Annotation) error {
	ctx, cancel := context.WithTimeout(ctx, drawingTimeout)
	defer cancel()
	d := s.drawing
	_, info := porcupine.CheckOperationsVerbose(d.model(&budget{ctx: ctx, limit: drawingMemory, each: 1000}), d.operations, 0)
	annotations, hidden := d.annotations(all)
	info.AddAnnotations(annotations)
	var page bytes.Buffer
	if err := porcupine.Visualize(d.model(&budget{ctx: context.Background(), limit: Open}), info, &page); err != nil {
		return err
	}
	notes := s.notes
	if hidden > 0 {
		notes = append(notes[:len(notes):len(notes)], fmt.Sprintf("%d events of before or after what is drawn are left out.", hidden))
	}
	text, err := completed(page.String(), d.lanes, notes)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return err
}

// completed puts the clients' numbers and the notes into porcupine's page, which numbers the lanes.
func completed(page string, lanes, notes []string) (string, error) {
	names, err := json.Marshal(append([]string{}, lanes...))
	if err != nil {
		return "", err
	}
	above := `<div style="margin: 45px 10px -30px; max-width: 60em"><p>Rows are clients, by their numbers in the history; one has several where operations of its would lie on top of each other. Times are nanoseconds since the first call of the history; an operation of unknown outcome reaches to the end.</p>`
	for _, note := range notes {
		above += "<p><b>" + html.EscapeString(note) + "</b></p>"
	}
	for _, c := range []struct{ theirs, ours string }{
		{`i < realClients ? i.toString() : sortedTags`, `i < realClients ? (lanes[i] ?? "") : sortedTags`},
		{`i < realClients ? i : sortedTags`, `i < realClients ? (lanes[i] ?? "") : sortedTags`},
		{`const data = `, `const lanes = ` + string(names) + "\n\n      const data = "},
		{`<div id="canvas">`, above + "</div>\n    " + `<div id="canvas">`},
	} {
		if !strings.Contains(page, c.theirs) {
			return "", errors.New("porcupine's page is another than the one known here: it lacks " + c.theirs)
		}
		page = strings.Replace(page, c.theirs, c.ours, 1)
	}
	return page, nil
}
