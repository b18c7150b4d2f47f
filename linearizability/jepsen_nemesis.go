package linearizability

import "strings"

// nemesis makes annotations of what Jepsen's nemesis logged. It logs each of its operations twice, when it begins and when
// it is done; some only begin what another ends, such as :start-partition and :stop-partition.
type nemesis struct {
	annotations []Annotation
	begun       string         // the :f that is under way, "" if none
	at          int            // its annotation
	open        map[string]int // what goes on -> its annotation
}

// undone names what an operation begins, or ends. Kills and pauses that nothing ends are over when they are done.
func undone(f string) (what string, begins, ends bool) {
	f = strings.TrimPrefix(f, ":")
	if what, ok := strings.CutPrefix(f, "start-"); ok {
		return what, true, false
	}
	if what, ok := strings.CutPrefix(f, "stop-"); ok {
		return what, false, true
	}
	switch f {
	case "kill", "pause":
		return f, true, false
	case "resume":
		return "pause", false, true
	case "start": // of the nemesis; or of what was killed
		return "", true, true
	case "stop":
		return "", false, true
	}
	return f, false, false
}

// logged takes in one line.
func (n *nemesis) logged(m ednMap, now int64) {
	f := ednText(m.get(":f"))
	if n.begun == f {
		n.done(f, m.get(":value"), now)
		return
	}
	n.begun = f
	what, begins, ends := undone(f)
	if f == ":start" {
		if _, killed := n.open["kill"]; killed {
			what, begins = "kill", false
		}
	}
	if at, going := n.open[what]; going && (begins || ends) {
		n.annotations[at].End = now
		delete(n.open, what)
		if !begins {
			n.at = at // until that is done, too
			return
		}
	}
	n.at = len(n.annotations)
	n.annotations = append(n.annotations, Annotation{Kind: "fault", Text: f + valueText(m.get(":value")), Node: ":nemesis", Start: now})
	if begins {
		if n.open == nil {
			n.open = map[string]int{}
		}
		n.open[what] = n.at
	}
}

// done adds what came of it.
func (n *nemesis) done(f string, value any, now int64) {
	n.begun = ""
	a := &n.annotations[n.at]
	a.End = now
	if text := valueText(value); strings.HasPrefix(a.Text, f) && !strings.HasSuffix(a.Text, text) {
		a.Text += text
	}
}

// end closes what was never ended: it lasted until the end.
func (n *nemesis) end(now int64) {
	for what, at := range n.open {
		if what != "kill" && what != "pause" {
			n.annotations[at].End = now
		}
	}
}

// maxShownNemesis bounds what an annotation shows of one value, bytes.
const maxShownNemesis = 200

func valueText(v any) string {
	if v == nil {
		return ""
	}
	return " " + clip(ednText(v), maxShownNemesis)
}
