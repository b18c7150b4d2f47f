package tap

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/sim/audit"
)

// kept is an image that has all that begin made b promise.
func kept() audit.Image {
	m := audit.Image{HasLog: true, Term: 2, VoteTerm: 2, Vote: "a", First: 1, Last: 4}
	for i, term := range []uint64{1, 2, 2, 2} {
		m.Entries = append(m.Entries, audit.Entry{Index: uint64(i + 1), Term: term})
	}
	return m
}

func TestPromises(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(m *audit.Image)
		want  string
	}{
		"kept":            {func(*audit.Image) {}, ""},
		"more":            {func(m *audit.Image) { m.Term, m.VoteTerm, m.Vote = 3, 3, "b" }, ""},
		"in a snapshot":   {func(m *audit.Image) { m.Entries, m.Snapshots = nil, []audit.Snapshot{{Index: 4, Term: 2, Good: true}} }, ""},
		"bad snapshot":    {func(m *audit.Image) { m.Entries, m.Snapshots = nil, []audit.Snapshot{{Index: 4, Term: 2}} }, "acknowledged entry 4"},
		"term lost":       {func(m *audit.Image) { m.Term = 1 }, "named term 2"},
		"vote lost":       {func(m *audit.Image) { m.VoteTerm, m.Vote = 0, "" }, "the vote on its disk is of term 0"},
		"vote not told":   {func(m *audit.Image) { m.Term, m.VoteTerm, m.Vote = 9, 9, "e" }, ""},
		"own vote, torn":  {func(m *audit.Image) { m.Term, m.VoteTerm, m.Vote = 9, 9, "b" }, `a vote for "b" in term 9, who never asked`},
		"torn vote":       {func(m *audit.Image) { m.Term, m.VoteTerm, m.Vote = 9, 9, "a" }, `a vote for "a" in term 9, who never asked`},
		"another vote":    {func(m *audit.Image) { m.Vote = "c" }, `on its disk for "c"`},
		"entry lost":      {func(m *audit.Image) { m.Entries, m.Last = m.Entries[:3], 3 }, "acknowledged entry 4"},
		"entry of before": {func(m *audit.Image) { m.Entries[2].Term = 1 }, "acknowledged entry 3"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, nil)
			p.begin()
			m := kept()
			c.spoil(&m)
			p.ask("b", "c", requestPreVote, request{Term: 3})
			p.ask("e", "b", requestVote, request{Term: 9})
			p.tap.Audit(0, "b", m)
			switch {
			case c.want == "" && len(p.found) > 0:
				t.Errorf("found fault: %q", p.found)
			case c.want != "" && (!slices.Equal(p.oracles(), []string{"durable-promise"}) || !strings.Contains(p.found[0], c.want)):
				t.Errorf("got %q", p.found)
			}
		})
	}
}

// TestOwnVote: who was told to stand at once does so without a pre-vote.
func TestOwnVote(t *testing.T) {
	p := newPlay(t, nil)
	p.begin()
	m := kept()
	m.Term, m.VoteTerm, m.Vote = 3, 3, "b"
	p.ask("a", "b", timeoutNow, request{Term: 2})
	p.tap.Audit(0, "b", m)
	if len(p.found) > 0 {
		t.Errorf("found fault: %q", p.found)
	}
}

// TestDurableAsked: with each acknowledgement the disk is looked at, before anybody can count on it.
func TestDurableAsked(t *testing.T) {
	asked := map[string]int{}
	p := newPlay(t, func(node string) (audit.Image, error) {
		asked[node]++
		return kept(), nil
	})
	p.begin()
	if len(p.found) > 0 || !maps.Equal(asked, map[string]int{"b": 2, "c": 2}) {
		t.Fatalf("asked %v, found %q", asked, p.found)
	}
	p.send("a", "b", 2, 4, 2, 4, 2)
	p.ack("a", "b", 2)
	if !slices.Equal(p.oracles(), []string{"durable-promise"}) {
		t.Errorf("an acknowledged entry that is not on the disk: %q", p.found)
	}
	p = newPlay(t, func(string) (audit.Image, error) { return audit.Image{}, errors.New("torn") })
	p.vote("a", "b", 2, 1, 1)
	if !slices.Equal(p.oracles(), []string{"durable-promise"}) {
		t.Errorf("a disk that cannot be read: %q", p.found)
	}
}

// TestSuffixIsGone: whoever had to drop entries is looked at when it says that it has taken the new ones.
func TestSuffixIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		terms []uint64 // on the disk of b at the end
		want  []string
	}{
		"dropped":       {[]uint64{1, 2, 2, 2, 3}, nil},
		"more was sent": {[]uint64{1, 2, 2, 2, 3, 3}, nil},
		"kept":          {[]uint64{1, 2, 2, 2, 3, 2}, []string{"disk-stale-suffix"}},
		"not taken":     {[]uint64{1, 2, 2, 2, 2, 2}, []string{"disk-stale-suffix", "durable-promise"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := audit.Image{HasLog: true, Term: 3, VoteTerm: 2, Vote: "a", First: 1, Last: uint64(len(c.terms))}
			for i, term := range c.terms {
				m.Entries = append(m.Entries, audit.Entry{Index: uint64(i + 1), Term: term})
			}
			asked := 0
			p := newPlay(t, nil)
			p.begin()
			p.send("a", "b", 2, 4, 2, 4, 2, 2)
			p.ack("a", "b", 2)
			p.elect("c", "d", "e", 3, 4, 2)
			p.tap.config.Durable = func(string) (audit.Image, error) { asked++; return m, nil }
			p.tap.config.DurableEvery = 1000
			p.send("c", "b", 3, 4, 2, 4, 3)
			p.send("c", "b", 3, 5, 3, 4, 3)
			p.ack("c", "b", 3)
			if got := p.oracles(); !slices.Equal(got, c.want) || asked != 1 {
				t.Errorf("fired %q after %d looks: %q", got, asked, p.found)
			}
		})
	}
}
