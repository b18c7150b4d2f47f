package disk

import "math/rand/v2"

// Plan says what a power cut leaves of the cache. Each choice is drawn for every file and folder.
type Plan struct {
	KeepAll  float64 // chance that everything pending reaches the platter
	KeepNone float64 // chance that nothing does
	Subset   float64 // otherwise: chance of a random subset in place of a prefix; in half of these the last is among it
	Torn     float64 // chance that the last write that arrives does so only in part, by sectors
	Garbage  float64 // chance that a torn sector holds neither old nor new bytes
	Names    bool    // pending names are lost too; otherwise they all arrive
}

// Loss says what a crash took.
type Loss struct {
	Files, Writes, Torn, Names int
}

// Crash cuts the power: afterwards cache and platter are the same. Open files must not be used any more.
func (d *Disk) Crash(p Plan, draw *rand.Rand) Loss {
	var l Loss
	d.crashFolder(d.root, p, draw, &l, map[*node]bool{})
	d.used = used(d.root, map[*node]bool{})
	return l
}

func (d *Disk) crashFolder(n *node, p Plan, draw *rand.Rand, l *Loss, seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	if !n.folder {
		n.crashFile(p, draw, l)
		return
	}
	keep := len(n.renamed)
	if p.Names && keep > 0 && draw.Float64() >= p.KeepAll {
		keep = draw.IntN(keep + 1)
		for keep > 0 && keep < len(n.renamed) && n.renamed[keep].pair != 0 && n.renamed[keep].pair == n.renamed[keep-1].pair {
			keep++ // a rename within one folder is one change
		}
	}
	l.Names += len(n.renamed) - keep
	for _, r := range n.renamed[:keep] {
		n.applyName(r)
	}
	n.settled += uint64(len(n.renamed))
	n.renamed = nil
	n.names = make(map[string]*node, len(n.durableNames))
	for name, child := range n.durableNames {
		n.names[name] = child
	}
	for _, e := range n.entries() { // sorted: draws must come in one order
		d.crashFolder(n.names[e.Name], p, draw, l, seen)
	}
}

func (n *node) crashFile(p Plan, draw *rand.Rand, l *Loss) {
	if len(n.pending) > 0 {
		lost := n.keepSome(p, draw, l)
		if lost > 0 {
			l.Files++
			l.Writes += lost
		}
	}
	n.settled += uint64(len(n.pending))
	n.pending, n.gone = nil, false // what a lost removal leaves has its name back
	n.data = append([]byte(nil), n.durable...)
}

// keepSome lets some pending changes reach the platter and returns how many did not.
func (n *node) keepSome(p Plan, draw *rand.Rand, l *Loss) (lost int) {
	switch x := draw.Float64(); {
	case x < p.KeepAll:
		for _, c := range n.pending {
			n.durable = c.apply(n.durable)
		}
		return 0
	case x < p.KeepAll+p.KeepNone:
		return len(n.pending)
	}
	if draw.Float64() < p.Subset {
		sure := len(n.pending) - draw.IntN(2) // what was written last often names what went before
		for i, c := range n.pending {
			if i != sure && draw.IntN(2) == 0 {
				lost++
				continue
			}
			n.durable = n.maybeTorn(c, p, draw, l).apply(n.durable)
		}
		return lost
	}
	keep := draw.IntN(len(n.pending) + 1)
	for i, c := range n.pending[:keep] {
		if i == keep-1 {
			c = n.maybeTorn(c, p, draw, l)
		}
		n.durable = c.apply(n.durable)
	}
	return len(n.pending) - keep
}

// maybeTorn cuts a write at a sector's edge. Sectors are the disk's, so the first and last piece of a write may be short.
func (n *node) maybeTorn(c change, p Plan, draw *rand.Rand, l *Loss) change {
	first := SectorBytes - int(c.offset%SectorBytes)
	if c.bytes == nil || len(c.bytes) <= first || draw.Float64() >= p.Torn {
		return c
	}
	l.Torn++
	sectors := (len(c.bytes) - first + SectorBytes - 1) / SectorBytes // that may be missing
	end := first + SectorBytes*draw.IntN(sectors)
	torn := change{offset: c.offset, bytes: append([]byte(nil), c.bytes[:end]...)}
	if draw.Float64() < p.Garbage {
		for range min(SectorBytes, len(c.bytes)-end) {
			torn.bytes = append(torn.bytes, byte(draw.Uint32()))
		}
	}
	return torn
}

func used(n *node, seen map[*node]bool) (total int64) {
	if seen[n] {
		return 0
	}
	seen[n] = true
	total = int64(len(n.data))
	for _, child := range n.names {
		total += used(child, seen)
	}
	return total
}
