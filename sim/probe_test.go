package sim

import (
	"bufio"
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
)

// probePrograms loads the probe, once for all tests.
var probePrograms = sync.OnceValues(func() (*Programs, error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	ctx := contextOfAllTests
	b, err := build.Program(ctx, build.Config{Root: root}, "./sim/testdata/probe")
	if err != nil {
		return nil, err
	}
	e, err := machine.NewWazero(ctx, machine.Options{})
	if err != nil {
		return nil, err
	}
	p, err := e.Load(ctx, b)
	return &Programs{Node: p, Client: p}, err
})

// seen is one line that a probe printed.
type seen struct {
	at   time.Duration // true time
	who  string
	what []string // its words
}

// probed is a world of probes after its run.
type probed struct {
	*World
	t     *testing.T
	lines []seen
	crowd *client
	end   time.Duration // of the faults
}

const (
	probeFor   = 12 * time.Second // faults strike
	probeAfter = 5 * time.Second  // nothing does
)

// probe lets three probes live with faults.
func probe(t *testing.T, faults ...schedule.Fault) *probed {
	t.Helper()
	programs, err := probePrograms()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := &schedule.Schedule{Version: 1, Seed: 3, Shards: 1, Replicas: 3, Duration: schedule.Duration(probeFor), Faults: faults}
	w := newWorld(s, Options{Programs: programs, Log: &log})
	defer w.end()
	w.network.Tap = nil // probes do not speak raft
	for _, n := range w.nodes {
		n.start()
	}
	p := &probed{World: w, t: t}
	p.crowd = w.startClient(w.crowd, w.endpoints(w.nodes))
	w.nemesis.arm()
	w.advance(w.timeline.Now().Add(probeFor), nil)
	core := map[*Node]bool{}
	for _, n := range w.nodes {
		core[n] = true
	}
	w.nemesis.heal(core)
	p.end = w.now()
	w.advance(w.timeline.Now().Add(probeAfter), nil)
	p.crowd.machine.Kill()
	for lines := bufio.NewScanner(&log); lines.Scan(); {
		var at float64
		words := strings.Fields(lines.Text())
		if _, err := fmt.Sscan(words[0], &at); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		p.lines = append(p.lines, seen{time.Duration(at * float64(time.Second)), words[1], words[2:]})
	}
	return p
}

// of are the lines of a node ("" for any) that begin with the word, from one instant to another.
func (p *probed) of(who, word string, from, to time.Duration) (list []seen) {
	for _, l := range p.lines {
		if (who == "" || l.who == who) && len(l.what) > 0 && l.what[0] == word && l.at >= from && l.at < to {
			list = append(list, l)
		}
	}
	return list
}

// number is a word of a line as a number.
func (l seen) number(word int) (n int64) {
	if word < len(l.what) {
		fmt.Sscan(l.what[word], &n)
	}
	return n
}

// text is the line from a word on.
func (l seen) text(from int) string { return strings.Join(l.what[min(from, len(l.what)):], " ") }

// count counts lines that contain all texts.
func count(list []seen, texts ...string) (n int) {
next:
	for _, l := range list {
		for _, text := range texts {
			if !strings.Contains(l.text(0), text) {
				continue next
			}
		}
		n++
	}
	return n
}

// healthy checks that after the faults everything works as if there had been none.
func (p *probed) healthy() {
	p.t.Helper()
	from, to := p.end+3500*time.Millisecond, p.end+probeAfter
	for _, f := range p.failures {
		switch f.Oracle { // the others know kvorum, not probes
		case "exit", "graceful stop", "schedule", "history":
			p.t.Errorf("%+v", f)
		}
	}
	for _, n := range p.nodes {
		if n.broken {
			continue
		}
		if beats := p.of(n.Name, "beat", from, to); len(beats) < 13 {
			p.t.Errorf("%s beats %d times in 1.5 s, want 14 or 15", n.Name, len(beats))
		}
		for _, l := range p.of(n.Name, "beat", from, to) {
			if took := l.number(3); took > 101_500 {
				p.t.Errorf("%s slept %d us in place of 100 ms", n.Name, took)
			}
		}
		for _, l := range append(p.of(n.Name, "disk", from, to), p.of(n.Name, "took", from, to)...) {
			if l.text(3) != "<nil>" || l.number(2) > 20 {
				p.t.Errorf("%s: %s", n.Name, l.text(0))
			}
		}
		for _, l := range p.of(n.Name, "ping", from, to) {
			if other := p.node(l.what[1]); !other.broken && (l.text(3) != "<nil>" || l.number(2) > 20) {
				p.t.Errorf("%s: %s", n.Name, l.text(0))
			}
		}
	}
}
