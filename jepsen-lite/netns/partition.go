package netns

// Link is one direction between two members.
type Link struct{ From, To string }

// Both are the two directions of each link.
func Both(links ...Link) []Link {
	var both []Link
	for _, l := range links {
		both = append(both, l, Link{l.To, l.From})
	}
	return both
}

// Between are the links in both directions between the members of a and those of b.
func Between(a, b []string) []Link {
	var links []Link
	for _, x := range a {
		for _, y := range b {
			links = append(links, Both(Link{x, y})...)
		}
	}
	return links
}

// Partition is a way to cut a network.
type Partition struct {
	Name  string
	About string
	Least int  // members that it takes to be one
	Leads bool // the victim is to be a leader
	// Links are what is cut between members, for one of them as the victim if it takes one, else in the order of members: shuffle
	// them for another cut of the same kind.
	Links func(members []string, victim string) []Link
}

// Partitions lists them all.
func Partitions() []Partition {
	order := func(cut func([]string) []Link) func([]string, string) []Link {
		return func(members []string, _ string) []Link { return cut(members) }
	}
	return []Partition{
		{Name: "one", About: "one member is cut off from all others", Least: 2, Links: One},
		{Name: "leader", About: "a leader is cut off from all others", Least: 2, Leads: true, Links: One},
		{Name: "halves", About: "two halves see nothing of each other", Least: 2, Links: order(Halves)},
		{Name: "mute", About: "nobody hears one member, it hears all", Least: 2, Links: Mute},
		{Name: "deaf", About: "one member hears nobody, all hear it", Least: 2, Links: Deaf},
		{Name: "bridge", About: "two halves see nothing of each other, but one member sees both", Least: 3, Links: order(Bridge)},
		{Name: "ring", About: "each member sees only its two neighbours", Least: 4, Links: order(Ring)},
	}
}

// One cuts the victim off, in both directions.
func One(members []string, victim string) []Link {
	return Between([]string{victim}, others(members, victim))
}

// Halves cuts the first half off from the second; of an odd number the second is the larger.
func Halves(members []string) []Link {
	half := len(members) / 2
	return Between(members[:half], members[half:])
}

// Mute cuts what the victim sends.
func Mute(members []string, victim string) []Link {
	var links []Link
	for _, m := range others(members, victim) {
		links = append(links, Link{victim, m})
	}
	return links
}

// Deaf cuts what is sent to the victim.
func Deaf(members []string, victim string) []Link {
	var links []Link
	for _, m := range others(members, victim) {
		links = append(links, Link{m, victim})
	}
	return links
}

// Bridge cuts the members before the middle one off from those behind it. The middle one sees all.
func Bridge(members []string) []Link {
	if len(members) < 3 {
		return nil
	}
	middle := len(members) / 2
	return Between(members[:middle], members[middle+1:])
}

// Ring leaves each member its two neighbours. Up to three members that is no cut.
func Ring(members []string) []Link {
	var links []Link
	for i, m := range members {
		for j := i + 2; j < len(members); j++ {
			if i == 0 && j == len(members)-1 {
				continue // neighbours, too
			}
			links = append(links, Both(Link{m, members[j]})...)
		}
	}
	return links
}

func others(members []string, victim string) []string {
	var rest []string
	for _, m := range members {
		if m != victim {
			rest = append(rest, m)
		}
	}
	return rest
}
