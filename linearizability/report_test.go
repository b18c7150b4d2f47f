package linearizability

import (
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const markup = `<script>alert("1")</script>`

// reportOn writes a report and gives its pages.
func reportOn(t *testing.T, h History, opt Options) (index, search, text string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "made", "here")
	r := Check(context.Background(), h.Operations, opt)
	for range 2 { // the second replaces the first
		if err := WriteReport(context.Background(), dir, h, r); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	return read(reportPage), read(reportSearch), read(reportText)
}

func TestReportShowsWhatIsWrong(t *testing.T) {
	w := runWorld(worldConfig{seed: 4, clients: 8, keys: 6, shards: 2, operations: 800, reads: 50, loss: 3, receipts: true})
	bad := at(1, 2, read(markup, 1))
	bad.Key = markup
	h := History{Operations: append(w.history, bad), Annotations: []Annotation{
		{Kind: "fault", Text: "kill " + markup, Node: "s0n1", Start: 100, End: 300}, {Kind: "leader", Text: "s0n2 leads", Node: "shard 0", Start: 310},
	}}
	index, search, text := reportOn(t, h, Options{Commits: w.commits})
	for _, c := range []struct{ name, page, want string }{
		{"index", index, "<h1>violation</h1>"}, {"index", index, "1 key in violation."}, {"index", index, "fault s0n1"}, {"index", index, "s0n2 leads"},
		{"index", index, "latency"}, {"index", index, `class="fault"`}, {"index", index, "saw what never was"}, {"index", index, "<polyline"},
		{"search", search, "s0n2 leads"}, {"search", search, "k000"}, {"search", search, "alert"},
		{"text", text, "1 keys in violation"}, {"text", text, markup[1:7]},
	} {
		if !strings.Contains(c.page, c.want) {
			t.Errorf("%s lacks %q", c.name, c.want)
		}
	}
	if strings.Contains(index, markup) || strings.Contains(search, markup) {
		t.Error("what clients wrote runs in the page")
	}
	for _, page := range []string{index, search} {
		if found := regexp.MustCompile(`(src|href)="?(https?:)?//|@import|url\(`).FindString(page); found != "" {
			t.Errorf("a page asks the network: %s", found)
		}
	}
}

// TestReportBeginsWithTheRun: a linearizable history of a run that was not good is not announced as all there is.
func TestReportBeginsWithTheRun(t *testing.T) {
	h := History{Operations: []Operation{at(1, 2, put("a", 1))}}
	r := Check(context.Background(), h.Operations, Options{})
	r.Run, r.Besides, r.Files = "vacuous: 1 write", "a table <of> figures", []string{"../logs/s0n0.log"}
	dir := t.TempDir()
	if err := WriteReport(context.Background(), dir, h, r); err != nil {
		t.Fatal(err)
	}
	if page, err := os.ReadFile(filepath.Join(dir, reportPage)); err != nil || !strings.Contains(string(page), "a table &lt;of&gt; figures") || !strings.Contains(string(page), `href="../logs/s0n0.log"`) {
		t.Errorf("the page lacks what was to be shown besides, or a file: %v", err)
	}
	for name, want := range map[string]string{reportPage: "<h1>vacuous: 1 write</h1>", reportText: "vacuous: 1 write\nThe history by itself is linearizable"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), want) || strings.Contains(string(content), "<h1>linearizable") {
			t.Errorf("%s lacks %q:\n%s", name, want, content)
		}
	}
}

// TestChartSaysThingsOnce: what is written in the picture is not said again by the pointer, nor by each part of a column.
func TestChartSaysThingsOnce(t *testing.T) {
	lostPut := lost(40, put("a", 0))
	h := History{Operations: []Operation{at(1, 2, put("a", 1)), at(3, 4, none()), lostPut}, Annotations: []Annotation{{Kind: "fault", Text: "pause s0n1", Start: 10, End: 20}}}
	index, _, _ := reportOn(t, h, Options{})
	svg := index[strings.Index(index, "<svg"):strings.Index(index, "</svg>")]
	if n := strings.Count(svg, "pause s0n1"); n != 1 {
		t.Errorf("the fault is told %d times", n)
	}
	seen := map[string]bool{}
	for _, title := range regexp.MustCompile(`<title>([^<]*)</title>`).FindAllStringSubmatch(svg, -1) {
		if seen[title[1]] {
			t.Errorf("said twice: %s", title[1])
		}
		seen[title[1]] = true
	}
}

// TestChartStaysInside: whatever the history, all is drawn inside of the picture, and the picture is well-formed.
func TestChartStaysInside(t *testing.T) {
	one := at(5, 5, put("a", 1))
	far := History{Operations: []Operation{at(-4e18, -4e18+1, none()), at(4e18, 4e18+5, none())}}
	w := runWorld(worldConfig{seed: 1, clients: 8, keys: 3, shards: 3, operations: 300, reads: 50, loss: 10, receipts: true})
	late := History{Operations: w.history, Annotations: []Annotation{{Kind: "fault", Text: strings.Repeat("long ", 100), Start: -50, End: 1 << 40}}}
	for name, h := range map[string]History{
		"one": {Operations: []Operation{one}}, "unknown": {Operations: []Operation{lost(3, put("a", 0))}}, "far apart": far, "late": late, "usual": {Operations: w.history},
	} {
		c := newChart(h)
		var all []rectangle
		for _, m := range c.Marks {
			all = append(all, m.Parts...)
		}
		for _, r := range all {
			if r.X < chartLeft-1 || r.X+r.W > chartLeft+chartWidth+3 || r.Y < 0 || r.Y+r.H > float64(c.Height) || !(r.W > 0) || !(r.H > 0) {
				t.Errorf("%s: %+v is outside of %d x %d", name, r, c.Width, c.Height)
			}
		}
		for _, l := range c.Labels {
			if l.Y < 0 || l.Y > float64(c.Height) {
				t.Errorf("%s: %+v is outside", name, l)
			}
		}
		if len(c.Rules) > 200 {
			t.Errorf("%s: %d grid lines", name, len(c.Rules))
		}
		index, _, _ := reportOn(t, h, Options{})
		svg := index[strings.Index(index, "<svg") : strings.Index(index, "</svg>")+6]
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if newChart(History{}) != nil {
		t.Error("nothing has a chart")
	}
	reportOn(t, History{}, Options{})
}

func TestUnavailabilityIsALongTimeWithoutAnswers(t *testing.T) {
	var answered []*Operation
	for i := range int64(1000) {
		when := i * 10
		if i >= 500 {
			when += 3000
		}
		o := at(when, when+5, none())
		answered = append(answered, &o)
	}
	if got := unavailable(answered, 0, 13000); len(got) != 0 {
		t.Errorf("nobody asked, yet %v", got)
	}
	asked := lost(5500, put("a", 0))
	got := unavailable(append(answered, &asked), 0, 13000)
	if want := fmt.Sprint([]window{{4995, 8005}}); fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestNiceSteps(t *testing.T) {
	for _, c := range []struct{ in, want time.Duration }{
		{0, 1}, {3, 5}, {40 * time.Millisecond, 50 * time.Millisecond}, {11 * time.Second, 20 * time.Second}, {31 * time.Second, time.Minute}, {150 * time.Second, 3 * time.Minute},
	} {
		if got := niceStep(c.in); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
}
