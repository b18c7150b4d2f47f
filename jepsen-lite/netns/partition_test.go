package netns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// drawn is a set of links as text: "a>b" for one direction, "a-b" for both, sorted.
func drawn(links []Link) string {
	var all []string
	for _, l := range links {
		switch {
		case !slices.Contains(links, Link{l.To, l.From}):
			all = append(all, l.From+">"+l.To)
		case l.From < l.To:
			all = append(all, l.From+"-"+l.To)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestPartitions(t *testing.T) {
	three, four, five := []string{"a", "b", "c"}, []string{"a", "b", "c", "d"}, []string{"a", "b", "c", "d", "e"}
	by := map[string]Partition{}
	for _, p := range Partitions() {
		by[p.Name] = p
	}
	for _, c := range []struct {
		name    string
		members []string
		victim  string
		want    string
	}{
		{"one", three, "b", "a-b b-c"},
		{"one", []string{"a"}, "a", ""},
		{"leader", three, "c", "a-c b-c"},
		{"halves", three, "", "a-b a-c"},
		{"halves", four, "", "a-c a-d b-c b-d"},
		{"halves", []string{"d", "a", "c", "b"}, "", "a-b a-c b-d c-d"}, // the order decides
		{"mute", three, "a", "a>b a>c"},
		{"deaf", three, "a", "b>a c>a"},
		{"bridge", three, "", "a-c"},
		{"bridge", five, "", "a-d a-e b-d b-e"},
		{"bridge", four, "", "a-d b-d"},
		{"ring", three, "", ""},
		{"ring", four, "", "a-c b-d"},
		{"ring", five, "", "a-c a-d b-d b-e c-e"},
	} {
		if got := drawn(by[c.name].Links(c.members, c.victim)); got != c.want {
			t.Errorf("%s of %v, victim %q: cuts %q, want %q", c.name, c.members, c.victim, got, c.want)
		}
	}
}

// TestPartitionsHold what their descriptions say, for up to nine members: no link twice, none to itself, and from Least on
// something is cut, but never everything from three members on.
func TestPartitionsHold(t *testing.T) {
	for _, p := range Partitions() {
		for size := 1; size <= 9; size++ {
			var members []string
			for i := range size {
				members = append(members, fmt.Sprint("m", i))
			}
			links := p.Links(members, members[size/2])
			if size >= p.Least && len(links) == 0 || size >= 3 && len(links) >= size*(size-1) {
				t.Errorf("%s of %d members cuts %d links", p.Name, size, len(links))
			}
			seen := map[Link]bool{}
			for _, l := range links {
				if seen[l] || l.From == l.To || !slices.Contains(members, l.From) || !slices.Contains(members, l.To) {
					t.Errorf("%s of %d members: link %v", p.Name, size, l)
				}
				seen[l] = true
			}
		}
	}
}
