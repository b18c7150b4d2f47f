package dockernet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// pretended is an engine that runs nothing and keeps what was to be run. That the rules do what they say is looked at in
// TestCompose, on real containers.
type pretended struct {
	mu      sync.Mutex
	scripts map[string][]string // by member
	failing string              // member in whose network nothing can be run
	ended   bool                // and its container has ended
	shows   string              // what a script gives
}

func (p *pretended) Container(_ context.Context, member string) (string, error) {
	return "id-" + member, nil
}

func (p *pretended) Pipe(_ context.Context, input string, arguments ...string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := arguments[len(arguments)-1]
	if arguments[0] == "inspect" && strings.Contains(arguments[2], "Running") {
		return fmt.Sprintln(last != "id-"+p.failing || !p.ended), nil
	}
	if arguments[0] == "inspect" {
		return "ip-of-" + strings.TrimPrefix(last, "id-") + "\n", nil
	}
	i := slices.IndexFunc(arguments, func(a string) bool { return strings.HasPrefix(a, "container:id-") })
	member := strings.TrimPrefix(arguments[i], "container:id-")
	if member == p.failing {
		return "", errors.New("no such container")
	}
	if p.scripts == nil {
		p.scripts = map[string][]string{}
	}
	p.scripts[member] = append(p.scripts[member], input)
	return p.shows, nil
}

var members = []string{"a", "b", "c"}

// TestRulesAreWhereItEnds: each direction is dropped, and what passes counted, at the member that it leads to, and nowhere else.
func TestRulesAreWhereItEnds(t *testing.T) {
	for name, want := range map[string]string{
		"one": "a: b / b: a c / c: b", "halves": "a: b c / b: a / c: a", "mute": "a: b / c: b", "deaf": "b: a c", "bridge": "a: c / c: a",
	} {
		for _, p := range netns.Partitions() {
			if p.Name != name {
				continue
			}
			e := &pretended{}
			n := &Network{Name: "net", Engine: e}
			if _, err := n.Cut(t.Context(), p.Links(members, "b")...); err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, m := range members {
				if len(e.scripts[m]) == 0 {
					continue
				}
				var from []string
				for _, other := range members {
					drops := strings.Contains(e.scripts[m][0], "ip saddr ip-of-"+other+" counter name dropped")
					if counts := strings.Contains(e.scripts[m][0], "ip saddr ip-of-"+other+" counter name passed"); counts != drops {
						t.Errorf("%s: at %s what comes from %s is dropped: %v, counted: %v", name, m, other, drops, counts)
					}
					if drops {
						from = append(from, other)
					}
				}
				all = append(all, m+": "+strings.Join(from, " "))
			}
			if got := strings.Join(all, " / "); got != want {
				t.Errorf("%s: dropped is %q, want %q", name, got, want)
			}
		}
	}
}

// TestHalfACutIsTakenBack: when the rules can't be written at one member they are removed at the others.
func TestHalfACutIsTakenBack(t *testing.T) {
	e := &pretended{failing: "a", ended: true}
	n := &Network{Name: "net", Engine: e}
	if _, err := n.Cut(t.Context(), netns.One(members, "b")...); err == nil {
		t.Error("half a cut was no error")
	}
	for _, m := range []string{"b", "c"} {
		if scripts := e.scripts[m]; !strings.Contains(scripts[len(scripts)-1], "delete table ip kvorum_1") {
			t.Errorf("%s: %q", m, scripts)
		}
	}
	if len(n.faults) != 0 {
		t.Errorf("%d faults are left", len(n.faults))
	}
}

// TestHealing: it is tried until it succeeds; rules in a container that has ended are gone with it.
func TestHealing(t *testing.T) {
	e := &pretended{}
	n := &Network{Name: "net", Engine: e}
	f, err := n.Cut(t.Context(), netns.Deaf(members, "b")...)
	if err != nil {
		t.Fatal(err)
	}
	e.failing = "b"
	if err := f.Heal(t.Context()); err == nil {
		t.Error("it could not be healed, and that was no error")
	}
	if err := n.Heal(t.Context()); err == nil {
		t.Error("it could not be healed, and the network does not know")
	}
	e.ended = true
	if err := errors.Join(n.Heal(t.Context()), f.Heal(t.Context())); err != nil {
		t.Error(err)
	}
	if _, err := f.Counts(t.Context()); err == nil {
		t.Error("counters that are gone were counted")
	}
}

// TestCounters are those of each link; without one of them nothing is known.
func TestCounters(t *testing.T) {
	e := &pretended{shows: `{"nftables":[{"metainfo":{}},{"counter":{"name":"dropped0","packets":7}},{"counter":{"name":"passed0","packets":0}},` +
		`{"counter":{"name":"dropped1","packets":5}},{"counter":{"name":"passed1","packets":2}}]}`}
	n := &Network{Name: "net", Engine: e}
	f, err := n.Cut(t.Context(), netns.Deaf(members, "b")...)
	if err != nil {
		t.Fatal(err)
	}
	want := []Count{{7, 0}, {5, 2}}
	if got, err := f.Counts(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if err := f.Heal(t.Context()); err != nil {
		t.Error(err)
	}
	e.shows = `{"nftables":[]}`
	if got, err := f.Counts(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("after it was healed: %v, %v", got, err)
	}
	if f, err = n.Cut(t.Context(), netns.Deaf(members, "b")...); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Counts(t.Context()); err == nil {
		t.Errorf("without counters: %v", got)
	}
}

// TestSlowCounts what had to wait in the queue that it made, and in no other.
func TestSlowCounts(t *testing.T) {
	e := &pretended{shows: `[{"kind":"noqueue","overlimits":9},{"kind":"tbf","overlimits":4}]`}
	s, err := (&Network{Name: "net", Engine: e}).Slow(t.Context(), "a", 128)
	if err != nil || !strings.Contains(e.scripts["a"][0], "ip-of-a") || !strings.Contains(e.scripts["a"][0], "rate 128kbit") {
		t.Fatalf("%q, %v", e.scripts, err)
	}
	if err := s.Heal(t.Context()); err != nil || !strings.Contains(e.scripts["a"][1], "qdisc del") {
		t.Errorf("%q, %v", e.scripts, err)
	}
	if held, err := s.Held(t.Context()); err != nil || held != 4 {
		t.Errorf("held %d, %v", held, err)
	}
}

func TestNoFault(t *testing.T) {
	n := &Network{Name: "net", Engine: &pretended{}}
	_, none := n.Cut(t.Context())
	_, few := n.Lose(t.Context(), 0, netns.Link{From: "a", To: "b"})
	_, many := n.Lose(t.Context(), 1001, netns.Link{From: "a", To: "b"})
	_, still := n.Slow(t.Context(), "a", 0)
	if none == nil || few == nil || many == nil || still == nil {
		t.Error(none, few, many, still)
	}
}
